use serde_json::Value;

use crate::deliveries::{announced, listed};
use crate::world::World;

/// Each try runs the binary anew, so this is a minute and more.
const TRIES_MAX: usize = 3_000;

fn replay(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run(&[&["replay"], arguments, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

#[test]
fn what_failed_is_counted_started_on_request_and_tried_again_at_once() {
    let (world, serving, event) = announced();
    (0..TRIES_MAX).map(|_| listed(&world, &["--status", "retrying"])).find(|all| all.len() == 2).unwrap();

    let asked = world.run(&["replay", "--event", &event]);
    asked.failed_with(2, &["2 deliveries would be sent again", "--yes"]);
    let started = world.run(&["replay", "--event", &event, "--failed", "--yes", "--json"]);
    assert!(started.code == Some(0) && started.stderr.contains("The running server works it off"), "{started:?}");
    let id = started.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(started.json()["counted"], 2);
    let done = (0..TRIES_MAX).map(|_| replay(&world, &["show", &id])).find(|shown| shown["state"] == "done").unwrap();
    assert_eq!(done["begun"], 2);
    // The second attempt is hours away but for the replay.
    let tried = |all: &Vec<Value>| all.len() == 2 && all.iter().all(|one| one["attempts"].as_u64() >= Some(2));
    (0..TRIES_MAX).map(|_| listed(&world, &["--status", "retrying"])).find(tried).unwrap();
    drop(serving);

    let alone = world.run(&["replay", "--event", &event, "--all", "--rate", "1", "--yes", "--json"]);
    assert!(alone.stderr.contains("No server is running"), "{alone:?}");
    let id = alone.json()["id"].as_str().unwrap().to_owned();
    assert_eq!((alone.json()["counted"].clone(), alone.json()["perMinute"].clone()), (4.into(), 1.into()));
    for (order, state) in [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")] {
        assert_eq!(replay(&world, &[order, &id])["state"], state);
    }
    let table = world.run(&["replay", "list"]).stdout;
    assert!(table.starts_with("REPLAY ") && table.lines().count() == 3 && table.contains("cancelled"), "{table}");
}

#[test]
fn a_replay_of_nothing_in_particular_is_refused() {
    let world = World::new();
    world.create_account();
    world.run(&["replay", "--yes"]).failed_with(2, &["--delivery, --event or --endpoint"]);
    world.run(&["replay", "--all", "--yes"]).failed_with(2, &["--event"]);
    let unknown = "evt_01jw3zqk8n7v2t0d5h9rxbmc4e";
    world.run(&["replay", "--event", unknown, "--yes"]).failed_with(1, &["there is no such"]);
    world.run(&["replay", "show", "rpl_01jw3zqk8n7v2t0d5h9rxbmc4e"]).failed_with(1, &["there is no replay"]);
}
