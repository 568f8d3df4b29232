//! Replays by the API: counted, started, steered. What the lanes make of them is tested with the lanes.

use serde_json::{Value, json};

use super::world::World;

/// One delivered, one retrying, one given up, one not reached; the event's and the endpoint's id.
async fn world_with_failures() -> (World, String, String) {
    let world = World::new().await;
    world.receiver().await;
    let mango = world.mango_of(4).await;
    let saved = world.weekly_series(&mango).await;
    world.deliver_to_three().await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (world, text(&saved["event"]["id"]), text(&saved["fanOuts"][0]["endpoint"]))
}

async fn delivery(world: &World, status: &str) -> Value {
    world.get(&format!("/api/v1/deliveries?status={status}")).await.is(200)["data"][0].clone()
}

#[tokio::test]
async fn a_dry_run_counts_and_shows_one_and_starts_nothing() {
    let (world, event, endpoint) = world_with_failures().await;
    for (body, deliveries, way) in [
        (json!({"scope": "failed", "event": event}), 2, "revive"),
        (json!({"scope": "failed", "endpoint": endpoint, "since": "2024-03-01T10:00:00Z"}), 2, "revive"),
        (json!({"scope": "failed", "endpoint": endpoint, "since": "2024-03-01T10:00:01Z"}), 0, "revive"),
        (json!({"scope": "all", "event": event, "endpoint": endpoint}), 4, "resend"),
    ] {
        let told = world.post("/api/v1/replays?dryRun=true", body.clone()).await.is(200);
        assert_eq!((&told["deliveries"], &told["way"]), (&json!(deliveries), &json!(way)), "{body}");
        assert_eq!(told["example"].is_object(), deliveries > 0);
    }
    assert_eq!(world.get("/api/v1/replays").await.is(200)["data"], json!([]));
}

#[tokio::test]
async fn a_replay_is_started_shown_and_steered() {
    let (world, event, _) = world_with_failures().await;
    let body = json!({"scope": "failed", "event": event, "perMinute": 30});
    let answer = world.post("/api/v1/replays", body).await;
    let location = answer.header("location").to_owned();
    let started = answer.is(201);
    assert_eq!((&started["counted"], &started["perMinute"], &started["event"]), (&json!(2), &json!(30), &json!(event)));
    world.context.replays_hint.notified().await;

    assert_eq!(world.get(&location).await.is(200), started);
    assert_eq!(world.get("/api/v1/replays").await.is(200)["data"], json!([started]));
    for (order, state) in [
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "running"),
        ("cancel", "cancelled"),
        ("cancel", "cancelled"),
        ("resume", "cancelled"),
    ] {
        assert_eq!(world.call("POST", &format!("{location}/{order}")).await.is(200)["state"], state, "{order}");
    }
}

#[tokio::test]
async fn one_delivery_is_revived_or_sent_again_as_it_stands() {
    let (world, _, _) = world_with_failures().await;
    for (status, way) in [("abandoned", "revive"), ("delivered", "resend")] {
        let id = delivery(&world, status).await["id"].as_str().unwrap().to_owned();
        let started = world.call("POST", &format!("/api/v1/deliveries/{id}/replay")).await.is(201);
        assert_eq!((&started["way"], &started["delivery"], &started["counted"]), (&json!(way), &json!(id), &json!(1)));
    }
    world.context.lanes_hint.notified().await;
    let event = world.get("/api/v1/events").await.is(200)["data"][0].clone();
    let again = event["endpoints"].as_array().unwrap().iter().find(|fan_out| fan_out["replay"].is_string()).unwrap();
    assert_eq!(again["pending"], 1, "of one delivery, not of everyone: {again}");
}

#[tokio::test]
async fn each_order_is_noted_once_and_a_refused_one_is_not() {
    let (world, event, _) = world_with_failures().await;
    let id = delivery(&world, "delivered").await["id"].as_str().unwrap().to_owned();
    let acts = async |world: &World| {
        let log = world.get("/api/v1/audit?limit=1000").await.is(200)["data"].as_array().unwrap().clone();
        let mut acts: Vec<_> = log.into_iter().map(|note| note["act"].as_str().unwrap().to_owned()).collect();
        acts.retain(|act| act.starts_with("replay."));
        acts.sort();
        acts
    };
    world.call("POST", &format!("/api/v1/deliveries/{id}/replay")).await.is(201);
    let answer = world.post("/api/v1/replays", json!({"scope": "failed", "event": event})).await;
    let location = answer.header("location").to_owned();
    for order in ["pause", "pause", "resume", "cancel", "cancel"] {
        world.call("POST", &format!("{location}/{order}")).await.is(200);
    }
    let expected = ["replay.cancel", "replay.pause", "replay.resume", "replay.start", "replay.start"];
    assert_eq!(acts(&world).await, expected);
    let body = json!({"scope": "failed", "event": event, "since": "2024-03-02T10:00:00Z"});
    world.post("/api/v1/replays", body).await.refuses(409, &[]);
    assert_eq!(acts(&world).await, expected);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused_by_its_reason() {
    let (world, event, endpoint) = world_with_failures().await;
    let id = delivery(&world, "delivered").await["id"].clone();
    for (body, pointer) in [
        (json!({"scope": "failed"}), "/event"),
        (json!({"scope": "all", "endpoint": endpoint}), "/event"),
        (json!({"scope": "all", "event": "evt_1"}), "/event"),
        (json!({"scope": "delivery"}), "/delivery"),
        (json!({"scope": "delivery", "delivery": id, "event": event}), "/delivery"),
        (json!({"scope": "failed", "event": event, "delivery": id}), "/delivery"),
        (json!({"scope": "all", "event": event, "since": "2024-03-01T10:00:00Z"}), "/since"),
        (json!({"scope": "failed", "event": event, "since": "yesterday"}), "/since"),
        (json!({"scope": "failed", "event": event, "perMinute": 0}), "/perMinute"),
        (json!({"scope": "some", "event": event}), "/scope"),
    ] {
        world.post("/api/v1/replays", body).await.refuses(400, &[pointer]);
    }
    let since = "2024-03-01T10:00:01Z";
    let body = json!({"scope": "failed", "event": event, "since": since});
    let told = world.post("/api/v1/replays", body).await.refuses(409, &[]);
    assert!(told.contains("nothing has failed"), "{told}");
    let unknown = "evt_01jw3zqk8n7v2t0d5h9rxbmc4e";
    world.post("/api/v1/replays", json!({"scope": "all", "event": unknown})).await.refuses(404, &[]);
}

#[tokio::test]
async fn an_outdated_version_names_the_newer_one_and_goes_on_purpose_only() {
    let (world, event, _) = world_with_failures().await;
    let series = world.get("/api/v1/webinars").await.is(200)["data"][0]["id"].as_str().unwrap().to_owned();
    world.call_with("PATCH", &format!("/api/v1/webinars/{series}"), json!({"title": "Anew"})).await.is(200);
    let told = world.post("/api/v1/replays", json!({"scope": "all", "event": event})).await.refuses(409, &[]);
    assert!(told.contains("version 2"), "{told}");
    let dry = world.post("/api/v1/replays?dryRun=true", json!({"scope": "all", "event": event})).await.is(200);
    assert_eq!(dry["newerVersion"], 2);
    world.post("/api/v1/replays", json!({"scope": "all", "event": event, "evenIfOutdated": true})).await.is(201);
}

#[tokio::test]
async fn too_many_replays_at_a_time_are_refused() {
    let (world, event, _) = world_with_failures().await;
    let body = json!({"scope": "failed", "event": event});
    for _ in 0..store::OPEN_REPLAYS_MAX {
        world.post("/api/v1/replays", body.clone()).await.is(201);
    }
    let told = world.post("/api/v1/replays", body).await.refuses(409, &[]);
    assert!(told.contains("cancel one"), "{told}");
}
