//! For one person and series: one at a time, and never an older version after a newer one.

use std::time::Duration;

use store::{RunState, SkipReason};
use tokio::time::Instant;

use crate::deeds::{Deed, Deeds};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn an_older_version_that_comes_later_is_skipped() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let mut world = World::with(&deeds);
    world.accept_all(["ann/2", "ann/1", "bob/1"]);
    world.turn().await;
    assert_eq!(deeds.done(), ["ann/2", "bob/1"]);
    assert_eq!(world.row("crm", 2).unwrap().state, RunState::Skipped(SkipReason::Outdated));
}

#[tokio::test(start_paused = true)]
async fn what_was_handled_in_an_earlier_turn_counts_too() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let mut world = World::with(&deeds);
    world.accept("ann/2");
    world.turn().await;
    world.accept_all(["ann/1", "ann/3"]);
    world.turn().await;
    assert_eq!(deeds.done(), ["ann/2", "ann/3"]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_version_is_not_tried_again_after_a_newer_one() {
    let deeds = Deeds::new(|body, _| if body == "ann/1" { Deed::Refuse } else { Deed::Succeed });
    let mut world = World::with(&deeds);
    world.accept_all(["ann/1", "ann/2"]);
    world.turns_for(Duration::from_secs(10)).await;
    assert_eq!(deeds.attempts()["ann/1"], 1);
    assert_eq!(world.standings(), ["skipped", "done"]);
}

#[tokio::test(start_paused = true)]
async fn of_one_person_one_run_is_in_flight_and_of_others_as_many_as_the_rules_say() {
    let deeds = Deeds::new(|_, _| Deed::Take(Duration::from_secs(1)));
    let mut world = World::with(&deeds);
    let start = Instant::now();
    world.accept_all(["ann/1", "ann/2", "ann/3", "bob/1", "cid/1", "dan/1"]);
    world.turn().await;
    let of_ann: Vec<u64> = (deeds.begun().iter())
        .filter(|begun| begun.body.starts_with("ann"))
        .map(|begun| begun.at.duration_since(start).as_secs())
        .collect();
    assert_eq!(of_ann, [0, 1, 2]);
    assert_eq!(deeds.at_once_max(), 4);
}

#[tokio::test(start_paused = true)]
async fn many_messages_about_one_person_do_not_hold_up_others_behind_them() {
    let deeds = Deeds::new(|body, _| match body.starts_with("ann") {
        true => Deed::Take(Duration::from_secs(5)),
        false => Deed::Succeed,
    });
    let mut world = World::with(&deeds);
    for version in 0..500 {
        world.accept(&format!("ann/{version}"));
    }
    world.accept("bob/1");
    let supervisor = world.supervisor();
    let running = tokio::spawn(supervisor.run(Duration::ZERO));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(deeds.done(), ["bob/1"]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn without_versions_the_later_message_holds() {
    let deeds = Deeds::new(|body, attempt| match (body, attempt) {
        ("ann/0 first", 1) => Deed::Refuse,
        _ => Deed::Succeed,
    });
    let mut world = World::with(&deeds);
    world.accept_all(["ann/0 first", "ann/0 second"]);
    world.turns_for(Duration::from_secs(10)).await;
    assert_eq!(deeds.done(), ["ann/0 second"]);
}
