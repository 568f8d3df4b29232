//! Rules that all native routes follow, and the small resources.

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use store::StoreError;

use super::world::World;
use crate::{Halves, WebSettings};

const KEY: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let world = World::new().await;
    world.get("/api/v1/nothing").await.refuses(404, &[]);
    let answer = world.call("DELETE", "/api/v1/events").await;
    assert!(answer.header("allow").contains("GET"), "{:?}", answer.headers);
    answer.refuses(405, &[]);
}

#[tokio::test]
async fn every_answer_is_kept_by_nobody_and_sniffed_by_nobody() {
    let world = World::new().await;
    for path in ["/api/v1/events", "/api/v1/nothing", "/livez"] {
        let answer = world.get(path).await;
        assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"));
    }
}

#[tokio::test]
async fn a_list_is_paged_by_cursor_and_link() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.advance(std::time::Duration::from_secs(1));
        world.post("/api/v1/mangoes", json!({"name": name})).await.is(201);
    }
    let first = world.get("/api/v1/mangoes?limit=2").await;
    let link = first.header("link").to_owned();
    let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let first = first.is(200);
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let second = world.get(next).await;
    assert_eq!(second.header("link"), "");
    let second = second.is(200);
    assert_eq!((&second["data"][0]["name"], &second["nextCursor"]), (&json!("c"), &Value::Null));
    assert!(next.ends_with(&format!("limit=2&cursor={}", first["nextCursor"].as_str().unwrap())));
}

#[tokio::test]
async fn a_query_that_means_nothing_is_refused() {
    let world = World::new().await;
    for query in ["limit=0", "limit=1001", "limit=x", "cursor=x", "stauts=delivered", "status=lost", "participant=x"] {
        let detail = world.get(&format!("/api/v1/deliveries?{query}")).await.refuses(400, &[]);
        assert!(detail.contains(query.split('=').next().unwrap()), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_subscription_is_made_shown_listed_and_ended() {
    let world = World::new().await;
    let body = json!({"url": "https://receiver.example/h", "event": "webinar.created.single"});
    let made = world.post("/api/v1/subscriptions", body.clone()).await;
    let path = made.header("location").to_owned();
    let made = made.is(201);
    assert!(made["signingSecret"].as_str().unwrap().starts_with("whsec_"));
    world.post("/api/v1/subscriptions", body).await.is(200);
    let shown = world.get(&path).await.is(200);
    assert_eq!((&shown["id"], &shown["url"]), (&made["id"], &json!("https://receiver.example/h")));
    assert_eq!(world.get("/api/v1/subscriptions").await.is(200)["data"], json!([shown]));
    world.call("DELETE", &path).await.is(204);
    world.get(&path).await.refuses(404, &[]);
    let wrong = json!({"url": "ftp://x.example", "event": "webinar.created.single"});
    world.post("/api/v1/subscriptions", wrong).await.refuses(400, &["/url"]);
}

#[tokio::test]
async fn an_endpoint_is_paused_and_resumed_by_its_owner() {
    let world = World::new().await;
    let endpoint = world.receiver().await["endpoint"]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/endpoints/{endpoint}");
    assert_eq!(world.call("POST", &format!("{path}/pause")).await.is(200)["state"], "paused");
    assert_eq!(world.get("/api/v1/endpoints").await.is(200)["data"][0]["state"], "paused");
    assert_eq!(world.call("POST", &format!("{path}/resume")).await.is(200)["state"], "healthy");
    // Lanes need not wait for their poll.
    world.context.lanes_hint.notified().await;
}

#[tokio::test]
async fn a_source_is_made_under_a_chosen_id_and_never_shows_its_keys() {
    let world = World::new().await;
    let id = "src_01jw3zqk8n7v2t0d5h9rxbmc4e";
    let made = world.post("/api/v1/sources", json!({"id": id, "name": " Shop ", "keys": [KEY]})).await.is(201);
    assert_eq!((&made["id"], &made["name"], &made["keyCount"]), (&json!(id), &json!("Shop"), &json!(1)));
    assert_eq!(made["path"], format!("/in/{id}"));
    world.post("/api/v1/sources", json!({"id": id, "name": "Again", "keys": [KEY]})).await.refuses(409, &[]);
    let listed = world.get("/api/v1/sources").await;
    assert!(!listed.text.contains("whsec_"));
    assert_eq!(listed.is(200)["data"], json!([made]));
    for (body, pointer) in [
        (json!({"name": "", "keys": [KEY]}), "/name"),
        (json!({"name": "x", "keys": vec![KEY; 9]}), "/keys"),
        (json!({"name": "x", "keys": [KEY, "whsk_x"]}), "/keys/1"),
        (json!({"id": "src_x", "name": "x", "keys": [KEY]}), "/id"),
    ] {
        world.post("/api/v1/sources", body).await.refuses(400, &[pointer]);
    }
    let keys = format!("/api/v1/sources/{id}/keys");
    assert_eq!(world.call_with("PUT", &keys, json!({"keys": [KEY, KEY]})).await.is(200)["keyCount"], 2);
    world.call_with("PUT", &keys, json!({"keys": []})).await.refuses(400, &["/keys"]);
}

#[tokio::test]
async fn only_the_halves_asked_for_are_served() {
    let world = World::with(WebSettings { halves: Halves::Receiver, ..WebSettings::default() }).await;
    world.get("/api/v1/events").await.refuses(404, &[]);
    world.get("/api/v1/sources").await.is(200);
    let world = World::with(WebSettings { halves: Halves::Provider, ..WebSettings::default() }).await;
    world.get("/api/v1/events").await.is(200);
    world.get("/api/v1/sources").await.refuses(404, &[]);
}

#[tokio::test]
async fn readiness_is_what_the_store_says() {
    let mut world = World::new().await;
    assert_eq!(world.get("/livez").await.is(200)["status"], "alive");
    assert_eq!(world.get("/readyz").await.is(200)["status"], "ready");
    world.context.readiness = std::sync::Arc::new(|| Box::pin(async { Err(StoreError::Busy(1)) }));
    let answer = world.get("/readyz").await;
    assert_eq!(answer.header("retry-after"), "1");
    answer.refuses(503, &[]);
}

#[tokio::test]
async fn a_key_is_not_taken_from_the_query_or_from_another_scheme() {
    let world = World::new().await;
    let request = Request::get(format!("/api/v1/events?x-api-key={}", world.key)).body(Body::empty()).unwrap();
    world.send(request).await.refuses(401, &[]);
    let basic = format!("Basic {}", STANDARD.encode(format!(":{}", world.key)));
    let request = Request::get("/api/v1/events").header("authorization", basic).body(Body::empty()).unwrap();
    world.send(request).await.refuses(401, &[]);
}
