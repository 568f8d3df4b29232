//! When all goes well.

use std::collections::BTreeSet;

use store::{DeliveryStatus, FanOutState};

use crate::receiver::{Answer, Arrived};
use crate::world::World;

#[tokio::test]
async fn everyone_is_told_once_and_the_log_shows_it() {
    let mut world = World::with_members(1_500).await;
    let (receiver, endpoint) = world.subscriber().await;

    let event = world.save_series().await;
    world.work().await;

    let names: BTreeSet<String> = receiver.arrived().iter().map(Arrived::name).collect();
    assert_eq!((receiver.arrived().len(), names.len()), (1_500, 1_500));
    let summary = world.event(event).await;
    assert_eq!(summary.audience, Some(1_500));
    assert_eq!(summary.fan_outs.len(), 1);
    assert_eq!(summary.fan_outs[0].endpoint, endpoint);
    assert_eq!(summary.fan_outs[0].state, FanOutState::Swept);
    assert_eq!((summary.fan_outs[0].delivered, summary.fan_outs[0].retrying), (1_500, 0));
    let log = world.deliveries().await;
    assert!(log.iter().all(|delivery| delivery.status == DeliveryStatus::Delivered && delivery.attempts == 1));
}

#[tokio::test]
async fn a_webhook_carries_what_the_body_lacks_in_its_headers() {
    let mut world = World::with_members(3).await;
    let (receiver, _) = world.subscriber().await;
    world.save_series().await;
    world.work().await;

    let mut indexes = Vec::new();
    for arrived in receiver.arrived() {
        assert_eq!(arrived.header("fanfare-event"), "webinar.created.recurring");
        assert_eq!(arrived.header("fanfare-trigger"), "created");
        assert_eq!(arrived.header("fanfare-series"), crate::world::SERIES.to_string());
        assert_eq!(arrived.header("fanfare-series-version"), "1");
        assert_eq!(arrived.header("fanfare-total"), "3");
        assert_eq!(arrived.header("fanfare-attempt"), "1");
        assert_eq!(arrived.header("content-type"), "application/json");
        let signed = wire::SignedHeaders::new(
            &arrived.id,
            arrived.header("webhook-timestamp"),
            arrived.header("webhook-signature"),
        );
        let keys = wire::KeyRing::new([wire::SigningSecret::from_random([5; 32])]).unwrap();
        let now = store::Clock::now(&*world.clock).as_second();
        keys.verify(&signed.unwrap(), &arrived.body, now).unwrap();
        indexes.push(arrived.header("fanfare-index").to_owned());
    }
    indexes.sort();
    assert_eq!(indexes, ["1", "2", "3"]);
}

#[tokio::test]
async fn each_endpoint_gets_each_version_in_order() {
    let mut world = World::with_members(40).await;
    let (first, _) = world.subscriber().await;
    let (second, _) = world.subscriber().await;
    world.save_series().await;
    world.save_series().await;
    world.work().await;

    for receiver in [first, second] {
        let versions: Vec<String> =
            receiver.arrived().iter().map(|arrived| arrived.header("fanfare-series-version").to_owned()).collect();
        assert_eq!(versions.len(), 80);
        // Requests in flight may overtake each other, but only within one window.
        assert!(versions[..24].iter().all(|version| version == "1"), "{versions:?}");
    }
}

#[tokio::test]
async fn an_empty_audience_ends_at_once() {
    let mut world = World::with_members(0).await;
    let (receiver, _) = world.subscriber().await;
    let event = world.save_series().await;
    world.work().await;
    assert!(receiver.arrived().is_empty());
    assert_eq!(world.event(event).await.fan_outs[0].state, FanOutState::Swept);
}

#[tokio::test]
async fn a_lane_told_to_stop_finishes_what_is_in_flight_and_leaves_the_rest_owed() {
    let mut world = World::with_members(2_000).await;
    let (receiver, _) = world.subscriber().await;
    let (seen, mut first_seen) = tokio::sync::mpsc::unbounded_channel();
    receiver.answers(move |_| {
        let _ = seen.send(());
        Answer::Status(200)
    });
    let event = world.save_series().await;
    world.start_work().await;
    first_seen.recv().await.unwrap();
    world.stop.send(true).unwrap();
    world.work().await;
    let delivered = world.event(event).await.fan_outs[0].delivered;
    assert_eq!(delivered as usize, receiver.arrived().len(), "what was sent is in the log");

    world.restart().await;
    world.work().await;
    assert_eq!(receiver.copies().len(), 2_000);
    assert!(receiver.copies().values().all(|copies| *copies == 1), "nothing was sent twice");
}
