//! What a store owes of erasures: the person is gone at once, nobody else is touched, and what is under way ends.

use std::time::Duration;

use store::{
    Acceptance, DeliveryFilter, DeliveryStatus, Erasure, ErasureState, FanOutState, Group, Member, MessageContent,
    Store, StoreResult, Whom,
};
use wire::{AccountId, ErasureId, FanOutId};

use crate::World;
use crate::world::{LEASE, Report, member_who};

pub async fn who_is_erased_is_on_no_list_and_comes_back_as_somebody_else<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let gold = world.mango_of(account, &["ada", "bob"]).await?;
    let silver = world.mango_of(account, &["bob"]).await?;
    let erasure = world.erase_whom(account, Whom::Number(2)).await?.expect("bob");
    assert_eq!((erasure.participant, erasure.memberships, erasure.retries), (Some(2), 2, 0));
    assert_eq!((erasure.state, erasure.requested_at), (ErasureState::Searching, world.now()));

    assert_eq!(world.store.participant(account, 2).await?, None);
    assert_eq!(world.store.participant_by_email(account, "bob@example.com").await?, None);
    let counts = world.store.mangoes(account, None, 10).await?.items;
    assert_eq!(
        counts.iter().map(|(mango, members)| (mango.id, *members)).collect::<Vec<_>>(),
        [(gold, 1), (silver, 0)]
    );
    assert!(!world.store.leave(account, Group::Mango(gold), 2).await?);

    assert_eq!(world.enrol(account, Group::Mango(gold), &["bob"]).await?.added, 1);
    assert_eq!(world.number_of(account, "bob").await?, 3, "a number is never given twice");
    Ok(())
}

pub async fn only_ones_own_people_are_erased_and_only_who_is_there<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    world.mango_of(theirs, &["ada"]).await?;
    for number in [0, 1, 99, u64::MAX] {
        assert_eq!(world.erase_whom(ours, Whom::Number(number)).await?, None, "{number}");
    }
    let erasure = world.erase(ours, "ada").await?;
    assert_eq!(erasure.participant, None, "an address that is on no roster may still be in the inbox");
    assert_eq!(world.store.erasure(theirs, erasure.id).await?, None);
    assert_eq!(world.store.erasure(ours, erasure.id).await?, Some(erasure));
    assert_eq!(world.store.erasure(ours, ErasureId::from_bytes([9; 16])).await?, None);
    assert!(world.store.participant(theirs, 1).await?.is_some());
    Ok(())
}

pub async fn a_frozen_audience_keeps_the_place_of_who_is_erased<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let told = Told::new(&mut world).await?;
    world.erase(told.account, "bob").await?;
    for after in 0..2 {
        let after = told.place(after);
        let page = world.store.audience_page(told.account, told.fan_out, after, 2).await?;
        assert_eq!(page.len(), 2, "a page is short only at the end");
    }
    let page = world.store.audience_page(told.account, told.fan_out, told.place(0), 10).await?;
    let places: Vec<_> = page.iter().map(Member::place).collect();
    assert_eq!(places, [told.place(1), told.place(2), told.place(3)], "ranks stay as announced");
    assert!(matches!(page[1], Member::Erased(_)));
    assert_eq!(world.names(told.account, told.fan_out).await?, ["ada", "cy"]);

    let lease = world.lease().await?;
    let work = world.work(lease).await?;
    assert_eq!(work.fan_outs[0].fan_out.audience, 3, "so does the count");
    Ok(())
}

pub async fn a_later_audience_has_no_place_for_who_was_erased<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let told = Told::new(&mut world).await?;
    world.erase(told.account, "bob").await?;
    let update = world.fan_out(told.account, &told.plan.next()).await?;
    let page = world.store.audience_page(told.account, update, told.place(0), 10).await?;
    let places: Vec<_> = page.iter().map(|member| (member.place().participant, member.place().index)).collect();
    assert_eq!(places, [(1, 1), (3, 2)]);
    Ok(())
}

pub async fn a_retry_of_who_is_erased_is_called_off_and_nobody_elses<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let told = Told::new(&mut world).await?;
    let lease = world.lease().await?;
    let due = world.now() + Duration::from_secs(5);
    let report = told.report(&world).delivered([1]).retrying(told.place(2), 3, due).retrying(told.place(3), 1, due);
    world.settle(lease, report.up_to(told.place(3)).swept()).await?;
    let erasure = world.erase(told.account, "bob").await?;
    assert_eq!(erasure.retries, 1);

    world.pass(LEASE / 2);
    let retries = world.store.due_retries(lease, world.now(), 10).await?.retries;
    assert_eq!(retries.iter().map(|retry| retry.recipient.place).collect::<Vec<_>>(), [told.place(3)]);
    let log = told.log(&world, DeliveryStatus::Erased).await?;
    assert_eq!(log, [(2, 3)], "three attempts were made");
    assert_eq!(told.counts(&world).await?, [1, 1, 0, 1]);

    world.settle(lease, told.report(&world).delivered_at(3, 2).recovered(3)).await?;
    world.store.release(lease, world.now()).await?;
    world.pass(LEASE * 1_000);
    assert_eq!(world.claim().await?, [], "the lane has nothing more to do");
    assert_eq!(told.counts(&world).await?, [2, 0, 0, 1]);
    Ok(())
}

pub async fn what_was_on_its_way_to_who_is_erased_ends_with_its_outcome<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let told = Told::new(&mut world).await?;
    let lease = world.lease().await?;
    let before = world.settle(lease, told.report(&world)).await?.signal;
    for name in ["ada", "bob", "cy"] {
        world.erase(told.account, name).await?;
    }
    let due = world.now() + LEASE;
    let report = told.report(&world).delivered([1]).retrying(told.place(2), 1, due).straggling(told.place(3), due);
    let after = world.settle(lease, report.up_to(told.place(3)).swept()).await?.signal;
    assert_ne!(before, after, "the lane hears of it");
    assert_eq!(told.counts(&world).await?, [1, 0, 0, 2], "what was delivered is; what failed is not tried again");
    assert_eq!(told.log(&world, DeliveryStatus::Erased).await?, [(3, 0), (2, 1)]);

    world.settle(lease, told.report(&world).delivered([3]).recovered(3)).await?;
    assert_eq!(told.counts(&world).await?, [2, 0, 0, 1], "a straggler may still arrive");
    world.store.release(lease, world.now()).await?;
    world.pass(LEASE * 1_000);
    assert_eq!(world.claim().await?, []);
    Ok(())
}

pub async fn who_is_erased_before_their_turn_is_in_the_log_as_such<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let told = Told::new(&mut world).await?;
    let lease = world.lease().await?;
    world.erase(told.account, "bob").await?;
    let report = told.report(&world).delivered([1, 3]).erased(told.place(2)).up_to(told.place(3)).swept();
    world.settle(lease, report).await?;
    assert_eq!(told.counts(&world).await?, [2, 0, 0, 1]);
    let page = world.store.deliveries(told.account, DeliveryFilter::default(), None, 10).await?;
    let erased = page.items.iter().find(|delivery| delivery.status == DeliveryStatus::Erased).expect("bob's");
    assert_eq!((&erased.person, erased.attempts, &erased.last), (&None, 0, &None));
    let shown = world.store.delivery(told.account, erased.id).await?.expect("listed");
    assert_eq!((&shown.summary, shown.attempts.len()), (erased, 0));
    Ok(())
}

pub async fn the_inbox_is_searched_as_it_was_and_a_late_copy_is_known<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let group = Group::Mango(world.mango(account).await?);
    world.store.enrol(account, group, vec![member_who("ada", "+44 20 7946 0000", "")]).await?;
    let body = |n: u32, who: &str| format!("{{\"n\":{n},\"email\":\"{who}\"}}");
    for n in 0..10 {
        let who = if n % 4 == 0 { "Ada@Example.com" } else { "adam@example.com" };
        world.accept(&sender, &format!("msg_{n}"), &body(n, who)).await?;
    }
    let by_phone = world.accept(&sender, "msg_phone", "{\"phone\":442079460000}").await?;
    let erasure = world.erase(account, "ada").await?;
    world.accept(&sender, "msg_later", &body(99, "ada@example.com")).await?;
    assert_eq!((erasure.messages, erasure.searched), (11, 0));
    assert!(world.search_on().await?);
    let under_way = world.store.erasure(account, erasure.id).await?.expect("begun");
    assert_eq!((under_way.searched, under_way.emptied, under_way.state), (3, 1, ErasureState::Searching));

    assert_eq!(world.finish_erasures().await?, 1);
    let done = world.store.erasure(account, erasure.id).await?.expect("begun");
    let expected = Erasure { searched: 11, emptied: 4, state: ErasureState::Done { at: world.now() }, ..erasure };
    assert_eq!(done, expected);
    let Acceptance::Stored(number) = by_phone else { panic!("{by_phone:?}") };
    let emptied = world.store.message(account, number).await?.expect("still known");
    assert_eq!((emptied.content, emptied.body.len(), emptied.headers.as_str()), (MessageContent::Erased, 0, ""));
    let page = world.store.messages(account, Default::default(), None, 20).await?.items;
    let kept = page.iter().filter(|message| message.content == MessageContent::Kept).count();
    assert_eq!((page.len(), kept), (12, 8), "others' and later messages stay");
    let copy = world.accept(&sender, "msg_0", &body(0, "Ada@Example.com")).await?;
    assert!(matches!(copy, Acceptance::Duplicate { .. }), "{copy:?}");
    assert_eq!(world.store.seal(world.now()).await?, 0, "done is done");
    Ok(())
}

pub async fn a_search_that_two_do_at_once_counts_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    world.accept(&sender, "msg_1", "ada@example.com").await?;
    let erasure = world.erase(account, "ada").await?;
    let search = world.store.searches(10).await?.pop().expect("open");
    assert!(world.search_on().await?);
    let messages = vec![1];
    let stale = store::Searched { naming: messages, count: 1, read_to: None };
    world.store.note_search(search, stale).await?;
    let seen = world.store.erasure(account, erasure.id).await?.expect("begun");
    assert_eq!((seen.searched, seen.emptied, seen.state), (1, 1, ErasureState::Searching));
    Ok(())
}

/// A fan-out to ada, bob and cy.
struct Told {
    account: AccountId,
    fan_out: FanOutId,
    plan: crate::world::Plan,
}

impl Told {
    async fn new<S: Store>(world: &mut World<S>) -> StoreResult<Told> {
        let account = world.account().await?;
        world.endpoint(account).await?;
        let mango = world.mango_of(account, &["ada", "bob", "cy"]).await?;
        let plan = world.plan(&[mango]);
        Ok(Told { account, fan_out: world.fan_out(account, &plan).await?, plan })
    }

    fn place(&self, number: u64) -> provider::frontier::Place {
        provider::frontier::Place { participant: number, index: number }
    }

    fn report<S: Store>(&self, world: &World<S>) -> Report {
        Report::of(self.fan_out, world.now())
    }

    /// Delivered, retrying, abandoned, erased.
    async fn counts<S: Store>(&self, world: &World<S>) -> StoreResult<[u64; 4]> {
        let event = world.store.events(self.account, None, 1).await?.items.remove(0);
        let progress = &event.fan_outs[0];
        assert_eq!(progress.state, FanOutState::Swept);
        Ok([progress.delivered, progress.retrying, progress.abandoned, progress.erased])
    }

    /// Participants and attempts in this state.
    async fn log<S: Store>(&self, world: &World<S>, status: DeliveryStatus) -> StoreResult<Vec<(u64, u16)>> {
        let filter = DeliveryFilter { status: Some(status), ..DeliveryFilter::default() };
        let page = world.store.deliveries(self.account, filter, None, 10).await?;
        Ok(page.items.iter().map(|delivery| (delivery.participant, delivery.attempts)).collect())
    }
}
