//! Replays: the same ids, nobody twice, at their pace, whatever happens meanwhile.

mod stuck;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use provider::pace::Rate;
use store::{
    Chance, Clock, DeliveryStatus, FanOutState, NewReplay, OutdatedReplay, Replay, ReplayScope, ReplayState, ReplayWay,
    Replays, Started, Steer,
};
use tokio::time::Instant;
use wire::{EventId, ReplayId};

use crate::receiver::{Answer, Arrived, Receiver};
use crate::world::{ACCOUNT, World};

#[tokio::test]
async fn failed_deliveries_arrive_after_all_and_the_others_do_not_come_again() {
    let mut failed = Failed::of(10, &[3, 7]).await;
    let replay = failed.start(failed.all_failed(), None).await;
    assert_eq!((replay.counted, replay.way), (2, ReplayWay::Revive));
    failed.world.turn_replays().await;
    failed.world.work().await;

    let copies = failed.receiver.copies();
    assert_eq!(copies.len(), 10, "under the ids of the first time");
    let again: Vec<String> = failed.arrived_after().into_iter().map(|(name, _)| name).collect();
    assert_eq!(again.len(), 2, "{again:?}");
    assert!(again.iter().all(|name| ["Person 3", "Person 7"].contains(&name.as_str())));
    let replay = failed.shown(replay.id).await;
    assert_eq!((replay.state, replay.begun, replay.delivered), (ReplayState::Done, 2, 2));
    let fan_out = failed.world.event(failed.event).await.fan_outs[0].clone();
    assert_eq!((fan_out.delivered, fan_out.abandoned, fan_out.retrying), (10, 0, 0));
}

#[tokio::test]
async fn what_fails_again_has_a_whole_schedule_again() {
    let mut failed = Failed::of(3, &[2]).await;
    failed.is_down.store(true, Ordering::SeqCst);
    let replay = failed.start(failed.all_failed(), None).await.id;
    for _ in 0..12 {
        failed.world.turn_replays().await;
        failed.world.work().await;
        failed.world.advance(27 * 3_600).await;
    }
    assert_eq!(failed.arrived_after().len(), 10);
    let replay = failed.shown(replay).await;
    assert_eq!((replay.delivered, replay.waiting, replay.abandoned), (0, 0, 1));
}

#[tokio::test]
async fn a_retry_that_waits_for_hours_comes_at_once() {
    let mut world = World::with_members(5).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|_| Answer::Status(404));
    let event = world.save_series().await;
    world.work().await;
    receiver.answers(|_| Answer::Status(200));
    let scope = ReplayScope::Failed { event: Some(event), endpoint: None, since: None };
    assert_eq!(begin(&world, scope, None, OutdatedReplay::Refused).await.counted, 5);
    world.turn_replays().await;
    world.work().await;
    assert_eq!(receiver.copies().values().copied().collect::<Vec<_>>(), [2; 5]);
    assert_eq!(world.event(event).await.fan_outs[0].delivered, 5);
}

#[tokio::test]
async fn a_replay_keeps_its_pace_and_goes_on_after_a_pause_where_it_stood() {
    let mut failed = Failed::of(40, &(1..=40).collect::<Vec<_>>()).await;
    let id = failed.start(failed.all_failed(), Rate::steady(60).ok()).await.id;
    failed.seconds(10).await;
    let after_ten = failed.arrived_after().len();
    assert!((10..=11).contains(&after_ten), "{after_ten}");

    failed.steer(id, Steer::Pause).await;
    failed.seconds(10).await;
    assert_eq!(failed.arrived_after().len(), after_ten);
    failed.steer(id, Steer::Resume).await;
    failed.seconds(5).await;
    let after_more = failed.arrived_after().len() - after_ten;
    assert!((5..=6).contains(&after_more), "{after_more}");

    failed.steer(id, Steer::Cancel).await;
    failed.seconds(20).await;
    assert_eq!(failed.arrived_after().len(), after_ten + after_more);
    let replay = failed.shown(id).await;
    assert_eq!((replay.state, replay.begun), (ReplayState::Cancelled, (after_ten + after_more) as u64));
    let left = failed.world.event(failed.event).await.fan_outs[0].abandoned;
    assert_eq!(left as usize, 40 - after_ten - after_more, "what had no turn stays as it was");
}

#[tokio::test]
async fn a_process_that_dies_between_two_turns_forgets_nobody_and_doubles_nobody() {
    let mut failed = Failed::of(30, &(1..=30).collect::<Vec<_>>()).await;
    let id = failed.start(failed.all_failed(), Rate::steady(60).ok()).await.id;
    for _ in 0..6 {
        failed.seconds(6).await;
        // What this process knew of the replay and of the lanes is gone.
        failed.world.restart().await;
    }
    failed.seconds(2).await;
    let replay = failed.shown(id).await;
    assert_eq!((replay.state, replay.begun, replay.delivered), (ReplayState::Done, 30, 30));
    assert_eq!(failed.arrived_after().len(), 30, "each once");
}

#[tokio::test]
async fn a_failed_delivery_of_an_old_version_stays_superseded() {
    let mut failed = Failed::of(5, &[2]).await;
    failed.world.save_series().await;
    failed.world.work().await;
    let before = failed.receiver.arrived().len();
    let id = failed.start(failed.all_failed(), None).await.id;
    failed.world.turn_replays().await;
    failed.world.work().await;
    assert_eq!(failed.receiver.arrived().len(), before, "the person has the newer one");
    let replay = failed.shown(id).await;
    assert_eq!((replay.begun, replay.called_off), (1, 1));
    let statuses: Vec<_> = failed.world.deliveries().await.into_iter().map(|delivery| delivery.status).collect();
    assert!(statuses.contains(&DeliveryStatus::Superseded));
}

#[tokio::test]
async fn a_whole_event_comes_again_under_the_same_ids() {
    let mut world = World::with_members(600).await;
    let (receiver, _) = world.subscriber().await;
    let event = world.save_series().await;
    world.work().await;
    let replay = begin(&world, ReplayScope::Event { event, endpoint: None }, None, OutdatedReplay::Refused).await;
    world.work().await;
    assert_eq!((replay.counted, receiver.arrived().len()), (600, 1_200));
    assert!(receiver.copies().values().all(|copies| *copies == 2), "a receiver recognises each");
    for (index, arrived) in receiver.arrived().iter().enumerate() {
        let expected = if index < 600 { String::new() } else { replay.id.to_string() };
        assert_eq!(arrived.header("fanfare-replay"), expected);
    }
    let shown = world.store.replay(ACCOUNT, replay.id).await.unwrap().unwrap();
    assert_eq!((shown.state, shown.delivered), (ReplayState::Done, 600));
}

#[tokio::test]
async fn one_delivery_comes_again_alone() {
    let mut world = World::with_members(5).await;
    let (receiver, _) = world.subscriber().await;
    world.save_series().await;
    world.work().await;
    let delivery = world.deliveries().await.into_iter().find(|delivery| delivery.participant == 4).unwrap();
    begin(&world, ReplayScope::Delivery(delivery.id), None, OutdatedReplay::Refused).await;
    world.work().await;
    let twice: Vec<_> = receiver.copies().into_iter().filter(|(_, copies)| *copies == 2).map(|(id, _)| id).collect();
    assert_eq!(twice, [wire::MessageId::from(delivery.id).to_string()]);
    let last = receiver.arrived().pop().unwrap();
    assert_eq!((last.header("fanfare-index"), last.header("fanfare-total")), ("1", "1"));
}

#[tokio::test]
async fn a_slow_replay_lets_what_is_announced_pass_and_may_be_paused_half_way() {
    let mut world = World::with_members(200).await;
    let (receiver, _) = world.subscriber().await;
    let event = world.save_series().await;
    world.work().await;
    let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    receiver.answers(move |_| {
        let _ = seen.send(Instant::now());
        Answer::Status(200)
    });
    let scope = ReplayScope::Event { event, endpoint: None };
    let id = begin(&world, scope, Rate::steady(600).ok(), OutdatedReplay::Allowed).await.id;
    world.start_work().await;
    let first = arrivals.recv().await.unwrap();
    // 600 a minute are ten a second.
    let mut twelfth = first;
    for _ in 1..12 {
        twelfth = arrivals.recv().await.unwrap();
    }
    assert!(twelfth.duration_since(first).as_millis() >= 1_000, "{:?}", twelfth.duration_since(first));

    let newer = world.save_series().await;
    while world.event(newer).await.fan_outs[0].state != FanOutState::Swept {
        arrivals.recv().await.unwrap();
    }
    let replay = world.store.replay(ACCOUNT, id).await.unwrap().unwrap();
    assert!(replay.state == ReplayState::Running && replay.begun < 190, "{replay:?}");

    world.store.steer_replay(ACCOUNT, id, Steer::Pause, world.clock.now()).await.unwrap().unwrap();
    world.finish_work().await;
    let reached = receiver.arrived().len();
    let replay = world.store.replay(ACCOUNT, id).await.unwrap().unwrap();
    assert_eq!((replay.state, replay.delivered as usize), (ReplayState::Paused, reached - 400));
    world.work().await;
    assert_eq!(receiver.arrived().len(), reached);
}

/// An event of which some were given up; then the receiver recovers.
struct Failed {
    world: World,
    receiver: Receiver,
    is_down: Arc<AtomicBool>,
    event: EventId,
    before: usize,
}

impl Failed {
    async fn of(members: usize, refused: &[usize]) -> Failed {
        let mut world = World::with_members(members).await;
        let (receiver, _) = world.subscriber().await;
        let is_down = Arc::new(AtomicBool::new(true));
        let (script, names) =
            (is_down.clone(), refused.iter().map(|number| format!("Person {number}")).collect::<Vec<_>>());
        receiver.answers(move |arrived| {
            let refuses = script.load(Ordering::SeqCst) && names.contains(&arrived.name());
            Answer::Status(if refuses { 400 } else { 200 })
        });
        let event = world.save_series().await;
        for _ in 0..11 {
            world.work().await;
            world.advance(27 * 3_600).await;
        }
        assert_eq!(world.event(event).await.fan_outs[0].abandoned as usize, refused.len());
        is_down.store(false, Ordering::SeqCst);
        let before = receiver.arrived().len();
        Failed { world, receiver, is_down, event, before }
    }

    fn all_failed(&self) -> ReplayScope {
        ReplayScope::Failed { event: Some(self.event), endpoint: None, since: None }
    }

    async fn start(&self, scope: ReplayScope, rate: Option<Rate>) -> Replay {
        begin(&self.world, scope, rate, OutdatedReplay::Refused).await
    }

    async fn steer(&self, id: ReplayId, steer: Steer) {
        let now = self.world.clock.now();
        self.world.store.steer_replay(ACCOUNT, id, steer, now).await.unwrap().unwrap();
    }

    async fn shown(&self, id: ReplayId) -> Replay {
        self.world.store.replay(ACCOUNT, id).await.unwrap().unwrap()
    }

    /// Lets time pass second by second, with a turn and what follows from it in each.
    async fn seconds(&mut self, seconds: usize) {
        for _ in 0..seconds {
            self.world.turn_replays().await;
            self.world.work().await;
            self.world.advance(1).await;
        }
    }

    /// Name and id of what has come since the receiver recovered.
    fn arrived_after(&self) -> Vec<(String, String)> {
        let arrived = self.receiver.arrived();
        arrived[self.before..].iter().map(|arrived| (arrived.name(), arrived.id.clone())).collect()
    }
}

async fn begin(world: &World, scope: ReplayScope, rate: Option<Rate>, outdated: OutdatedReplay) -> Replay {
    let now = world.clock.now();
    let foreseen = world.store.foresee(ACCOUNT, scope, now).await.unwrap().unwrap();
    let chance: &dyn Chance = &*world.chance();
    let id = ReplayId::from_bytes(chance.id_bytes(now));
    let (way, deliveries) = (foreseen.way, foreseen.deliveries);
    let new = NewReplay { id, scope, way, deliveries, rate, outdated, now };
    match world.store.start_replay(ACCOUNT, new).await.unwrap() {
        Started::Replay(replay) => replay,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_started_replay_begins_when_it_is_told_and_wakes_the_lane() {
    let failed = Failed::of(4, &[1]).await;
    let (hint, stop) = failed.world.run_in_the_background();
    failed.start(failed.all_failed(), None).await;
    hint.notify_one();
    // Neither the replays' nor the lanes' poll of a second is waited for.
    let arrives = async {
        while failed.arrived_after().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_millis(700), arrives).await.unwrap();
    stop.send_replace(true);
}

#[tokio::test]
async fn a_lane_that_only_sends_slowly_hears_of_an_erasure_all_the_same() {
    let mut world = World::with_members(3).await;
    let (receiver, _) = world.subscriber().await;
    let event = world.save_series().await;
    world.work().await;
    let scope = ReplayScope::Event { event, endpoint: None };
    begin(&world, scope, Rate::steady(60).ok(), OutdatedReplay::Refused).await;
    world.start_work().await;
    // The lane has nothing to do for a second then, and what tells it of the erasure is what it reads meanwhile.
    while world.event(event).await.fan_outs.iter().map(|fan_out| fan_out.delivered).sum::<u64>() < 4 {
        tokio::task::yield_now().await;
    }
    world.erase("Person 3").await;
    world.finish_work().await;
    world.work().await;
    let again: Vec<_> = receiver.arrived().iter().skip(3).map(Arrived::name).collect();
    assert_eq!(again, ["Person 1", "Person 2"]);
}
