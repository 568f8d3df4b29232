//! When somebody is erased while their webhooks are under way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use store::{DeliveryStatus, FanOutProgress, FanOutState};
use tokio::sync::watch;

use crate::receiver::{Answer, Arrived};
use crate::world::World;

/// How many requests a lane begins with.
const WINDOW: usize = 8;

#[tokio::test]
async fn who_is_erased_during_a_fan_out_is_passed_and_nobody_else_is() {
    let mut world = World::with_members(1_200).await;
    let (receiver, _) = world.subscriber().await;
    let (gates, arrivals) = ([watch::channel(false), watch::channel(false)], Arc::new(AtomicUsize::new(0)));
    let held = [gates[0].1.clone(), gates[1].1.clone()];
    // The first window is held, and all that follows until the second gate is open.
    receiver.answers(move |_| {
        let gate = usize::from(arrivals.fetch_add(1, Ordering::SeqCst) >= WINDOW);
        Answer::When(held[gate].clone())
    });
    let event = world.save_series().await;
    world.start_work().await;
    receiver.has_got(WINDOW).await;

    // One is on their way, one is read already, one is in a later page.
    for name in ["Person 3", "Person 60", "Person 900"] {
        world.erase(name).await;
    }
    gates[0].0.send_replace(true);
    while world.deliveries().await.len() < WINDOW {
        tokio::task::yield_now().await;
    }
    gates[1].0.send_replace(true);
    world.work().await;

    let names: BTreeSet<String> = receiver.arrived().iter().map(Arrived::name).collect();
    assert!(names.contains("Person 3"), "it was on its way");
    assert!(!names.contains("Person 60") && !names.contains("Person 900"));
    assert_eq!((names.len(), receiver.arrived().len()), (1_198, 1_198));
    assert_eq!(counts(&world.event(event).await.fan_outs[0]), [1_198, 0, 0, 2]);
    let erased = world.deliveries_that_are(DeliveryStatus::Erased).await;
    assert_eq!(erased.iter().map(|delivery| delivery.participant).collect::<Vec<_>>(), [900, 60]);
}

#[tokio::test]
async fn a_retry_of_who_is_erased_is_not_sent_and_its_lane_comes_to_rest() {
    let mut world = World::with_members(50).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|arrived| match (arrived.name().as_str(), arrived.header("fanfare-attempt")) {
        ("Person 7" | "Person 8", "1") => Answer::Status(422),
        _ => Answer::Status(200),
    });
    let event = world.save_series().await;
    world.work().await;
    world.erase("Person 7").await;
    for _ in 0..3 {
        world.advance(27 * 3600).await;
        world.work().await;
    }
    assert_eq!(receiver.arrived().len(), 51, "only Person 8 was tried again");
    assert_eq!(counts(&world.event(event).await.fan_outs[0]), [49, 0, 0, 1]);
    assert!(!world.start_work().await, "the lane has nothing more to do");
}

#[tokio::test]
async fn what_fails_on_its_way_to_who_is_erased_is_not_tried_again() {
    let mut world = World::with_members(3).await;
    let (receiver, _) = world.subscriber().await;
    let (open, gate) = watch::channel(false);
    receiver.answers(move |arrived| match arrived.name().as_str() {
        "Person 2" => Answer::StatusWhen(422, gate.clone()),
        _ => Answer::Status(200),
    });
    let event = world.save_series().await;
    world.start_work().await;
    receiver.has_got(3).await;
    world.erase("Person 2").await;
    open.send_replace(true);
    world.work().await;
    world.advance(27 * 3600).await;
    world.work().await;
    assert_eq!(receiver.arrived().len(), 3);
    assert_eq!(counts(&world.event(event).await.fan_outs[0]), [2, 0, 0, 1]);
}

#[tokio::test]
async fn an_audience_of_which_everyone_is_erased_ends() {
    // More than a page.
    let mut world = World::with_members(600).await;
    let (receiver, _) = world.subscriber().await;
    let event = world.save_series().await;
    for number in 1..=600 {
        world.erase(&format!("Person {number}")).await;
    }
    world.work().await;
    assert!(receiver.arrived().is_empty());
    assert_eq!(counts(&world.event(event).await.fan_outs[0]), [0, 0, 0, 600]);
}

/// Delivered, retrying, abandoned, erased; of a fan-out that has ended.
fn counts(progress: &FanOutProgress) -> [u64; 4] {
    assert_eq!(progress.state, FanOutState::Swept);
    [progress.delivered, progress.retrying, progress.abandoned, progress.erased]
}
