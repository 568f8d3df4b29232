//! Leases, stores that fail, and the end of a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use store::Clock;
use tokio::time::{Instant, sleep};
use wire::NodeId;
use workers::{LEASE_FOR, Turn};

use crate::deeds::{Deed, Deeds};
use crate::simulation::faulty::{Faults, FaultyRuns};
use crate::world::World;

fn slow(seconds: u64) -> Arc<Deeds> {
    Deeds::new(move |_, _| Deed::Take(Duration::from_secs(seconds)))
}

#[tokio::test(start_paused = true)]
async fn while_another_node_has_the_handler_nothing_is_done() {
    let deeds = slow(0);
    let mut world = World::with(&deeds);
    world.turn().await;
    let other = NodeId::from_bytes([2; 16]);
    let claimed = world.store.tables().claim("crm", other, world.clock.now(), LEASE_FOR);
    assert!(claimed.is_some(), "a turn gives the handler back");
    world.accept("a message");
    assert_eq!(world.turn().await, Turn::Idle);
    assert_eq!(deeds.begun(), []);
    tokio::time::advance(LEASE_FOR).await;
    assert_eq!(world.turn().await, Turn::Worked);
}

#[tokio::test(start_paused = true)]
async fn a_run_longer_than_a_lease_keeps_the_handler() {
    let deeds = slow(100);
    let mut world = World::with_rules(&deeds, |rules| rules.timeout = Duration::from_secs(900));
    world.accept("a long one");
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    for _ in 0..9 {
        sleep(Duration::from_secs(10)).await;
        let other = NodeId::from_bytes([2; 16]);
        assert_eq!(world.store.tables().claim("crm", other, world.clock.now(), LEASE_FOR), None);
    }
    sleep(Duration::from_secs(11)).await;
    assert_eq!(world.standings(), ["done"]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn who_has_lost_the_handler_leaves_what_was_in_flight_and_writes_nothing() {
    let deeds = slow(20);
    let mut world = World::with(&deeds);
    world.accept("in flight");
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    sleep(Duration::from_secs(5)).await;
    // As if this process had been asleep for longer than its lease.
    let (later, other) = (world.clock.now() + LEASE_FOR * 2, NodeId::from_bytes([2; 16]));
    assert!(world.store.tables().claim("crm", other, later, LEASE_FOR * 10).is_some());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(deeds.done().len(), 0, "it was ended when the lease could not be renewed");
    assert_eq!(world.standings(), ["none"]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_does_not_hold_up_another() {
    let (tardy, quick) = (slow(25), slow(0));
    let mut world = World::new();
    world.add("tardy", &tardy, None, |_| {});
    world.add("quick", &quick, None, |_| {});
    world.accept_many(100);
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    sleep(Duration::from_secs(1)).await;
    assert_eq!((tardy.done().len(), quick.done().len()), (0, 100));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_heard_by_every_handler_at_once() {
    let handlers = [slow(0), slow(0), slow(0)];
    let mut world = World::new();
    for (name, deeds) in ["a", "b", "c"].iter().zip(&handlers) {
        world.add(name, deeds, None, |_| {});
    }
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    sleep(Duration::from_millis(1_500)).await;
    world.accept("a message");
    world.hint.notify_one();
    sleep(Duration::from_millis(50)).await;
    assert!(handlers.iter().all(|deeds| deeds.done().len() == 1));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_write_stops_the_handler_and_loses_no_outcome() {
    let deeds = slow(0);
    let mut world = World::with(&deeds);
    let faults = Arc::new(Faults::default());
    world.through(Arc::new(FaultyRuns::new(world.store.clone(), faults.clone())));
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    sleep(Duration::from_secs(1)).await;
    faults.refuse_writes(true);
    world.accept_many(5_000);
    sleep(Duration::from_secs(20)).await;
    let begun = deeds.begun().len();
    assert!(begun > 0 && begun < 600, "{begun} were begun that nobody knows of");
    assert!(faults.calls() < 200, "{} calls in twenty seconds", faults.calls());

    faults.refuse_writes(false);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(deeds.begun().len(), 5_000, "nothing was done twice");
    assert!(world.standings().iter().all(|standing| *standing == "done"));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_asked_again_with_pauses() {
    let deeds = slow(0);
    let mut world = World::with(&deeds);
    let faults = Arc::new(Faults::default());
    world.through(Arc::new(FaultyRuns::new(world.store.clone(), faults.clone())));
    world.accept("a message");
    faults.refuse_reads(true);
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    sleep(Duration::from_secs(20)).await;
    assert!(faults.calls() < 60, "{} calls in twenty seconds", faults.calls());
    faults.refuse_reads(false);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.standings(), ["done"]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn who_stops_finishes_what_is_in_flight_begins_nothing_and_gives_the_handler_back() {
    let deeds = slow(5);
    let mut world = World::with(&deeds);
    world.accept_many(100);
    let running = tokio::spawn(world.supervisor().run(Duration::from_secs(30)));
    sleep(Duration::from_secs(2)).await;
    let asked_at = Instant::now();
    world.stop.send(true).unwrap();
    running.await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_secs(4));
    assert_eq!((deeds.begun().len(), deeds.done().len()), (4, 4));
    assert_eq!(world.standings().iter().filter(|standing| **standing == "done").count(), 4);
    assert!(!world.store.tables().is_owned("crm"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_finished_in_time_is_left_and_done_again() {
    let is_second = Arc::new(AtomicBool::new(false));
    let seen = is_second.clone();
    let deeds = Deeds::new(move |body, _| match body == "hangs" && !seen.load(Ordering::SeqCst) {
        true => Deed::Hang,
        false => Deed::Succeed,
    });
    let mut world = World::with_rules(&deeds, |rules| rules.timeout = Duration::from_secs(900));
    world.accept_all(["hangs", "other"]);
    let running = tokio::spawn(world.supervisor().run(Duration::from_secs(5)));
    sleep(Duration::from_secs(2)).await;
    let asked_at = Instant::now();
    world.stop.send(true).unwrap();
    running.await.unwrap();
    assert!(asked_at.elapsed() < Duration::from_secs(6));
    assert_eq!((world.standings(), world.cursor()), (vec!["none", "done"], 0));
    assert!(!world.store.tables().is_owned("crm"));

    is_second.store(true, Ordering::SeqCst);
    world.stop.send_replace(false);
    let again = deeds.clone();
    world.add("crm", &again, None, |_| {});
    world.turn().await;
    assert_eq!(world.standings(), ["done", "done"]);
    assert_eq!(deeds.attempts()["other"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_crash_repeats_at_most_what_was_in_flight_or_on_its_way_to_the_disk() {
    let deeds = Deeds::new(|_, _| Deed::Take(Duration::from_millis(10)));
    let mut world = World::with(&deeds);
    world.accept_many(500);
    let crashes = AtomicUsize::new(0);
    while world.store.tables().handlers.is_empty() || world.standings().contains(&"none") {
        let again = deeds.clone();
        if crashes.fetch_add(1, Ordering::SeqCst) > 0 {
            world.add("crm", &again, None, |_| {});
        }
        let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
        sleep(Duration::from_millis(205)).await;
        running.abort();
        assert!(running.await.is_err());
    }
    let repeated = deeds.begun().len() - 500;
    let crashes = crashes.into_inner();
    assert!(crashes > 3 && repeated <= crashes * 12, "{repeated} repeated in {crashes} crashes");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_stopped_for_longer_than_its_lease_asks_before_it_does_anything_more() {
    let deeds = slow(20);
    let mut world = World::with(&deeds);
    // One that takes a moment to answer.
    world.through(Arc::new(FaultyRuns::new(world.store.clone(), Arc::new(Faults::default()))));
    world.accept_many(100);
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    sleep(Duration::from_secs(5)).await;
    let begun = deeds.begun().len();
    let (later, other) = (world.clock.now() + LEASE_FOR * 2, NodeId::from_bytes([2; 16]));
    assert!(world.store.tables().claim("crm", other, later, LEASE_FOR * 10).is_some(), "its time will be over");
    // Time goes on, and the process does not: whatever it waits for comes at once when it is woken.
    tokio::time::advance(LEASE_FOR * 2).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!((deeds.begun().len(), deeds.done().len()), (begun, 0), "nothing more, and what was in flight was left");
    assert!(world.standings().iter().all(|standing| *standing == "none"));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_ends_before_another_may_begin_it_and_is_done_again_uncharged() {
    let is_long = Arc::new(AtomicBool::new(true));
    let seen = is_long.clone();
    let deeds = Deeds::new(move |_, _| match seen.load(Ordering::SeqCst) {
        true => Deed::Take(Duration::from_secs(300)),
        false => Deed::Succeed,
    });
    let mut world = World::with_rules(&deeds, |rules| rules.timeout = Duration::from_secs(900));
    let faults = Arc::new(Faults::default());
    world.through(Arc::new(FaultyRuns::new(world.store.clone(), faults.clone())));
    world.accept("in flight");
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(deeds.under_way(), 1);
    faults.refuse_writes(true);
    let other = NodeId::from_bytes([2; 16]);
    while deeds.under_way() > 0 {
        let claimed = world.store.tables().claim("crm", other, world.clock.now(), LEASE_FOR);
        assert_eq!(claimed, None, "both would be at it");
        sleep(Duration::from_millis(100)).await;
    }
    // Nobody has taken it.
    is_long.store(false, Ordering::SeqCst);
    faults.refuse_writes(false);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.standings(), ["done"]);
    assert_eq!(deeds.begun().iter().map(|begun| begun.attempt).collect::<Vec<_>>(), [1, 1]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_node_died_is_taken_over_when_its_lease_is_over() {
    let (died, heir) = (slow(100), slow(0));
    let mut world = World::with_rules(&died, |rules| rules.timeout = Duration::from_secs(900));
    world.accept("in flight");
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    sleep(Duration::from_secs(25)).await;
    running.abort();
    world.be_node(2);
    world.add("crm", &heir, None, |_| {});
    let died_at = Instant::now();
    let running = tokio::spawn(world.supervisor().run(Duration::ZERO));
    while heir.done().is_empty() {
        sleep(Duration::from_millis(100)).await;
    }
    let taken = died_at.elapsed();
    assert!(taken <= LEASE_FOR + Duration::from_secs(2), "{taken:?}");
    running.abort();
}
