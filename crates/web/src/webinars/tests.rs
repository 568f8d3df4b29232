//! Series saved, changed, tried out and cancelled over the API.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::tests::world::{Answer, World, weekly};

const SERIES: &str = "/api/v1/webinars";

/// A world with a receiver and a weekly series for three people; the path of the series and the answer.
async fn world_with_series() -> (World, String, Value) {
    let world = World::new().await;
    world.receiver().await;
    let mango = world.mango_of(3).await;
    let saved = world.weekly_series(&mango).await;
    let path = format!("{SERIES}/{}", saved["id"].as_str().unwrap());
    (world, path, saved)
}

async fn patch(world: &World, path: &str, body: Value) -> Answer {
    world.call_with("PATCH", path, body).await
}

async fn events(world: &World) -> usize {
    world.get("/api/v1/events").await.is(200)["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_first_version_is_created_and_announced_to_whom_it_concerns() {
    let world = World::new().await;
    world.receiver().await;
    let mango = world.mango_of(1).await;
    let answer = world.post(SERIES, weekly(&mango)).await;
    assert_eq!(answer.header("etag"), "\"1\"");
    let location = answer.header("location").to_owned();
    let saved = answer.is(201);
    assert_eq!(location, format!("{SERIES}/{}", saved["id"].as_str().unwrap()));
    assert_eq!((&saved["version"], &saved["event"]["trigger"]), (&json!(1), &json!("created")));
    assert_eq!(saved["fanOuts"].as_array().unwrap().len(), 1);
    let session = &saved["sessions"][0];
    assert_eq!((&session["start"], &session["utc"]), (&json!("2024-03-15T15:30"), &json!("2024-03-15T10:00:00.000Z")));
    assert_eq!((&session["offset"], &session["status"]), (&json!("+05:30"), &json!("scheduled")));
    // Lanes need not wait for their poll.
    world.context.lanes_hint.notified().await;

    let shown = world.get(&location).await.is(200);
    assert_eq!(
        (&shown["title"], &shown["sessions"]),
        (&json!("Introduction to Digital Marketing"), &saved["sessions"])
    );
    assert_eq!(world.get(SERIES).await.is(200)["data"][0]["id"], saved["id"]);
}

#[tokio::test]
async fn every_mistake_of_a_draft_is_told_at_its_place() {
    let world = World::new().await;
    let mut draft = weekly("65f0c0ffee0000000000a001");
    world.post(SERIES, draft.clone()).await.refuses(400, &["/mangoes/0"]);
    draft["timezone"] = json!("Asia/Kolkatta");
    draft["title"] = json!("");
    world.post(SERIES, draft.clone()).await.refuses(400, &["/title", "/timezone"]);
    draft["titel"] = json!("x");
    world.post(SERIES, draft).await.refuses(400, &["/titel"]);
    let text = json!({"durationMinutes": "60"});
    let told = world.post(SERIES, text).await.refuses(400, &["/durationMinutes"]);
    assert_eq!(told, "/durationMinutes: must be a whole number, not the text \"60\"");
    let told = world.post(&format!("{SERIES}?dryRun=yes"), json!({})).await.refuses(400, &[]);
    assert_eq!(told, "dryRun takes true or false");
    assert_eq!(events(&world).await, 0);
}

#[tokio::test]
async fn a_part_may_be_changed_and_everybody_is_told_again() {
    let (world, path, first) = world_with_series().await;
    let moved = json!({"overrides": [{"session": "2024-03-22T15:30", "start": "2024-03-22T18:00"}]});
    let answer = patch(&world, &path, moved).await;
    assert_eq!(answer.header("etag"), "\"2\"");
    let saved = answer.is(200);
    assert_eq!((&saved["version"], &saved["event"]["trigger"]), (&json!(2), &json!("updated")));
    assert_eq!(saved["sessions"][1]["webinarId"], first["sessions"][1]["webinarId"]);
    assert_eq!(saved["sessions"][1]["start"], "2024-03-22T18:00");
    assert_eq!(saved["sessions"][1]["originalStart"], "2024-03-22T15:30");

    let single = patch(&world, &path, json!({"recurrence": null, "overrides": null})).await.is(200);
    assert_eq!(single["sessions"].as_array().unwrap().len(), 1);
    patch(&world, &path, json!({"title": null})).await.refuses(400, &["/title"]);
    patch(&world, &path, json!(["title"])).await.refuses(400, &[""]);
}

#[tokio::test]
async fn a_save_that_changes_nothing_announces_nothing() {
    let (world, path, first) = world_with_series().await;
    let shown = world.get(&path).await.is(200);
    let again = patch(&world, &path, json!({"title": shown["title"]})).await.is(200);
    assert_eq!((&again["version"], &again["event"]), (&json!(1), &Value::Null));
    assert_eq!((&again["fanOuts"], &again["sessions"]), (&json!([]), &first["sessions"]));
    let whole = weekly(shown["mangoes"][0].as_str().unwrap());
    assert_eq!(world.call_with("PUT", &path, whole).await.is(200)["event"], Value::Null);
    assert_eq!(events(&world).await, 1);
}

#[tokio::test]
async fn a_cancelled_series_keeps_its_sessions_as_cancelled_and_may_be_taken_back() {
    let (world, path, _) = world_with_series().await;
    patch(&world, &path, json!({"overrides": [{"session": "2024-03-22T15:30", "title": "Special"}]})).await.is(200);
    let draft = world.get(&path).await.is(200);
    let cancelled = world.call("DELETE", &path).await.is(200);
    assert_eq!((&cancelled["version"], &cancelled["event"]["trigger"]), (&json!(3), &json!("updated")));
    let statuses = |json: &Value| -> Vec<Value> {
        json["sessions"].as_array().unwrap().iter().map(|session| session["status"].clone()).collect()
    };
    assert_eq!(statuses(&cancelled), ["cancelled"; 4]);
    let shown = world.get(&path).await.is(200);
    assert!(shown["cancelledAt"].is_string());
    let event = world.get(&format!("/api/v1/events/{}", cancelled["event"]["id"].as_str().unwrap())).await.is(200);
    assert_eq!(event["sharedBody"]["callList"], json!([]));

    assert_eq!(world.call("DELETE", &path).await.is(200)["event"], Value::Null);
    let sessions: Vec<_> = shown["overrides"].as_array().unwrap().iter().map(|other| &other["session"]).collect();
    assert_eq!(sessions, ["2024-03-22T15:30", "2024-03-15T15:30", "2024-03-29T15:30", "2024-04-05T15:30"]);
    let back = patch(&world, &path, json!({"overrides": draft["overrides"]})).await.is(200);
    assert_eq!((&back["version"], statuses(&back)), (&json!(4), vec![json!("scheduled"); 4]));
    assert_eq!(world.get(&path).await.is(200)["cancelledAt"], Value::Null);
}

#[tokio::test]
async fn a_cancelled_series_stays_so_until_a_session_takes_place() {
    let (world, path, _) = world_with_series().await;
    world.call("DELETE", &path).await.is(200);
    let since = world.get(&path).await.is(200)["cancelledAt"].clone();
    world.advance(std::time::Duration::from_secs(60));
    let renamed = json!({"title": "Renamed"});
    let dry = patch(&world, &format!("{path}?dryRun=true"), renamed.clone()).await.is(200);
    assert_eq!(dry["sample"]["body"]["timezone"], "+05:30", "as of now, since no session says when");
    let saved = patch(&world, &path, renamed.clone()).await.is(200);
    let event = saved["event"]["id"].as_str().unwrap().parse().unwrap();
    let event = store::Catalog::event(&world.store, world.account, event).await.unwrap().unwrap();
    assert_eq!(event.attendee_instant, Some(world.context.clock.now()));
    let shown = world.get(&path).await.is(200);
    assert_eq!((&shown["version"], &shown["cancelledAt"]), (&json!(3), &since));
    assert_eq!(patch(&world, &path, renamed).await.is(200)["event"], Value::Null);
}

#[tokio::test]
async fn a_dry_run_counts_shows_one_webhook_and_keeps_nothing() {
    let (world, path, _) = world_with_series().await;
    let moved = json!({"overrides": [
        {"session": "2024-03-15T15:30", "start": "2024-03-14T15:30"},
        {"session": "2024-03-22T15:30", "cancelled": true},
        {"session": "2024-03-29T15:30", "title": "Special"}
    ]});
    let dry = patch(&world, &format!("{path}?dryRun=true"), moved.clone()).await.is(200);
    assert_eq!((&dry["webhooks"], &dry["audience"], &dry["version"]), (&json!(3), &json!(3), &json!(2)));
    let changes = json!({"added": 0, "moved": 1, "changed": 1, "cancelled": 1, "unchanged": 1});
    assert_eq!(dry["changes"], changes);
    assert_eq!(dry["sample"]["headers"]["fanfare-total"], "3");
    assert_eq!(dry["sample"]["body"]["email"], "p1@example.com");
    assert_eq!(events(&world).await, 1);

    let saved = patch(&world, &path, moved).await.is(200);
    let event = world.get(&format!("/api/v1/events/{}", saved["event"]["id"].as_str().unwrap())).await.is(200);
    assert_eq!(event["sharedBody"]["callList"], dry["sample"]["body"]["callList"]);
}

#[tokio::test]
async fn a_dry_run_of_a_new_series_counts_only_endpoints_that_are_subscribed_to_it() {
    let world = World::new().await;
    let mango = world.mango_of(3).await;
    world.receiver().await;
    for (url, event) in
        [("https://b.example", "webinar.created.recurring"), ("https://c.example", "webinar.created.single")]
    {
        world.post("/api/v1/subscriptions", json!({"url": url, "event": event})).await.is(201);
    }
    let dry = world.post(&format!("{SERIES}?dryRun=true"), weekly(&mango)).await.is(200);
    assert_eq!((&dry["webhooks"], &dry["changes"]["added"]), (&json!(6), &json!(4)));
    assert_eq!(world.get(SERIES).await.is(200)["data"], json!([]));
    let nobody = json!({"mangoes": [], "title": "x", "link": "https://x.example", "timezone": "UTC",
                        "start": "2024-03-15T15:30", "durationMinutes": 30});
    let dry = world.post(&format!("{SERIES}?dryRun=true"), nobody).await.is(200);
    assert_eq!((&dry["webhooks"], &dry["sample"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn a_stale_version_is_not_overwritten() {
    let (world, path, _) = world_with_series().await;
    let conditional = |tag: &str, title: &str| {
        let request = Request::patch(&path).header("x-api-key", &world.key).header("if-match", tag);
        let request = request.header("content-type", "application/merge-patch+json");
        request.body(Body::from(json!({"title": title}).to_string())).unwrap()
    };
    world.send(conditional("\"1\"", "Second")).await.is(200);
    world.send(conditional("\"1\"", "Third")).await.refuses(412, &[]);
    world.send(conditional("\"1\", \"2\"", "Third")).await.is(200);
    world.send(conditional("*", "Fourth")).await.is(200);
}
