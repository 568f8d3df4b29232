//! What owners order: a pace, a bound, a pause, an end; and versions that never arrive in the wrong order.

use std::collections::HashMap;

use provider::pace::Rate;
use provider::settings::{EndpointSettings, OlderVersions};
use store::{Backlog, Clock, DeliveryStatus, EndpointChange, FanOutState, Steer, Subscriptions};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use crate::receiver::{Answer, Arrived, Receiver};
use crate::world::{ACCOUNT, World};

#[tokio::test]
async fn a_rate_is_never_exceeded() {
    let (mut world, receiver) = paced_world(60).await;
    let (seen, mut arrivals) = unbounded_channel();
    receiver.answers(move |_| {
        let _ = seen.send(Instant::now());
        Answer::Status(200)
    });
    world.save_series().await;
    world.work().await;
    let mut times = Vec::new();
    while let Ok(at) = arrivals.try_recv() {
        times.push(at);
    }
    assert_eq!(times.len(), 60);
    for (index, at) in times.iter().enumerate().skip(BURST) {
        // A little less than the schedule, since requests take different times to arrive.
        let earliest = 0.9 * (index - BURST) as f64 / f64::from(PER_MINUTE) * 60.0 - 0.02;
        assert!(at.duration_since(times[0]).as_secs_f64() >= earliest, "request {index} came too early");
    }
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_the_owner_allows() {
    let mut world = World::with_members(50).await;
    let (receiver, endpoint) = world.subscriber().await;
    world.serve(endpoint, EndpointSettings { concurrency_max: 3, ..EndpointSettings::default() }).await;
    let mut arrivals = hanging(&receiver);
    world.save_series().await;
    world.start_work().await;
    for _ in 0..3 {
        arrivals.recv().await.unwrap();
    }
    world.stop.send_replace(true);
    assert_eq!(receiver.arrived().len(), 3);
}

#[tokio::test]
async fn a_receiver_that_hangs_ties_up_few_requests() {
    let mut world = World::with_members(50).await;
    let (receiver, _) = world.subscriber().await;
    let (answering, _) = world.subscriber().await;
    let mut arrivals = hanging(&receiver);
    world.save_series().await;
    world.start_work().await;
    for _ in 0..8 {
        arrivals.recv().await.unwrap();
    }
    while answering.copies().len() < 50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.arrived().len(), 8);
}

#[tokio::test]
async fn a_fan_out_paused_half_way_goes_on_where_it_stood() {
    let (mut world, receiver) = paced_world(100).await;
    let event = world.save_series().await;
    start_and_reach(&mut world, &receiver, 20).await;
    world.steer(event, Steer::Pause).await;
    world.finish_work().await;
    let reached = receiver.arrived().len();
    assert!((20..100).contains(&reached), "{reached}");
    let progress = world.event(event).await.fan_outs[0].clone();
    assert_eq!((progress.state, progress.delivered), (FanOutState::Paused, reached as u64));

    world.steer(event, Steer::Resume).await;
    world.work().await;
    assert_eq!((receiver.arrived().len(), receiver.copies().len()), (100, 100), "each once");
    assert_eq!(world.event(event).await.fan_outs[0].state, FanOutState::Swept);
}

#[tokio::test]
async fn a_lane_at_work_takes_up_again_what_its_owner_pauses_and_resumes() {
    let (mut world, receiver) = paced_world(100).await;
    let event = world.save_series().await;
    start_and_reach(&mut world, &receiver, 10).await;
    for _ in 0..5 {
        world.steer(event, Steer::Pause).await;
        world.steer(event, Steer::Resume).await;
    }
    world.finish_work().await;
    world.work().await;
    assert_eq!((receiver.arrived().len(), receiver.copies().len()), (100, 100), "each once");
}

#[tokio::test]
async fn a_cancelled_fan_out_sends_nothing_more() {
    let (mut world, receiver) = paced_world(100).await;
    let event = world.save_series().await;
    start_and_reach(&mut world, &receiver, 20).await;
    world.steer(event, Steer::Cancel).await;
    world.finish_work().await;
    let reached = receiver.arrived().len();
    world.advance(7 * 24 * 3600).await;
    world.work().await;
    assert_eq!(receiver.arrived().len(), reached);
    let progress = world.event(event).await.fan_outs[0].clone();
    assert_eq!((progress.state, progress.delivered), (FanOutState::Skipped, reached as u64));
    assert_eq!(progress.untold(100), 100 - reached as u64);
}

#[tokio::test]
async fn a_dropped_backlog_never_arrives_and_what_comes_later_does() {
    let mut world = World::with_members(10).await;
    let (receiver, endpoint) = world.subscriber().await;
    let now = world.clock.now();
    world.store.change_endpoint(ACCOUNT, endpoint, EndpointChange::Pause, now).await.unwrap();
    let first = world.save_series().await;
    world.store.drop_backlog(ACCOUNT, endpoint, now).await.unwrap().unwrap();
    world.store.change_endpoint(ACCOUNT, endpoint, EndpointChange::Resume, now).await.unwrap();
    let second = world.save_series().await;
    world.work().await;
    assert!(receiver.arrived().iter().all(|arrived| arrived.header("fanfare-series-version") == "2"));
    assert_eq!(world.event(first).await.fan_outs[0].state, FanOutState::Skipped);
    assert_eq!(world.event(second).await.fan_outs[0].delivered, 10);
}

#[tokio::test]
async fn a_newer_version_takes_the_place_of_the_older_where_that_is_wished() {
    let (mut world, receiver) = paced_world(60).await;
    let endpoint = world.store.endpoints(ACCOUNT, None, 1).await.unwrap().items[0].clone();
    let settings = EndpointSettings { older_versions: OlderVersions::Supersede, ..endpoint.settings };
    world.serve(endpoint.id, settings).await;
    let older = world.save_series().await;
    start_and_reach(&mut world, &receiver, 15).await;
    let newer = world.save_series().await;
    world.finish_work().await;
    world.work().await;
    assert_eq!(world.event(newer).await.fan_outs[0].delivered, 60);
    let progress = world.event(older).await.fan_outs[0].clone();
    assert_eq!(progress.state, FanOutState::Superseded);
    assert!((15..60).contains(&progress.delivered), "{}", progress.delivered);
    assert_eq!(receiver.arrived().len() as u64, 60 + progress.delivered);
    assert_in_order(&receiver, |_| false);
}

#[tokio::test]
async fn a_retry_never_follows_a_newer_version() {
    let mut world = World::with_members(20).await;
    let (receiver, _) = world.subscriber().await;
    let is_refused = |arrived: &Arrived| {
        let version = arrived.header("fanfare-series-version");
        let is_meant = matches!((arrived.name().as_str(), version), ("Person 7" | "Person 8", "1") | ("Person 8", "2"));
        is_meant && arrived.header("fanfare-attempt") == "1"
    };
    receiver.answers(move |arrived| Answer::Status(if is_refused(arrived) { 422 } else { 200 }));
    world.save_series().await;
    world.work().await;
    let newer = world.save_series().await;
    world.work().await;
    world.advance(6).await;
    world.work().await;
    assert_in_order(&receiver, is_refused);
    assert_eq!(world.event(newer).await.fan_outs[0].delivered, 20);
    let log = world.deliveries().await;
    let superseded: Vec<_> = log.iter().filter(|delivery| delivery.status == DeliveryStatus::Superseded).collect();
    assert_eq!(superseded.len(), 1, "Person 7 has the newer version; Person 8 got both, in order");
    assert_eq!((superseded[0].attempts, superseded[0].last.is_some()), (1, true));
}

#[tokio::test]
async fn versions_saved_in_a_row_reach_each_person_in_order() {
    let mut world = World::with_members(40).await;
    let (receiver, _) = world.subscriber().await;
    let is_refused = |arrived: &Arrived| arrived.header("fanfare-attempt") == "1" && arrived.name().ends_with('3');
    receiver.answers(move |arrived| Answer::Status(if is_refused(arrived) { 422 } else { 200 }));
    for _ in 0..4 {
        world.save_series().await;
        world.start_work().await;
    }
    for _ in 0..3 {
        world.finish_work().await;
        world.advance(6).await;
        world.work().await;
    }
    assert_in_order(&receiver, is_refused);
}

const PER_MINUTE: u32 = 6_000;
const BURST: usize = 5;

/// A world whose one endpoint gets 100 requests a second.
async fn paced_world(members: usize) -> (World, Receiver) {
    let world = World::with_members(members).await;
    let (receiver, endpoint) = world.subscriber().await;
    let rate = Rate::new(PER_MINUTE, BURST as u32).ok();
    world.serve(endpoint, EndpointSettings { rate, ..EndpointSettings::default() }).await;
    (world, receiver)
}

async fn start_and_reach(world: &mut World, receiver: &Receiver, people: usize) {
    world.start_work().await;
    while receiver.arrived().len() < people {
        tokio::task::yield_now().await;
    }
}

/// A receiver that never answers tells of each request.
fn hanging(receiver: &Receiver) -> UnboundedReceiver<()> {
    let (seen, arrivals) = unbounded_channel();
    receiver.answers(move |_| {
        let _ = seen.send(());
        Answer::Nothing
    });
    arrivals
}

/// Nobody was told an older version after a newer one had been accepted.
fn assert_in_order(receiver: &Receiver, is_refused: impl Fn(&Arrived) -> bool) {
    let mut newest: HashMap<String, u32> = HashMap::new();
    for arrived in receiver.arrived() {
        let version: u32 = arrived.header("fanfare-series-version").parse().unwrap();
        let known = newest.entry(arrived.name()).or_default();
        assert!(version >= *known, "{} was told version {version} after {known}", arrived.name());
        if !is_refused(&arrived) {
            *known = version;
        }
    }
}
