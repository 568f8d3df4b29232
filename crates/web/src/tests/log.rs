//! Events and deliveries, as far as they have got.

use serde_json::{Value, json};

use super::world::World;

async fn world_with_three_of_four_tried() -> (World, Value) {
    let world = World::new().await;
    world.receiver().await;
    let mango = world.mango_of(4).await;
    let saved = world.weekly_series(&mango).await;
    world.deliver_to_three().await;
    (world, saved)
}

#[tokio::test]
async fn an_event_tells_how_far_each_endpoint_is() {
    let (world, saved) = world_with_three_of_four_tried().await;
    let event = world.get("/api/v1/events").await.is(200)["data"][0].clone();
    assert_eq!((&event["id"], &event["audience"]), (&saved["event"]["id"], &json!(4)));
    assert_eq!((&event["type"], &event["trigger"]), (&json!("webinar.created.recurring"), &json!("created")));
    assert_eq!(event["webinar"]["id"], saved["id"]);
    let progress = &event["endpoints"][0];
    assert_eq!(progress["fanOut"], saved["fanOuts"][0]["id"]);
    for (state, count) in [("delivered", 1), ("retrying", 1), ("abandoned", 1), ("pending", 1)] {
        assert_eq!(progress[state], count, "{state}");
    }

    let shown = world.get(&format!("/api/v1/events/{}", event["id"].as_str().unwrap())).await.is(200);
    assert_eq!(shown["sharedBody"]["callList"].as_array().unwrap().len(), 4);
    assert_eq!(shown["sharedBody"]["mangoes"], "Gold");
}

#[tokio::test]
async fn deliveries_are_found_by_state_participant_event_and_endpoint() {
    let (world, saved) = world_with_three_of_four_tried().await;
    let event = saved["event"]["id"].as_str().unwrap();
    let endpoint = saved["fanOuts"][0]["endpoint"].as_str().unwrap();
    for (query, emails) in [
        ("status=delivered".to_owned(), vec!["p1@example.com"]),
        ("status=retrying".to_owned(), vec!["p2@example.com"]),
        ("status=abandoned".to_owned(), vec!["p3@example.com"]),
        ("participant=3".to_owned(), vec!["p3@example.com"]),
        ("participant=P2@example.com".to_owned(), vec!["p2@example.com"]),
        ("participant=nobody@example.com".to_owned(), vec![]),
        (format!("event={event}&endpoint={endpoint}&status=delivered"), vec!["p1@example.com"]),
        ("event=evt_01jw3zqk8n7v2t0d5h9rxbmc4e".to_owned(), vec![]),
    ] {
        let page = world.get(&format!("/api/v1/deliveries?{query}")).await.is(200);
        let found: Vec<_> =
            page["data"].as_array().unwrap().iter().map(|delivery| &delivery["participant"]["email"]).collect();
        assert_eq!(found, emails, "{query}");
    }
}

#[tokio::test]
async fn an_endpoint_tells_why_it_failed_last() {
    let (world, saved) = world_with_three_of_four_tried().await;
    let path = format!("/api/v1/endpoints/{}", saved["fanOuts"][0]["endpoint"].as_str().unwrap());
    let expected = json!({"at": "2024-03-01T10:00:00.000Z", "reason": "HTTP 404"});
    assert_eq!(world.get(&path).await.is(200)["lastFailure"], expected);
}

#[tokio::test]
async fn pages_of_deliveries_hold_each_of_them_once() {
    let (world, _) = world_with_three_of_four_tried().await;
    let mut path = "/api/v1/deliveries?limit=1".to_owned();
    let mut statuses = Vec::new();
    loop {
        let page = world.get(&path).await.is(200);
        statuses.extend(page["data"].as_array().unwrap().iter().map(|delivery| delivery["status"].clone()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/api/v1/deliveries?limit=1&cursor={cursor}");
    }
    assert_eq!(statuses, ["abandoned", "retrying", "delivered"]);
}

#[tokio::test]
async fn a_delivery_shows_its_attempts() {
    let (world, _) = world_with_three_of_four_tried().await;
    let listed = world.get("/api/v1/deliveries?status=retrying").await.is(200)["data"][0].clone();
    assert_eq!(listed["nextAttemptAt"], "2024-03-01T10:00:05.000Z");
    let shown = world.get(&format!("/api/v1/deliveries/{}", listed["id"].as_str().unwrap())).await.is(200);
    let attempt = &shown["history"][0];
    assert_eq!((&attempt["number"], &attempt["error"]), (&json!(1), &json!("E_TIMEOUT")));
    assert_eq!((&attempt["statusCode"], &attempt["latencyMs"]), (&Value::Null, &json!(12.3)));
    let phases = json!({
        "dnsMs": null, "connectMs": 1.23, "tlsMs": null, "firstByteMs": null, "totalMs": 12.34, "reused": false,
    });
    assert_eq!((&attempt["reason"], &attempt["phases"]), (&json!("no answer head within 30 s"), &phases));
    assert_eq!(&listed["lastAttempt"], attempt, "the list tells the last attempt as fully");
    let not_reached = listed["id"].as_str().unwrap().to_owned();
    let not_reached = format!("{}4", &not_reached[..not_reached.len() - 1]);
    world.get(&format!("/api/v1/deliveries/{not_reached}")).await.refuses(404, &[]);
}

#[tokio::test]
async fn an_overtaken_event_is_resumed_on_purpose_only() {
    let (world, saved) = world_with_three_of_four_tried().await;
    let path = format!("/api/v1/events/{}", saved["event"]["id"].as_str().unwrap());
    let order = async |order: &str| world.call_with("POST", &format!("{path}/{order}"), json!({})).await;
    assert_eq!(order("pause").await.is(200)["endpoints"][0]["state"], "paused");
    assert_eq!(order("resume").await.is(200)["endpoints"][0]["state"], "running");
    order("pause").await.is(200);
    let series = format!("/api/v1/webinars/{}", saved["id"].as_str().unwrap());
    world.call_with("PATCH", &series, json!({"title": "Anew"})).await.is(200);
    assert!(order("resume").await.refuses(409, &[]).contains("version 2"));
    assert_eq!(order("resume?evenIfOutdated=true").await.is(200)["endpoints"][0]["state"], "running");
}

#[tokio::test]
async fn an_order_to_an_endpoint_that_the_event_does_not_go_to_is_refused() {
    let (world, saved) = world_with_three_of_four_tried().await;
    let path = format!("/api/v1/events/{}/cancel", saved["event"]["id"].as_str().unwrap());
    let elsewhere = format!("{path}?endpoint=ep_01jw3zqk8n7v2t0d5h9rxbmc4e");
    world.call_with("POST", &elsewhere, json!({})).await.refuses(404, &[]);
    let told = world.get(path.trim_end_matches("/cancel")).await.is(200);
    let own = format!("{path}?endpoint={}", told["endpoints"][0]["endpoint"].as_str().unwrap());
    assert_eq!(world.call_with("POST", &own, json!({})).await.is(200)["endpoints"][0]["state"], "skipped");
}
