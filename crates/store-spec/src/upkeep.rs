//! What a store owes of letting go: what is old goes, what is pending stays, and the dedupe window holds.

use std::time::Duration;

use provider::frontier::Place;
use store::{Acceptance, DeliveryFilter, Group, MessageContent, Prunable, Retention, Store, StoreError, StoreResult};
use wire::AccountId;

use crate::World;
use crate::world::{LEASE, Report};

const A_DAY: Duration = Duration::from_secs(24 * 3_600);

pub async fn a_retention_reads_back_and_is_an_accounts_own<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    assert_eq!(world.store.retention(ours).await?, Retention::default());
    for days in [(1, 2, 30), (7, 30, 31)] {
        let retention = Retention::new(days.0, days.1, days.2).expect("days");
        world.store.set_retention(ours, retention).await?;
        assert_eq!(world.store.retention(ours).await?, retention);
    }
    assert_eq!(world.store.retention(theirs).await?, Retention::default());
    let refused = world.store.set_retention(AccountId::from_u32(404), Retention::default()).await;
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    Ok(())
}

pub async fn bodies_go_before_the_messages_that_had_them<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (account, other) = (world.account().await?, world.account().await?);
    let (sender, others) = (world.sender(account).await?, world.sender(other).await?);
    for n in 0..7 {
        world.accept(&sender, &format!("msg_{n}"), "{}").await?;
        world.accept(&others, &format!("msg_{n}"), "{}").await?;
    }
    world.pass(A_DAY);
    assert!(world.prune(account, Prunable::Bodies).await? > 0);
    assert_eq!(world.prune(account, Prunable::Bodies).await?, 0);
    world.accept(&sender, "msg_new", "{}").await?;
    let listed = world.store.messages(account, Default::default(), None, 20).await?.items;
    let expired = listed.iter().filter(|message| message.content == MessageContent::Expired).count();
    assert_eq!((listed.len(), expired, listed[0].content), (8, 7, MessageContent::Kept));
    let copy = world.accept(&sender, "msg_3", "{}").await?;
    assert!(matches!(copy, Acceptance::Duplicate { .. }), "{copy:?}");

    world.prune(account, Prunable::Messages).await?;
    assert_eq!(world.store.message_counts(account).await?.stored, 1, "the one of now");
    assert_eq!(world.store.message_counts(account).await?.duplicates, 0);
    let copy = world.accept(&sender, "msg_3", "{}").await?;
    assert!(matches!(copy, Acceptance::Stored(_)), "{copy:?}");
    let others = world.store.messages(other, Default::default(), None, 20).await?.items;
    assert!(others.len() == 7 && others.iter().all(|message| message.content == MessageContent::Kept));
    Ok(())
}

pub async fn an_ended_log_goes_and_its_counts_stay_as_long_as_its_event<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mango = world.mango_of(account, &["ada", "bob", "cy"]).await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    let lease = world.lease().await?;
    let report = Report::of(fan_out, world.now()).delivered([1]).abandoned(place(2), 2).erased(place(3)).swept();
    world.settle(lease, report).await?;
    let before = world.store.events(account, None, 10).await?.items;
    world.prune(account, Prunable::Log).await?;
    assert_eq!(logged(&world, account).await?, 3, "not before its time");

    world.pass(A_DAY);
    world.prune(account, Prunable::Log).await?;
    assert_eq!(logged(&world, account).await?, 0);
    assert_eq!(world.store.events(account, None, 10).await?.items, before);
    world.prune(account, Prunable::Events).await?;
    assert_eq!(world.store.events(account, None, 10).await?.items, []);
    assert!(world.store.fan_out(account, fan_out).await?.is_none());
    assert_eq!(world.store.series(account, plan.id).await?.expect("the series stays").version, 1);
    Ok(())
}

pub async fn what_is_pending_is_never_let_go<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mango = world.mango_of(account, &["ada", "bob", "cy"]).await?;
    let (running, retrying) = (world.plan(&[mango]), world.plan(&[mango]));
    let (running, retrying) = (world.fan_out(account, &running).await?, world.fan_out(account, &retrying).await?);
    let lease = world.lease().await?;
    let due = world.now() + A_DAY * 500;
    world.settle(lease, Report::of(running, world.now()).delivered([2])).await?;
    let report = Report::of(retrying, world.now()).delivered([1, 3]).retrying(place(2), 1, due).swept();
    world.settle(lease, report).await?;
    world.store.leave(account, Group::Mango(mango), 3).await?;

    world.pass(A_DAY * 499);
    for what in Prunable::ALL {
        assert_eq!(world.prune(account, what).await?, 0, "{what:?}");
    }
    let work = world.work(lease).await?;
    assert_eq!(work.fan_outs[0].finished_beyond, [2], "what a crash left behind the cursor is known");
    assert_eq!(world.names(account, running).await?, ["ada", "bob", "cy"], "who left meanwhile is still told");
    world.pass(A_DAY);
    assert_eq!(world.store.due_retries(lease, world.now(), 10).await?.retries.len(), 1);
    assert_eq!(logged(&world, account).await?, 4);
    Ok(())
}

pub async fn an_outcome_is_kept_from_its_own_time_on<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mango = world.mango_of(account, &["ada", "bob"]).await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    let lease = world.lease().await?;
    world.settle(lease, Report::of(fan_out, world.now()).delivered([1])).await?;
    let late = world.pass(A_DAY * 100);
    world.settle(lease, Report::of(fan_out, world.now()).delivered([2]).swept()).await?;
    while world.store.prune(account, Prunable::Log, late, 10).await? > 0 {}
    assert_eq!(logged(&world, account).await?, 1, "an endpoint that was paused for long has its log too");
    world.pass(LEASE);
    world.prune(account, Prunable::Log).await?;
    assert_eq!(logged(&world, account).await?, 0);
    Ok(())
}

pub async fn who_left_is_kept_for_an_audience_whose_node_had_another_clock<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mango = world.mango_of(account, &["ada", "bob"]).await?;
    let (first, second) = (world.plan(&[mango]), world.plan(&[mango]));
    let ahead = world.now() + A_DAY;
    let save = first.to_save(world.id(), &world.zones, ahead);
    let saved = world.store.save_series(account, save).await?;
    assert!(world.leave(account, Group::Mango(mango), "bob").await?);
    world.save(account, &second).await?;
    world.prune(account, Prunable::Memberships).await?;
    assert_eq!(world.names(account, saved.fan_outs[0].0).await?, ["ada", "bob"]);
    Ok(())
}

pub async fn old_versions_memberships_and_erasures_go<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mango = world.mango_of(account, &["ada", "bob"]).await?;
    let plan = world.plan(&[mango]);
    world.save(account, &plan).await?;
    world.save(account, &plan.next()).await?;
    let erasure = world.erase(account, "ada").await?;
    let open = world.erase(account, "nobody").await?;
    world.search_on().await?;
    assert_eq!(world.store.seal(world.now()).await?, 1);
    world.pass(A_DAY);
    for what in Prunable::ALL {
        world.prune(account, what).await?;
    }
    assert_eq!(world.store.erasure(account, erasure.id).await?, None);
    assert_eq!(world.store.erasure(account, open.id).await?, Some(open), "a search that is not over stays");
    let series = world.store.series(account, plan.id).await?.expect("saved");
    assert_eq!((series.version, series.draft.title.as_str()), (2, "Design clinic"));
    world.endpoint(account).await?;
    let update = world.fan_out(account, &plan.next().next()).await?;
    assert_eq!(world.names(account, update).await?, ["bob"]);
    Ok(())
}

pub async fn keys_are_let_go_when_many_of_them_no_longer_count<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    world.messages(&sender, 20).await?;
    assert_eq!(world.store.forget_keys(world.now(), 3).await?, 0, "all of them count");
    world.pass(A_DAY * (u32::from(world.store.dedupe_window().days()) + 1));
    world.accept(&sender, "msg_new", "{}").await?;
    let mut steps = 0;
    while world.store.forget_keys(world.now(), 3).await? > 0 {
        steps += 1;
        assert!(steps < 100, "it comes to an end");
    }
    let copy = world.accept(&sender, "msg_new", "{}").await?;
    assert!(matches!(copy, Acceptance::Duplicate { .. }), "{copy:?}");
    let old = world.accept(&sender, "msg_3", "{}").await?;
    assert!(matches!(old, Acceptance::Stored(_)), "{old:?}");
    Ok(())
}

fn place(number: u64) -> Place {
    Place { participant: number, index: number }
}

async fn logged<S: Store>(world: &World<S>, account: AccountId) -> StoreResult<usize> {
    Ok(world.store.deliveries(account, DeliveryFilter::default(), None, 100).await?.items.len())
}
