//! `/api/v1/keys`, and what a key may do.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use provider::api_key::Scope;
use serde_json::{Value, json};

use super::world::World;
use crate::routes::{Access, table};

async fn new_key(world: &World, body: Value) -> (String, String) {
    let made = world.post("/api/v1/keys", body).await.is(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("apiKey"))
}

async fn status_with(world: &World, key: &str) -> u16 {
    let request = Request::get("/api/v1/mangoes").header("x-api-key", key).body(Body::empty()).unwrap();
    world.send(request).await.status.as_u16()
}

#[tokio::test]
async fn a_key_opens_the_routes_of_its_scopes_and_no_other() {
    let world = World::new().await;
    for scope in Scope::ALL {
        let (_, key) = new_key(&world, json!({"scopes": [scope.as_str()]})).await;
        for route in table() {
            let Access::Key(needed) = route.access else { continue };
            let path = route.path.replace("{id}", "x").replace("{participant}", "1");
            let request = Request::builder().method(route.method.clone()).uri(&path).header("x-api-key", &key);
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            let may = scope == Scope::Manage || scope == needed;
            assert_eq!(answer.status != 403, may, "{scope} at {} {path}: {}", route.method, answer.text);
            assert!(may || answer.text.contains(&format!("\\\"{needed}\\\"")), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_listed_without_its_secret() {
    let world = World::new().await;
    let (id, key) = new_key(&world, json!({"scopes": ["read", "audience"], "expiresInDays": 90})).await;
    assert_eq!(status_with(&world, &key).await, 200);
    let listed = world.get("/api/v1/keys").await;
    assert!(!listed.text.contains(&key) && !listed.text.contains(&world.key));
    let expected = json!({
        "id": id, "scopes": ["read", "audience"], "state": "good", "createdAt": "2024-03-01T10:00:00.000Z",
        "expiresAt": "2024-05-30T10:00:00.000Z", "revokedAt": null, "lastUsedAt": "2024-03-01T10:00:00.000Z",
    });
    assert_eq!(listed.is(200)["data"][1], expected);
    for (body, pointer) in [
        (json!({"scopes": []}), "/scopes"),
        (json!({"scopes": ["read", "everything"]}), "/scopes/1"),
        (json!({"scopes": ["read"], "expiresInDays": 0}), "/expiresInDays"),
        (json!({"scopes": ["read"], "expiresInDays": 3_651}), "/expiresInDays"),
    ] {
        world.post("/api/v1/keys", body).await.refuses(400, &[pointer]);
    }
}

#[tokio::test]
async fn a_key_opens_nothing_from_its_end_on() {
    let world = World::new().await;
    let (_, key) = new_key(&world, json!({"scopes": ["read"], "expiresInDays": 1})).await;
    world.advance(Duration::from_secs(86_399));
    assert_eq!(status_with(&world, &key).await, 200);
    world.advance(Duration::from_secs(1));
    let request = Request::get("/api/v1/mangoes").header("x-api-key", &key).body(Body::empty()).unwrap();
    assert!(world.send(request).await.refuses(401, &[]).contains("it is expired"));
}

#[tokio::test]
async fn a_rotated_key_goes_on_for_the_overlap_and_its_successor_has_the_same_scopes_and_life() {
    let world = World::new().await;
    let (id, key) = new_key(&world, json!({"scopes": ["read"], "expiresInDays": 10})).await;
    world.advance(Duration::from_secs(86_400));
    let path = format!("/api/v1/keys/{id}/rotate");
    let made = world.post(&path, json!({"overlapHours": 2})).await.is(201);
    assert_eq!((&made["scopes"], &made["expiresAt"]), (&json!(["read"]), &json!("2024-03-12T10:00:00.000Z")));
    let successor = made["apiKey"].as_str().unwrap();
    world.advance(Duration::from_secs(2 * 3_600 - 1));
    assert_eq!((status_with(&world, &key).await, status_with(&world, successor).await), (200, 200));
    world.advance(Duration::from_secs(1));
    assert_eq!((status_with(&world, &key).await, status_with(&world, successor).await), (401, 200));

    world.post(&path, json!({})).await.refuses(409, &[]);
    world.post(&path, json!({"overlapHours": 169})).await.refuses(400, &["/overlapHours"]);
    world.post("/api/v1/keys/k00000000000/rotate", json!({})).await.refuses(404, &[]);
}

#[tokio::test]
async fn a_key_is_revoked_by_another_and_not_by_itself() {
    let world = World::new().await;
    let (id, key) = new_key(&world, json!({"scopes": ["read"]})).await;
    world.call("DELETE", &format!("/api/v1/keys/{id}")).await.is(204);
    assert_eq!(status_with(&world, &key).await, 401);
    world.call("DELETE", &format!("/api/v1/keys/{id}")).await.refuses(404, &[]);
    let own = &world.key["wh_live_".len()..][..12];
    assert!(world.call("DELETE", &format!("/api/v1/keys/{own}")).await.refuses(409, &[]).contains("lock yourself out"));
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_good_keys() {
    let world = World::new().await;
    for _ in 1..200 {
        new_key(&world, json!({"scopes": ["read"]})).await;
    }
    world.post("/api/v1/keys", json!({"scopes": ["read"]})).await.refuses(409, &[]);
}

#[tokio::test]
async fn a_key_that_registers_ends_nobodys_subscription() {
    let world = World::new().await;
    let made = world.receiver().await;
    let (_, key) = new_key(&world, json!({"scopes": ["register"]})).await;
    let path = format!("/api/v1/subscriptions/{}", made["id"].as_str().unwrap());
    let request = Request::delete(&path).header("x-api-key", key).body(Body::empty()).unwrap();
    world.send(request).await.refuses(403, &[]);
    world.get(&path).await.is(200);
}
