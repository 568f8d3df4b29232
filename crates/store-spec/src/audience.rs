//! What a store owes of frozen audiences: who is told is decided by the save, how to reach them by the sending.

use provider::frontier::Place;
use store::{Group, Store, StoreError, StoreResult};
use wire::{AccountId, FanOutId};

use crate::World;
use crate::world::{Plan, member_who, to_tell};

pub async fn who_joins_after_the_event_is_not_told<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let mango = world.mango_of(account, &["ada"]).await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    world.enrol(account, Group::Mango(mango), &["bob"]).await?;
    world.enrol(account, Group::Series(plan.id), &["cy"]).await?;
    assert_eq!(world.names(account, fan_out).await?, ["ada"]);

    let update = world.fan_out(account, &plan.next()).await?;
    assert_eq!(world.names(account, update).await?, ["ada", "bob", "cy"], "the next event reaches them");
    Ok(())
}

pub async fn who_leaves_after_the_event_is_still_told<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let mango = world.mango_of(account, &["ada", "bob"]).await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    world.leave(account, Group::Mango(mango), "ada").await?;
    assert_eq!(world.names(account, fan_out).await?, ["ada", "bob"]);
    world.enrol(account, Group::Mango(mango), &["ada"]).await?;
    assert_eq!(world.names(account, fan_out).await?, ["ada", "bob"], "coming back changes nothing either");
    Ok(())
}

pub async fn who_left_before_is_told_only_after_coming_back<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let mango = world.mango_of(account, &["ada", "bob"]).await?;
    world.leave(account, Group::Mango(mango), "ada").await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    assert_eq!(world.names(account, fan_out).await?, ["bob"]);

    world.enrol(account, Group::Mango(mango), &["ada"]).await?;
    assert_eq!(world.names(account, fan_out).await?, ["bob"]);
    let update = world.fan_out(account, &plan.next()).await?;
    assert_eq!(world.names(account, update).await?, ["ada", "bob"], "once, for all the times of joining");
    Ok(())
}

pub async fn members_of_several_mangoes_are_told_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let first = world.mango_of(account, &["ada", "bob"]).await?;
    let second = world.mango_of(account, &["cy", "bob"]).await?;
    let third = world.mango_of(account, &["ada", "bob", "dee"]).await?;
    world.mango_of(account, &["eve"]).await?;
    let plan = world.plan(&[third, first, second]);
    let fan_out = world.fan_out(account, &plan).await?;
    assert_eq!(world.names(account, fan_out).await?, ["ada", "bob", "cy", "dee"]);
    Ok(())
}

pub async fn people_registered_for_the_series_are_told<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let mango = world.mango_of(account, &["ada"]).await?;
    let (plan, other) = (world.plan(&[mango]), world.plan(&[mango]));
    world.save(account, &plan).await?;
    world.save(account, &other).await?;
    world.enrol(account, Group::Series(plan.id), &["ada", "bob"]).await?;
    world.enrol(account, Group::Series(other.id), &["cy"]).await?;
    let fan_out = world.fan_out(account, &plan.next()).await?;
    assert_eq!(world.names(account, fan_out).await?, ["ada", "bob"]);
    Ok(())
}

pub async fn whoever_has_only_excluded_mangoes_is_left_out<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let invited = world.mango_of(account, &["ada", "bob", "cy"]).await?;
    let out = world.mango_of(account, &["bob", "dee", "eve", "fay"]).await?;
    let also_out = world.mango_of(account, &["dee"]).await?;
    world.mango_of(account, &["eve"]).await?;
    let plan = world.plan(&[invited]).without(&[out, also_out]);
    world.save(account, &plan).await?;
    world.enrol(account, Group::Series(plan.id), &["dee", "eve", "fay", "guy"]).await?;

    // bob is in an invited mango too; eve in a third one; guy is in none at all. dee and fay have excluded ones only.
    let fan_out = world.fan_out(account, &plan.next()).await?;
    assert_eq!(world.names(account, fan_out).await?, ["ada", "bob", "cy", "eve", "guy"]);
    Ok(())
}

pub async fn exclusion_is_frozen_with_the_event<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let (out, other) = (world.mango_of(account, &["ada"]).await?, world.mango_of(account, &["bob"]).await?);
    let plan = world.plan(&[]).without(&[out]);
    world.save(account, &plan).await?;
    world.enrol(account, Group::Series(plan.id), &["ada", "bob", "cy"]).await?;
    let fan_out = world.fan_out(account, &plan.next()).await?;
    world.enrol(account, Group::Mango(other), &["ada"]).await?;
    world.enrol(account, Group::Mango(out), &["bob", "cy"]).await?;
    world.leave(account, Group::Mango(other), "bob").await?;
    assert_eq!(world.names(account, fan_out).await?, ["bob", "cy"]);

    let update = world.fan_out(account, &plan.next().next()).await?;
    assert_eq!(world.names(account, update).await?, ["ada"]);
    Ok(())
}

pub async fn pages_follow_each_other_and_ranks_count_on<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let names: Vec<String> = (0..23).map(|number| format!("p{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let odd = world.mango_of(account, &names).await?;
    let both = world.mango_of(account, &names[5..15]).await?;
    let plan = world.plan(&[odd, both]);
    let fan_out = world.fan_out(account, &plan).await?;
    for size in [1, 7, 23, 24] {
        let (mut after, mut read) = (Place::default(), Vec::new());
        loop {
            let page = world.store.audience_page(account, fan_out, after, size).await?;
            assert!(page.len() <= size);
            let Some(last) = page.last() else { break };
            after = last.place();
            read.extend(page.into_iter().filter_map(to_tell).map(|one| (one.place, one.participant.name)));
        }
        let numbered = (1..).zip(&names).map(|(n, name)| (Place { participant: n, index: n }, (*name).to_owned()));
        assert_eq!(read, numbered.collect::<Vec<_>>(), "in pages of {size}");
    }
    Ok(())
}

pub async fn contact_data_are_those_of_the_sending<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let mango = world.mango_of(account, &["ada"]).await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    let corrected = member_who("ada", "+44 20 7946 0000", "Europe/London");
    world.store.enrol(account, Group::Mango(mango), vec![corrected.clone()]).await?;
    assert_eq!(world.audience(account, fan_out).await?[0].participant, corrected.participant);
    Ok(())
}

pub async fn an_event_may_concern_nobody<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let (fan_out, empty) = (save_for_nobody(&mut world, account).await?, Vec::<String>::new());
    assert_eq!(world.names(account, fan_out).await?, empty);
    let lease = world.lease().await?;
    assert_eq!(world.work(lease).await?.fan_outs[0].fan_out.audience, 0);
    Ok(())
}

pub async fn an_audience_is_counted_by_the_first_lane_and_stays<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let mango = world.mango_of(account, &["ada", "bob"]).await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    let event = world.store.events(account, None, 1).await?.items[0].clone();
    assert_eq!(event.audience, None, "the save does not look at the audience");
    world.enrol(account, Group::Mango(mango), &["cy"]).await?;

    let lease = world.lease().await?;
    assert_eq!(world.work(lease).await?.fan_outs[0].fan_out.audience, 2);
    assert_eq!(world.store.events(account, None, 1).await?.items[0].audience, Some(2));
    assert_eq!(world.store.fan_out(account, fan_out).await?.expect("saved").audience, 2);
    Ok(())
}

pub async fn an_unknown_fan_out_and_that_of_another_account_have_no_audience<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, told_account(&mut world).await?);
    let fan_out = save_for_nobody(&mut world, theirs).await?;
    for (account, id) in [(ours, fan_out), (theirs, FanOutId::from_bytes([8; 16]))] {
        let refused = world.audience(account, id).await;
        assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
        assert!(world.store.fan_out(account, id).await?.is_none());
    }
    Ok(())
}

pub async fn who_registers_late_is_told_alone_and_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let (mango, out) = (world.mango_of(account, &["ada"]).await?, world.mango_of(account, &["eve"]).await?);
    let plan = world.plan(&[mango]).without(&[out]);
    world.fan_out(account, &plan).await?;

    // ada was told as a member, eve is excluded.
    let (enrolled, told) = world.register_late(account, &plan, 1, &["bob", "ada", "cy", "eve"]).await?;
    assert_eq!(enrolled.added, 4);
    assert_eq!(world.names(account, told.expect("an event")).await?, ["bob", "cy"]);

    let (enrolled, told) = world.register_late(account, &plan, 1, &["bob", "ada"]).await?;
    assert_eq!((enrolled.unchanged, told), (2, None), "nobody is new, nobody is told");
    let update = world.fan_out(account, &plan.next()).await?;
    assert_eq!(world.names(account, update).await?, ["ada", "bob", "cy"], "the next event reaches all");
    Ok(())
}

pub async fn a_late_registration_from_an_old_version_leaves_no_trace<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = told_account(&mut world).await?;
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    world.save(account, &plan.next()).await?;
    let refused = world.register_late(account, &plan, 1, &["bob"]).await;
    assert!(matches!(refused, Err(StoreError::VersionConflict { expected: 1, found: 2 })), "{refused:?}");
    assert!(world.store.participant_by_email(account, "bob@example.com").await?.is_none());
    let unknown = world.plan(&[]);
    let refused = world.register_late(account, &unknown, 1, &["bob"]).await;
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    Ok(())
}

async fn told_account<S: Store>(world: &mut World<S>) -> StoreResult<AccountId> {
    let account = world.account().await?;
    world.endpoint(account).await?;
    Ok(account)
}

async fn save_for_nobody<S: Store>(world: &mut World<S>, account: AccountId) -> StoreResult<FanOutId> {
    let plan: Plan = world.plan(&[]);
    world.fan_out(account, &plan).await
}
