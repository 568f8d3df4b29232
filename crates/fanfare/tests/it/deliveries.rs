use serde_json::{Value, json};

use crate::world::{Serving, World};

const LIST: &str = "name,email,phone,timezone\nAsha,asha@example.com,,Asia/Kolkata\nNoah,noah@example.com,,\n";
/// Each try runs the binary anew, so this is a minute and more.
const TRIES_MAX: usize = 3_000;

/// Announces one webinar to two people at two URLs of the server itself: one accepts, one refuses.
pub(crate) fn announced() -> (World, Serving, String) {
    let world = World::new();
    let (serving, event) = announced_in(&world);
    (world, serving, event)
}

/// The same in this world; the server and the event.
pub(crate) fn announced_in(world: &World) -> (Serving, String) {
    let (_, key) = world.create_account();
    let serving = world.serve_with(&["--allow-target", "127.0.0.0/8"]);
    let mango = serving.create_mango(&key);
    let file = world.write("members.csv", LIST);
    assert_eq!(world.run(&["import", "--mango", &mango, &file]).code, Some(0));

    let source = "src_00000000000000000000000001";
    let register = |path: &str| {
        let wish = json!({ "hookUrl": serving.url(path), "event": "webinar.created.single" });
        serving.call(&key, "/api/v1/integration/webhook/webhook", &wish)["result"]["signingSecret"].clone()
    };
    let secret = register(&format!("/in/{source}"));
    register("/in/src_00000000000000000000000002");
    serving.call(&key, "/api/v1/sources", &json!({ "id": source, "name": "Own", "keys": [secret] }));
    let webinar = json!({
        "title": "Clinic", "link": "https://meet.example/clinic", "timezone": "Asia/Kolkata",
        "start": "2030-03-15T15:30", "durationMinutes": 60, "mangoes": [mango],
    });
    let saved = serving.call(&key, "/api/v1/webinars", &webinar);
    let event = saved["event"]["id"].as_str().unwrap().to_owned();
    (serving, event)
}

pub(crate) fn listed(world: &World, filters: &[&str]) -> Vec<Value> {
    let ran = world.run(&[&["deliveries", "list", "--json"], filters].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_delivery_is_listed_with_what_came_of_it() {
    let (world, _serving, event) = announced();
    let all = (0..TRIES_MAX).map(|_| listed(&world, &["--event", &event])).find(|all| all.len() == 4).unwrap();

    let delivered = listed(&world, &["--status", "delivered"]);
    let refused = listed(&world, &["--status", "retrying"]);
    assert_eq!((delivered.len(), refused.len()), (2, 2), "{all:?}");
    assert!(delivered.iter().all(|one| one["lastAttempt"]["statusCode"] == 200 && one["attempts"] == 1));
    assert!(refused.iter().all(|one| one["lastAttempt"]["statusCode"] == 401 && one["nextAttemptAt"].is_string()));

    let of_noah = listed(&world, &["--participant", "NOAH@example.com"]);
    assert!(of_noah.len() == 2 && of_noah.iter().all(|one| one["participant"]["name"] == "Noah"), "{of_noah:?}");
    assert_eq!(listed(&world, &["--participant", "1", "--limit", "1"]).len(), 1);
    let table = world.run(&["deliveries", "list"]).stdout;
    assert!(
        table.starts_with("DELIVERY ") && table.contains("asha@example.com") && table.contains("HTTP 401"),
        "{table}"
    );
    let id = refused[0]["id"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&world.run(&["deliveries", "show", id, "--json"]).stdout).unwrap();
    let attempt = &shown["history"][0];
    assert_eq!((&shown["id"], &attempt["reason"]), (&json!(id), &json!("HTTP 401")));
    assert!(attempt["phases"]["totalMs"].as_f64().unwrap() >= attempt["phases"]["firstByteMs"].as_f64().unwrap());
    let page = world.run(&["deliveries", "show", id]).stdout;
    assert!(page.starts_with("delivery ") && page.contains("\nATTEMPT ") && page.contains("HTTP 401"), "{page}");
    let unknown = format!("dlv_{}", "0".repeat(34));
    world.run(&["deliveries", "show", &unknown]).failed_with(1, &[&unknown]);
    world.run(&["deliveries", "list", "--participant", "who@example.com"]).failed_with(1, &["who@example.com"]);
}
