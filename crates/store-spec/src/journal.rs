//! What a store owes of the delivery log.

use std::time::Duration;

use provider::attempt::Outcome;
use provider::frontier::Place;
use store::{
    AttemptRecord, DeliveryFilter, DeliveryStatus, DeliverySummary, Group, LastFailure, Lease, Store, StoreError,
    StoreResult,
};
use wire::{AccountId, DeliveryId, EventId, FanOutId, ParticipantNumber};

use crate::World;
use crate::world::{LEASE, Report, member, refusal, refused};

const ALL: DeliveryFilter = DeliveryFilter { event: None, endpoint: None, participant: None, status: None };
/// In the order of the log: newest fan-out first, failures before successes, highest participant first.
const LOG: [(usize, u64, DeliveryStatus); 12] = [
    (1, 8, DeliveryStatus::Abandoned),
    (1, 2, DeliveryStatus::Retrying),
    (1, 7, DeliveryStatus::Delivered),
    (1, 6, DeliveryStatus::Delivered),
    (1, 5, DeliveryStatus::Delivered),
    (1, 4, DeliveryStatus::Delivered),
    (1, 3, DeliveryStatus::Delivered),
    (1, 1, DeliveryStatus::Delivered),
    (0, 9, DeliveryStatus::Abandoned),
    (0, 4, DeliveryStatus::Abandoned),
    (0, 5, DeliveryStatus::Delivered),
    (0, 2, DeliveryStatus::Delivered),
];

pub async fn a_delivery_not_yet_tried_is_not_in_the_log<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let log = Log::empty(&mut world).await?;
    assert_eq!(log.pages(&world, ALL, 10).await?, []);
    assert_eq!(world.store.delivery(log.account, log.id(0, 1)).await?, None);
    Ok(())
}

pub async fn the_log_is_newest_fan_out_first_and_failures_before_successes<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let log = Log::filled(&mut world).await?;
    assert_eq!(log.shape(&log.pages(&world, ALL, 100).await?), LOG);
    Ok(())
}

pub async fn pages_of_any_size_make_the_same_log_under_every_filter<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let log = Log::filled(&mut world).await?;
    let endpoint = world.store.endpoints(log.account, None, 1).await?.items[0].id;
    let statuses = [DeliveryStatus::Delivered, DeliveryStatus::Retrying, DeliveryStatus::Abandoned];
    for status in statuses.map(Some).into_iter().chain([None]) {
        for participant in [None, Some(2), Some(4), Some(99)] {
            for event in [None, Some(0), Some(1)] {
                let expected: Vec<_> = LOG
                    .into_iter()
                    .filter(|(_, _, stands)| status.is_none_or(|status| status == *stands))
                    .filter(|(_, number, _)| participant.is_none_or(|only| only == *number))
                    .filter(|(fan_out, _, _)| event.is_none_or(|event| event == *fan_out))
                    .collect();
                let event = event.map(|index| log.events[index]);
                let filter = DeliveryFilter { event, endpoint: Some(endpoint), participant, status };
                for size in [1, 2, 3, 5, 12, 100] {
                    let read = log.pages(&world, filter, size).await?;
                    assert_eq!(log.shape(&read), expected, "{filter:?} in pages of {size}");
                }
            }
        }
    }
    Ok(())
}

pub async fn only_the_endpoint_asked_for_is_listed<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let (first, second) = (world.endpoint(account).await?, world.endpoint(account).await?);
    let mango = world.mango_of(account, &["ada"]).await?;
    let plan = world.plan(&[mango]);
    let saved = world.save(account, &plan).await?;
    for lease in world.claim().await? {
        let (fan_out, _) = saved.fan_outs.iter().find(|(_, endpoint)| *endpoint == lease.endpoint).expect("told");
        world.settle(lease, Report::of(*fan_out, world.now()).delivered([1])).await?;
    }
    assert_eq!(world.store.deliveries(account, ALL, None, 10).await?.items.len(), 2);
    for endpoint in [first, second] {
        let filter = DeliveryFilter { endpoint: Some(endpoint), ..ALL };
        let listed = world.store.deliveries(account, filter, None, 10).await?.items;
        assert_eq!(listed.iter().map(|delivery| delivery.endpoint).collect::<Vec<_>>(), [endpoint]);
    }
    Ok(())
}

pub async fn a_cursor_of_another_list_brings_nothing_the_filter_forbids<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let log = Log::filled(&mut world).await?;
    let newest = world.store.deliveries(log.account, ALL, None, 1).await?.next;
    let filter = DeliveryFilter { event: Some(log.events[0]), ..ALL };
    let page = world.store.deliveries(log.account, filter, newest, 100).await?;
    assert_eq!(log.shape(&page.items), LOG[8..]);
    Ok(())
}

pub async fn a_listed_delivery_tells_how_it_stands<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let log = Log::filled(&mut world).await?;
    let listed = log.pages(&world, ALL, 100).await?;
    let base = DeliverySummary {
        id: log.id(1, 8),
        event: log.events[1],
        endpoint: log.lease.endpoint,
        participant: 8,
        person: Some(("p8".to_owned(), "p8@example.com".to_owned())),
        status: DeliveryStatus::Abandoned,
        attempts: 10,
        last: Some(log.refusal(10)),
        next_attempt_at: None,
    };
    assert_eq!(listed[0], base);
    let retrying = DeliverySummary {
        id: log.id(1, 2),
        participant: 2,
        person: Some(("p2".to_owned(), "p2@example.com".to_owned())),
        status: DeliveryStatus::Retrying,
        attempts: 1,
        last: Some(log.refusal(1)),
        next_attempt_at: Some(log.at + LEASE),
        ..base.clone()
    };
    assert_eq!(listed[1], retrying);
    let delivered = DeliverySummary {
        id: log.id(1, 7),
        participant: 7,
        person: Some(("p7".to_owned(), "p7@example.com".to_owned())),
        status: DeliveryStatus::Delivered,
        attempts: 1,
        last: Some(log.success(1)),
        next_attempt_at: None,
        ..base
    };
    assert_eq!(listed[2], delivered);
    Ok(())
}

pub async fn one_delivery_shows_its_attempts_first_to_last<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let mut log = Log::empty(&mut world).await?;
    let due = world.now() + LEASE;
    let place = Place { participant: 3, index: 3 };
    let mut expected = Vec::new();
    for attempt in 1..=2 {
        log.at = world.pass(Duration::from_secs(1));
        world.settle(log.lease, log.report(0).retrying(place, attempt, due)).await?;
        expected.push(log.refusal(attempt));
        let detail = world.store.delivery(log.account, log.id(0, 3)).await?.expect("tried");
        assert_eq!((detail.summary.status, detail.summary.attempts), (DeliveryStatus::Retrying, attempt));
        assert_eq!((detail.summary.next_attempt_at, &detail.attempts), (Some(due), &expected));
    }
    log.at = world.pass(Duration::from_secs(1));
    world.settle(log.lease, log.report(0).delivered_at(3, 3).recovered(3)).await?;
    expected.push(log.success(3));

    let detail = world.store.delivery(log.account, log.id(0, 3)).await?.expect("delivered");
    assert_eq!((detail.summary.status, detail.summary.attempts), (DeliveryStatus::Delivered, 3));
    assert_eq!((detail.summary.last.as_ref(), detail.summary.next_attempt_at), (expected.last(), None));
    assert_eq!(detail.attempts, expected);
    assert_eq!(log.pages(&world, ALL, 10).await?, [detail.summary]);
    Ok(())
}

pub async fn a_straggler_waits_without_an_attempt<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let log = Log::empty(&mut world).await?;
    let due = world.now() + LEASE;
    let report = log.report(0).straggling(Place { participant: 1, index: 1 }, due);
    world.settle(log.lease, report).await?;
    let detail = world.store.delivery(log.account, log.id(0, 1)).await?.expect("a row");
    assert_eq!((detail.summary.status, detail.summary.attempts), (DeliveryStatus::Retrying, 0));
    assert_eq!((detail.summary.last, detail.summary.next_attempt_at), (None, Some(due)));
    assert_eq!(detail.attempts, []);
    Ok(())
}

pub async fn a_failure_without_details_is_shown_without<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let log = Log::empty(&mut world).await?;
    let place = Place { participant: 3, index: 3 };
    world.settle(log.lease, log.report(0).abandoned(place, 1).without_details()).await?;
    let bare = AttemptRecord { failure: None, ..log.refusal(1) };
    let listed = log.pages(&world, ALL, 10).await?;
    assert_eq!(listed[0].last, Some(AttemptRecord { latency_tenth_ms: None, ..bare.clone() }));
    assert_eq!(world.store.delivery(log.account, log.id(0, 3)).await?.expect("tried").attempts, [bare]);
    Ok(())
}

pub async fn an_attempt_made_again_under_its_number_keeps_its_own_failure<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let mut log = Log::empty(&mut world).await?;
    let (place, due) = (Place { participant: 3, index: 3 }, world.now() + LEASE);
    world.settle(log.lease, log.report(0).retrying(place, 1, due)).await?;
    let first = log.refusal(1);
    log.at = world.pass(LEASE);
    world.settle(world.lease().await?, log.report(0).retrying(place, 1, due).without_details()).await?;
    let again = AttemptRecord { failure: None, ..log.refusal(1) };
    let detail = world.store.delivery(log.account, log.id(0, 3)).await?.expect("tried");
    assert_eq!(detail.attempts, [first, again.clone()]);
    assert_eq!(detail.summary.last, Some(AttemptRecord { latency_tenth_ms: None, ..again }));
    Ok(())
}

pub async fn an_endpoint_tells_its_last_failure<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let mut log = Log::empty(&mut world).await?;
    let endpoint = log.lease.endpoint;
    world.settle(log.lease, log.report(0).delivered([1])).await?;
    assert_eq!(world.endpoint_now(log.account, endpoint).await?.last_failure, None);
    world.settle(log.lease, log.report(0).abandoned(Place { participant: 2, index: 2 }, 1)).await?;
    let last = Some(LastFailure { at: log.at, reason: refusal().reason });
    log.at = world.pass(Duration::from_secs(1));
    world.settle(log.lease, log.report(0).delivered([3])).await?;
    assert_eq!(world.endpoint_now(log.account, endpoint).await?.last_failure, last);
    assert_eq!(world.store.endpoints(log.account, None, 1).await?.items[0].last_failure, last);
    let other = world.endpoint(log.account).await?;
    assert_eq!(world.endpoint_now(log.account, other).await?.last_failure, None);
    Ok(())
}

pub async fn a_delivery_recorded_twice_is_listed_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let mut log = Log::empty(&mut world).await?;
    let first = log.success(1);
    world.settle(log.lease, log.report(0).delivered([1, 2, 3])).await?;
    log.at = world.pass(LEASE);
    world.settle(world.lease().await?, log.report(0).delivered([2, 4])).await?;

    for size in [1, 2, 10] {
        let listed = log.pages(&world, ALL, size).await?;
        assert_eq!(listed.iter().map(|delivery| delivery.participant).collect::<Vec<_>>(), [4, 3, 2, 1]);
        assert_eq!(listed[2].last.as_ref(), Some(&first), "the receiver had it with the first");
    }
    let detail = world.store.delivery(log.account, log.id(0, 2)).await?.expect("delivered");
    assert_eq!((detail.attempts.len(), detail.summary.last), (2, Some(first)));
    Ok(())
}

pub async fn the_log_shows_names_of_now<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let log = Log::empty(&mut world).await?;
    world.settle(log.lease, log.report(0).delivered([1])).await?;
    let mut renamed = member("p1");
    renamed.participant.name = "Ada".to_owned();
    let mango = world.store.mangoes(log.account, None, 1).await?.items[0].0.id;
    world.store.enrol(log.account, Group::Mango(mango), vec![renamed]).await?;
    let person = Some(("Ada".to_owned(), "p1@example.com".to_owned()));
    assert_eq!(log.pages(&world, ALL, 10).await?[0].person, person);
    assert_eq!(world.store.delivery(log.account, log.id(0, 1)).await?.expect("there").summary.person, person);
    Ok(())
}

pub async fn the_log_of_another_account_is_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let log = Log::filled(&mut world).await?;
    let other = world.account().await?;
    assert_eq!(world.store.deliveries(other, ALL, None, 10).await?.items, []);
    let cursor = world.store.deliveries(log.account, ALL, None, 1).await?.next;
    assert_eq!(world.store.deliveries(other, ALL, cursor, 10).await?.items, []);
    let filter = DeliveryFilter { event: Some(log.events[0]), endpoint: Some(log.lease.endpoint), ..ALL };
    assert_eq!(world.store.deliveries(other, filter, None, 10).await?.items, []);
    for (fan_out, participant, _) in LOG {
        assert_eq!(world.store.delivery(other, log.id(fan_out, participant)).await?, None);
    }
    Ok(())
}

/// A lane's log: two fan-outs to nine people, p1 to p9.
struct Log {
    account: AccountId,
    lease: Lease,
    at: jiff::Timestamp,
    events: [EventId; 2],
    fan_outs: [FanOutId; 2],
}

impl Log {
    async fn empty<S: Store>(world: &mut World<S>) -> StoreResult<Log> {
        let account = world.account().await?;
        world.endpoint(account).await?;
        let mango = world.mango_of(account, &["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"]).await?;
        let plan = world.plan(&[mango]);
        let first = world.fan_out(account, &plan).await?;
        world.pass(Duration::from_secs(1));
        let second = world.fan_out(account, &plan.next()).await?;
        let events = world.store.events(account, None, 2).await?.items;
        let lease = world.lease().await?;
        let events = [events[1].id, events[0].id];
        Ok(Log { account, lease, at: world.now(), events, fan_outs: [first, second] })
    }

    /// With the contents of [`LOG`], in segments that overlap.
    async fn filled<S: Store>(world: &mut World<S>) -> StoreResult<Log> {
        let log = Log::empty(world).await?;
        let place = |number| Place { participant: number, index: number };
        let due = log.at + LEASE;
        let commits = [
            log.report(0).delivered([5]).abandoned(place(9), 10),
            log.report(0).delivered([2]).abandoned(place(4), 1).swept(),
            log.report(1).delivered([1, 6]),
            log.report(1).delivered([3, 7]).retrying(place(2), 1, due),
            log.report(1).delivered([4]),
            log.report(1).delivered([5]).abandoned(place(8), 10),
        ];
        for report in commits {
            world.settle(log.lease, report).await?;
        }
        Ok(log)
    }

    fn report(&self, index: usize) -> Report {
        Report::of(self.fan_outs[index], self.at)
    }

    fn id(&self, index: usize, participant: u64) -> DeliveryId {
        DeliveryId::new(self.fan_outs[index], ParticipantNumber::new(participant).expect("small"))
    }

    fn success(&self, number: u16) -> AttemptRecord {
        let outcome = Outcome::Answered(200);
        AttemptRecord { number, outcome, finished_at: self.at, latency_tenth_ms: Some(25), failure: None }
    }

    fn refusal(&self, number: u16) -> AttemptRecord {
        AttemptRecord { outcome: refused(), failure: Some(refusal()), ..self.success(number) }
    }

    fn shape(&self, listed: &[DeliverySummary]) -> Vec<(usize, u64, DeliveryStatus)> {
        let index = |event: EventId| usize::from(event == self.events[1]);
        listed.iter().map(|delivery| (index(delivery.event), delivery.participant, delivery.status)).collect()
    }

    /// The whole list, read in pages of `size`.
    async fn pages<S: Store>(
        &self,
        world: &World<S>,
        filter: DeliveryFilter,
        size: usize,
    ) -> Result<Vec<DeliverySummary>, StoreError> {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = world.store.deliveries(self.account, filter, after, size).await?;
            assert!(page.items.len() <= size);
            listed.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(listed);
            }
        }
    }
}
