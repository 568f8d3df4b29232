//! When receivers refuse, fail, or vanish.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::{DeliveryStatus, EndpointChange, FanOutState, Notices, Subscriptions};

use crate::receiver::Answer;
use crate::world::{ACCOUNT, World};

#[tokio::test]
async fn a_refused_delivery_is_tried_again_later_and_holds_up_nobody() {
    let mut world = World::with_members(100).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|arrived| match (arrived.name().as_str(), arrived.header("fanfare-attempt")) {
        ("Person 7", "1") => Answer::Status(422),
        _ => Answer::Status(200),
    });
    let event = world.save_series().await;
    world.work().await;
    let fan_out = world.event(event).await.fan_outs[0].clone();
    assert_eq!((fan_out.delivered, fan_out.retrying, fan_out.state), (99, 1, FanOutState::Swept));

    world.work().await;
    assert_eq!(receiver.arrived().len(), 100, "not before it is due");
    world.advance(6).await;
    world.work().await;
    let fan_out = world.event(event).await.fan_outs[0].clone();
    assert_eq!((fan_out.delivered, fan_out.retrying), (100, 0));
    let retried = world.deliveries().await.into_iter().find(|delivery| delivery.attempts == 2).unwrap();
    assert_eq!(retried.status, DeliveryStatus::Delivered);
    assert_eq!(receiver.copies().values().filter(|copies| **copies == 2).count(), 1, "under the same id");
}

#[tokio::test]
async fn a_delivery_refused_ten_times_is_abandoned_and_visible() {
    let mut world = World::with_members(3).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|arrived| Answer::Status(if arrived.name() == "Person 2" { 400 } else { 200 }));
    let event = world.save_series().await;
    for _ in 0..12 {
        world.work().await;
        world.advance(27 * 3600).await;
    }
    let fan_out = world.event(event).await.fan_outs[0].clone();
    assert_eq!((fan_out.delivered, fan_out.retrying, fan_out.abandoned), (2, 0, 1));
    assert_eq!(receiver.copies().values().max(), Some(&10));
    assert_eq!(world.deliveries().await[0].status, DeliveryStatus::Abandoned);
}

#[tokio::test]
async fn a_body_that_breaks_the_receiver_is_abandoned_and_the_others_get_theirs() {
    let mut world = World::with_members(30).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|arrived| Answer::Status(if arrived.name() == "Person 2" { 500 } else { 200 }));
    let event = world.save_series().await;
    for _ in 0..40 {
        world.work().await;
        world.advance(27 * 3600).await;
    }
    let fan_out = world.event(event).await.fan_outs[0].clone();
    assert_eq!((fan_out.delivered, fan_out.retrying, fan_out.abandoned), (29, 0, 1));
    let attempts = receiver.copies().values().max().copied().unwrap();
    assert!((10..=14).contains(&attempts), "{attempts} attempts, some of them probes");
    let numbers: Vec<String> = receiver
        .arrived()
        .iter()
        .filter(|arrived| arrived.name() == "Person 2")
        .map(|arrived| arrived.header("fanfare-attempt").to_owned())
        .collect();
    let expected: Vec<String> = (1..=attempts).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected, "every attempt has a number of its own");
}

#[tokio::test]
async fn a_straggler_does_not_hold_up_the_next_version() {
    let mut world = World::with_members(20).await;
    let (receiver, _) = world.subscriber().await;
    let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    receiver.answers(move |arrived| {
        let version = arrived.header("fanfare-series-version").to_owned();
        let hangs = arrived.name() == "Person 5" && version == "1";
        let _ = seen.send(version);
        if hangs { Answer::Nothing } else { Answer::Status(200) }
    });
    world.save_series().await;
    world.start_work().await;
    for _ in 0..20 {
        assert_eq!(arrivals.recv().await.unwrap(), "1");
    }
    world.save_series().await;
    for _ in 0..19 {
        assert_eq!(arrivals.recv().await.unwrap(), "2", "all but the one whose first version is still on its way");
    }
}

#[tokio::test]
async fn a_dead_endpoint_costs_a_window_and_then_a_probe_now_and_then() {
    let mut world = World::with_members(1_000).await;
    let (receiver, _) = world.subscriber().await;
    let is_down = Arc::new(AtomicBool::new(true));
    let script = is_down.clone();
    receiver.answers(move |_| Answer::Status(if script.load(Ordering::SeqCst) { 503 } else { 200 }));
    let event = world.save_series().await;
    world.work().await;
    let at_first = receiver.arrived().len();
    assert!(at_first <= 16, "{at_first} requests before the lane opened");
    for _ in 0..60 {
        world.advance(60).await;
        world.work().await;
    }
    let probes = receiver.arrived().len() - at_first;
    assert!((10..=30).contains(&probes), "{probes} probes in an hour");

    is_down.store(false, Ordering::SeqCst);
    for _ in 0..10 {
        world.advance(3600).await;
        world.work().await;
    }
    let fan_out = world.event(event).await.fan_outs[0].clone();
    assert_eq!((fan_out.delivered, fan_out.retrying, fan_out.abandoned), (1_000, 0, 0));
}

#[tokio::test]
async fn an_endpoint_that_fails_for_days_costs_probes_and_is_then_left_alone_with_its_backlog() {
    let mut world = World::with_members(2_000).await;
    let (receiver, endpoint) = world.subscriber().await;
    receiver.answers(|_| Answer::Status(500));
    let event = world.save_series().await;
    let five_minutes = 330;
    for _ in 0..24 * 3600 / five_minutes + 2 {
        world.work().await;
        world.advance(five_minutes).await;
    }
    let requests = receiver.arrived().len();
    assert!((150..350).contains(&requests), "{requests} requests in a day, for 2,000 people waiting");
    let health = world.store.endpoint(ACCOUNT, endpoint).await.unwrap().unwrap().health;
    assert_eq!(health.name(), "disabled");
    let notices = world.store.notices(ACCOUNT, None, 10).await.unwrap().items;
    assert_eq!(notices.len(), 1, "the owner is told once");
    assert!(notices[0].details.contains("\"reason\":\"failing\""), "{}", notices[0].details);

    world.advance(30 * 24 * 3600).await;
    world.work().await;
    assert_eq!(receiver.arrived().len(), requests);
    receiver.answers(|_| Answer::Status(200));
    let now = store::Clock::now(&*world.clock);
    world.store.change_endpoint(ACCOUNT, endpoint, EndpointChange::Resume, now).await.unwrap();
    for _ in 0..3 {
        world.work().await;
        world.advance(27 * 3600).await;
    }
    let fan_out = world.event(event).await.fan_outs[0].clone();
    assert_eq!((fan_out.delivered + fan_out.abandoned, fan_out.retrying), (2_000, 0));
    assert!(fan_out.abandoned < 5, "only those that were probed again and again: {}", fan_out.abandoned);
}

#[tokio::test]
async fn a_probe_whose_sender_dies_is_sent_by_the_next() {
    let mut world = World::with_members(20).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|_| Answer::Status(503));
    let event = world.save_series().await;
    world.work().await;
    let at_first = receiver.arrived().len();
    receiver.answers(|_| Answer::Nothing);
    world.advance(3_600).await;
    world.start_work().await;
    while receiver.arrived().len() == at_first {
        tokio::task::yield_now().await;
    }
    receiver.answers(|_| Answer::Status(200));
    world.restart().await;
    for _ in 0..3 {
        world.work().await;
        world.advance(3_600).await;
    }
    assert_eq!(world.event(event).await.fan_outs[0].delivered, 20);
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let mut world = World::with_members(50).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|_| Answer::ComeBackIn("120"));
    world.save_series().await;
    world.work().await;
    let at_first = receiver.arrived().len();
    world.advance(119).await;
    world.work().await;
    assert_eq!(receiver.arrived().len(), at_first);
    receiver.answers(|_| Answer::Status(200));
    world.advance(20).await;
    world.work().await;
    assert!(receiver.arrived().len() > at_first);
}

#[tokio::test]
async fn an_endpoint_that_says_gone_gets_nothing_until_its_owner_resumes_it() {
    let mut world = World::with_members(100).await;
    let (receiver, endpoint) = world.subscriber().await;
    receiver.answers(|_| Answer::Status(410));
    let event = world.save_series().await;
    world.work().await;
    let at_first = receiver.arrived().len();
    world.advance(100 * 3600).await;
    world.work().await;
    assert_eq!(receiver.arrived().len(), at_first);
    let notices = world.store.notices(ACCOUNT, None, 10).await.unwrap().items;
    assert!(notices.len() == 1 && notices[0].details.contains("\"reason\":\"gone\""), "{notices:?}");

    receiver.answers(|_| Answer::Status(200));
    let now = store::Clock::now(&*world.clock);
    world.store.change_endpoint(ACCOUNT, endpoint, EndpointChange::Resume, now).await.unwrap();
    world.work().await;
    assert_eq!(world.event(event).await.fan_outs[0].delivered, 100, "its backlog was kept");
}

#[tokio::test]
async fn a_paused_endpoint_keeps_its_backlog() {
    let mut world = World::with_members(10).await;
    let (receiver, endpoint) = world.subscriber().await;
    let now = store::Clock::now(&*world.clock);
    world.store.change_endpoint(ACCOUNT, endpoint, EndpointChange::Pause, now).await.unwrap();
    let event = world.save_series().await;
    world.work().await;
    assert!(receiver.arrived().is_empty());
    world.store.change_endpoint(ACCOUNT, endpoint, EndpointChange::Resume, now).await.unwrap();
    world.work().await;
    assert_eq!(world.event(event).await.fan_outs[0].delivered, 10);
}

#[tokio::test]
async fn an_unreachable_endpoint_holds_up_only_its_own_lane() {
    let mut world = World::with_members(20).await;
    let (quick, _) = world.subscriber().await;
    let (hung, _) = world.subscriber().await;
    hung.answers(|_| Answer::Nothing);
    world.subscribe("http://127.0.0.1:1/nobody-listens").await;
    world.save_series().await;
    world.start_work().await;

    while quick.arrived().len() < 20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(quick.copies().len(), 20);
}

#[tokio::test]
async fn a_process_that_dies_repeats_only_what_was_in_flight() {
    let mut world = World::with_members(400).await;
    let (receiver, _) = world.subscriber().await;
    let (seen, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
    receiver.answers(move |arrived| {
        let _ = seen.send(());
        if arrived.name() == "Person 5" { Answer::Nothing } else { Answer::Status(200) }
    });
    world.save_series().await;
    world.start_work().await;
    for _ in 0..400 {
        arrivals.recv().await.unwrap();
    }
    // All but one have ended; their outcomes are committed within the flush interval.
    while world.deliveries().await.len() < 399 {
        tokio::task::yield_now().await;
    }
    receiver.answers(|_| Answer::Status(200));
    world.restart().await;
    world.work().await;

    let copies = receiver.copies();
    assert_eq!(copies.len(), 400);
    assert_eq!(copies.values().filter(|copies| **copies == 2).count(), 1, "the one that was in flight");
    assert_eq!(world.deliveries().await.len(), 400);
}
