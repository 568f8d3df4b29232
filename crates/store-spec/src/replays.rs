//! What a store owes of replays: the same ids, each failed delivery once, and nothing that its owner has not asked for.

use std::time::Duration;

use provider::frontier::Place;
use provider::pace::Rate;
use provider::replay::Turn;
use store::{
    DeliveryFilter, DeliveryStatus, DueReplay, FanOutState, NewReplay, OPEN_REPLAYS_MAX, OutdatedReplay, Replay,
    ReplayScope, ReplayState, ReplayWay, Revived, Started, Steer, Store, StoreResult,
};
use wire::{AccountId, DeliveryId, EndpointId, EventId, FanOutId, ParticipantNumber, ReplayId};

use crate::World;
use crate::world::{Plan, Report};

pub async fn failed_deliveries_are_revived_each_once_in_chunks<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let scope = ReplayScope::Failed { event: None, endpoint: Some(lane.endpoint), since: None };
    let foreseen = world.store.foresee(lane.account, scope, world.now()).await?.expect("the endpoint is there");
    assert_eq!((foreseen.deliveries, foreseen.way), (2, ReplayWay::Revive), "one given up, one waiting for hours");
    let id = lane.start(&mut world, scope, None).await?.id;

    let due = lane.due(&world).await?;
    assert_eq!(revive(&world, due, 1).await?, Revived { deliveries: 1, state: ReplayState::Running });
    assert_eq!(revive(&world, due, 1).await?.deliveries, 0, "a turn taken twice is one");
    let due = lane.due(&world).await?;
    assert_eq!((due.begun, due.waiting), (1, 1));
    assert_eq!(revive(&world, due, 10).await?, Revived { deliveries: 1, state: ReplayState::Done });

    let lease = world.lease().await?;
    let retries = world.store.due_retries(lease, world.now(), 10).await?.retries;
    let told: Vec<_> = retries.iter().map(|one| (one.recipient.place.participant, one.attempt, one.charged)).collect();
    assert_eq!(told, [(2, 5, 0), (3, 2, 0)], "attempts go on, schedules begin again");
    let now = world.now();
    let report = Report::of(lane.fan_out, now).delivered_at(2, 5).recovered(2).abandoned(place(3), 2);
    world.settle(lease, report).await?;
    let replay = lane.replay(&world, id).await?;
    assert_eq!((replay.counted, replay.begun, replay.delivered, replay.abandoned), (2, 2, 1, 1));
    Ok(())
}

pub async fn a_revived_delivery_is_its_last_replays<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let scope = ReplayScope::Delivery(delivery(lane.fan_out, 2));
    let first = lane.start(&mut world, scope, None).await?.id;
    revive(&world, lane.due(&world).await?, 10).await?;
    let lease = world.lease().await?;
    world.settle(lease, Report::of(lane.fan_out, world.now()).abandoned(place(2), 5)).await?;
    let second = lane.start(&mut world, scope, None).await?.id;
    assert_eq!(revive(&world, lane.due(&world).await?, 10).await?.deliveries, 1);
    world.settle(lease, Report::of(lane.fan_out, world.now()).delivered_at(2, 6).recovered(2)).await?;
    let (first, second) = (lane.replay(&world, first).await?, lane.replay(&world, second).await?);
    assert_eq!((first.begun, first.delivered), (1, 0));
    assert_eq!((second.begun, second.delivered, second.waiting), (1, 1, 0));
    Ok(())
}

pub async fn only_what_failed_in_time_and_may_leave_is_revived<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let event = lane.event(&world).await?;
    let count = async |world: &World<S>, since| {
        let scope = ReplayScope::Failed { event: Some(event), endpoint: None, since };
        Ok::<_, store::StoreError>(world.store.foresee(lane.account, scope, world.now()).await?.map(|it| it.deliveries))
    };
    assert_eq!(count(&world, Some(world.now())).await?, Some(2));
    assert_eq!(count(&world, Some(world.now() + Duration::from_millis(1))).await?, Some(0));
    for (steer, expected) in [(Steer::Pause, 0), (Steer::Resume, 1), (Steer::Cancel, 0)] {
        world.store.steer(lane.account, event, None, steer, world.now()).await?;
        // What was held is due at once: it needs no replay.
        assert_eq!(count(&world, None).await?, Some(expected), "{steer:?}");
    }
    Ok(())
}

pub async fn what_fails_after_the_start_is_left_to_the_next_replay<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let scope = ReplayScope::Failed { event: None, endpoint: Some(lane.endpoint), since: None };
    lane.start(&mut world, scope, None).await?;
    let later = world.pass(Duration::from_millis(1));
    let plan = world.plan(&[]);
    world.save(lane.account, &plan).await?;
    let lease = world.lease().await?;
    world.settle(lease, Report::of(lane.fan_out, later).abandoned(place(4), 9)).await?;
    assert_eq!(revive(&world, lane.due(&world).await?, 10).await?.deliveries, 2);
    Ok(())
}

pub async fn a_paused_or_cancelled_replay_has_no_turn<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let scope = ReplayScope::Failed { event: None, endpoint: Some(lane.endpoint), since: None };
    let id = lane.start(&mut world, scope, None).await?.id;
    let due = lane.due(&world).await?;
    for (steer, state, deliveries) in [
        (Steer::Pause, ReplayState::Paused, 0),
        (Steer::Pause, ReplayState::Paused, 0),
        (Steer::Cancel, ReplayState::Cancelled, 0),
        (Steer::Resume, ReplayState::Cancelled, 0),
    ] {
        assert!(world.store.steer_replay(lane.account, id, steer, world.now()).await?.is_some());
        assert_eq!(lane.replay(&world, id).await?.state, state);
        assert_eq!(world.store.due_replays(world.now(), 10).await?, []);
        assert_eq!(revive(&world, due, 10).await?, Revived { deliveries, state });
    }
    Ok(())
}

pub async fn a_whole_event_is_sent_again_by_fan_outs_of_its_own<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let scope = ReplayScope::Event { event: lane.event(&world).await?, endpoint: None };
    let foreseen = world.store.foresee(lane.account, scope, world.now()).await?.expect("the event is there");
    assert_eq!((foreseen.deliveries, foreseen.way, foreseen.newer), (4, ReplayWay::Resend, None));
    assert_eq!(foreseen.example.map(|one| (one.participant, one.status)), Some((1, DeliveryStatus::Delivered)));
    let id = lane.start(&mut world, scope, Rate::steady(60).ok()).await?.id;

    let lease = world.lease().await?;
    let [work] = &world.work(lease).await?.fan_outs[..] else { panic!("one fan-out") };
    let sent = &work.fan_out;
    assert!(sent.id != lane.fan_out && sent.origin == lane.fan_out && sent.replay == Some(id));
    assert_eq!((sent.audience, sent.rate), (4, Rate::steady(60).ok()));
    assert_eq!(world.names(lane.account, sent.id).await?, ["p1", "p2", "p3", "p4"]);
    let now = world.now();
    world.settle(lease, Report::of(sent.id, now).delivered([1, 2, 3]).abandoned(place(4), 1).swept()).await?;
    let replay = lane.replay(&world, id).await?;
    assert_eq!((replay.state, replay.begun, replay.delivered, replay.abandoned), (ReplayState::Done, 4, 3, 1));
    Ok(())
}

pub async fn one_delivery_that_arrived_is_sent_again_alone<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let scope = ReplayScope::Delivery(delivery(lane.fan_out, 1));
    let first = lane.start(&mut world, scope, None).await?.id;
    let lease = world.lease().await?;
    let again = world.work(lease).await?.fan_outs[0].fan_out.clone();
    assert_eq!((again.audience, again.origin, again.replay), (1, lane.fan_out, Some(first)));
    assert_eq!(world.names(lane.account, again.id).await?, ["p1"]);
    world.settle(lease, Report::of(again.id, world.now()).delivered([1]).swept()).await?;

    let scope = ReplayScope::Delivery(delivery(again.id, 1));
    lane.start(&mut world, scope, None).await?;
    assert_eq!(world.work(lease).await?.fan_outs[0].fan_out.origin, lane.fan_out, "ids are those of the first time");
    Ok(())
}

pub async fn an_outdated_version_is_sent_again_only_on_purpose<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let scope = ReplayScope::Event { event: lane.event(&world).await?, endpoint: Some(lane.endpoint) };
    let newer = world.fan_out(lane.account, &lane.plan.next()).await?;
    let foreseen = world.store.foresee(lane.account, scope, world.now()).await?;
    assert_eq!(foreseen.and_then(|foreseen| foreseen.newer), Some(2));
    let mut new = lane.new_replay(&mut world, scope, None).await?;
    assert_eq!(world.store.start_replay(lane.account, new).await?, Started::Outdated { newer: 2 });
    assert_eq!(world.store.replay(lane.account, new.id).await?, None);

    new.outdated = OutdatedReplay::Allowed;
    assert!(matches!(world.store.start_replay(lane.account, new).await?, Started::Replay(_)));
    let lease = world.lease().await?;
    let again = world.work(lease).await?.fan_outs[1].fan_out.id;
    let now = world.now();
    world.settle(lease, Report::of(newer, now).delivered([1])).await?;
    world.settle(lease, Report::of(again, now).retrying(place(1), 1, now)).await?;
    let retries = world.store.due_retries(lease, now, 10).await?.retries;
    let outdated: Vec<_> = retries.iter().map(|retry| (retry.fan_out, retry.is_outdated)).collect();
    assert_eq!(outdated, [(again, false)], "its owner wants it so");
    Ok(())
}

pub async fn a_replay_ends_where_a_newer_version_is_announced<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let event = lane.event(&world).await?;
    let id = lane.start(&mut world, ReplayScope::Event { event, endpoint: None }, None).await?.id;
    world.save(lane.account, &lane.plan.next()).await?;
    let events = world.store.events(lane.account, None, 10).await?.items;
    let states: Vec<_> = events[1].fan_outs.iter().map(|one| (one.replay.is_some(), one.state)).collect();
    assert_eq!(states, [(false, FanOutState::Swept), (true, FanOutState::Superseded)]);
    assert_eq!(lane.replay(&world, id).await?.state, ReplayState::Done);
    Ok(())
}

pub async fn a_slow_replay_takes_no_place_from_what_is_announced<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let event = lane.event(&world).await?;
    for _ in 0..6 {
        lane.start(&mut world, ReplayScope::Event { event, endpoint: None }, Rate::steady(1).ok()).await?;
    }
    let plan = world.plan(&[]);
    let announced = world.fan_out(lane.account, &plan).await?;
    let lease = world.lease().await?;
    let work = world.work(lease).await?.fan_outs;
    let open: Vec<_> = work.iter().map(|work| (work.fan_out.id == announced, work.fan_out.rate.is_some())).collect();
    assert_eq!(open, [(true, false), (false, true)]);
    Ok(())
}

pub async fn a_replay_that_resends_is_steered_by_its_fan_outs<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let event = lane.event(&world).await?;
    let id = lane.start(&mut world, ReplayScope::Event { event, endpoint: None }, None).await?.id;
    for (steer, state, running) in [
        (Steer::Pause, ReplayState::Paused, 0),
        (Steer::Resume, ReplayState::Running, 1),
        (Steer::Cancel, ReplayState::Cancelled, 0),
    ] {
        let steered = world.store.steer_replay(lane.account, id, steer, world.now()).await?.expect("it is there");
        assert_eq!(steered.fan_outs, 1);
        assert_eq!(lane.replay(&world, id).await?.state, state);
        let events = world.store.events(lane.account, None, 1).await?.items;
        let states = events[0].fan_outs.iter().filter(|one| one.state == FanOutState::Running);
        assert_eq!(states.count(), running, "{steer:?}; what it repeats is not touched");
    }
    Ok(())
}

pub async fn an_account_has_few_replays_under_way<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let scope = ReplayScope::Failed { event: None, endpoint: Some(lane.endpoint), since: None };
    let mut ids = Vec::new();
    for _ in 0..OPEN_REPLAYS_MAX {
        ids.push(lane.start(&mut world, scope, None).await?.id);
    }
    let new = lane.new_replay(&mut world, scope, None).await?;
    assert_eq!(world.store.start_replay(lane.account, new).await?, Started::TooMany);
    world.store.steer_replay(lane.account, ids[3], Steer::Cancel, world.now()).await?;
    assert!(matches!(world.store.start_replay(lane.account, new).await?, Started::Replay(_)));
    ids.push(new.id);
    ids.reverse();
    let first = world.store.replays(lane.account, None, 5).await?;
    let rest = world.store.replays(lane.account, first.next, 100).await?;
    let listed: Vec<_> = first.items.iter().chain(&rest.items).map(|replay| replay.id).collect();
    assert_eq!(listed, ids, "newest first, in pages");
    Ok(())
}

pub async fn replays_of_another_account_are_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::with_failures(&mut world).await?;
    let event = lane.event(&world).await?;
    let own = ReplayScope::Event { event, endpoint: None };
    let id = lane.start(&mut world, own, None).await?.id;
    let other = world.account().await?;
    assert_eq!(world.store.replay(other, id).await?, None);
    assert_eq!(world.store.replays(other, None, 10).await?.items, []);
    assert_eq!(world.store.steer_replay(other, id, Steer::Cancel, world.now()).await?, None);
    for scope in [
        own,
        ReplayScope::Delivery(delivery(lane.fan_out, 2)),
        ReplayScope::Failed { event: None, endpoint: Some(lane.endpoint), since: None },
        ReplayScope::Failed { event: Some(event), endpoint: None, since: None },
    ] {
        assert_eq!(world.store.foresee(other, scope, world.now()).await?, None, "{scope:?}");
    }
    Ok(())
}

fn place(number: u64) -> Place {
    Place { participant: number, index: number }
}

fn delivery(fan_out: FanOutId, participant: u64) -> DeliveryId {
    DeliveryId::new(fan_out, ParticipantNumber::new(participant).expect("a small number"))
}

async fn revive<S: Store>(world: &World<S>, due: DueReplay, deliveries: u64) -> StoreResult<Revived> {
    let next_at = world.now();
    world.store.revive(due, Turn { deliveries, next_at }, world.now()).await
}

/// A lane whose one fan-out to four people is swept: the first and the fourth have theirs, the second is given up, the
/// third waits for hours.
struct Lane {
    account: AccountId,
    endpoint: EndpointId,
    plan: Plan,
    fan_out: FanOutId,
}

impl Lane {
    async fn with_failures<S: Store>(world: &mut World<S>) -> StoreResult<Lane> {
        let account = world.account().await?;
        let endpoint = world.endpoint(account).await?;
        let mango = world.mango_of(account, &["p1", "p2", "p3", "p4"]).await?;
        let plan = world.plan(&[mango]);
        let fan_out = world.fan_out(account, &plan).await?;
        let lease = world.lease().await?;
        world.work(lease).await?;
        let now = world.now();
        let report = Report::of(fan_out, now).delivered([1, 4]).abandoned(place(2), 4);
        let report = report.retrying(place(3), 1, now + Duration::from_secs(7_200)).up_to(place(4)).swept();
        world.settle(lease, report).await?;
        world.store.release(lease, now).await?;
        Ok(Lane { account, endpoint, plan, fan_out })
    }

    async fn event<S: Store>(&self, world: &World<S>) -> StoreResult<EventId> {
        let log = world.store.deliveries(self.account, DeliveryFilter::default(), None, 1).await?.items;
        Ok(log[0].event)
    }

    async fn new_replay<S: Store>(
        &self,
        world: &mut World<S>,
        scope: ReplayScope,
        rate: Option<Rate>,
    ) -> StoreResult<NewReplay> {
        let (id, now) = (ReplayId::from_bytes(world.id()), world.now());
        let foreseen = world.store.foresee(self.account, scope, now).await?.expect("the scope is there");
        let (way, deliveries) = (foreseen.way, foreseen.deliveries);
        Ok(NewReplay { id, scope, way, deliveries, rate, outdated: OutdatedReplay::Refused, now })
    }

    async fn start<S: Store>(
        &self,
        world: &mut World<S>,
        scope: ReplayScope,
        rate: Option<Rate>,
    ) -> StoreResult<Replay> {
        let new = self.new_replay(world, scope, rate).await?;
        match world.store.start_replay(self.account, new).await? {
            Started::Replay(replay) => Ok(replay),
            other => panic!("it starts, not {other:?}"),
        }
    }

    /// The one replay that is due for a turn.
    async fn due<S: Store>(&self, world: &World<S>) -> StoreResult<DueReplay> {
        match world.store.due_replays(world.now(), 10).await?[..] {
            [due] => Ok(due),
            ref other => panic!("one replay is due, not {other:?}"),
        }
    }

    async fn replay<S: Store>(&self, world: &World<S>, id: ReplayId) -> StoreResult<Replay> {
        Ok(world.store.replay(self.account, id).await?.expect("started before"))
    }
}
