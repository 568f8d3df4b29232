//! What is done is in the audit log: by whom, what, and to what.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::{Method, Request};
use provider::api_key::Scope;
use serde_json::{Value, json};
use store::RunState;

use super::runs::Inbox;
use super::world::{World, weekly};
use crate::caller::ClientAddress;
use crate::routes::{Access, table};

const KEY: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

async fn log(world: &World) -> Vec<Value> {
    world.get("/api/v1/audit?limit=1000").await.is(200)["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn an_act_is_told_with_the_key_the_address_and_the_object() {
    let world = World::new().await;
    let request = Request::post("/api/v1/mangoes").header("x-api-key", &world.key);
    let request = request.header("content-type", "application/json").body(Body::from("{\"name\":\"Gold\"}"));
    let mut request = request.unwrap();
    let address: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
    request.extensions_mut().insert(ClientAddress(address));
    let mango = world.send(request).await.is(201)["id"].clone();
    let logged = log(&world).await;
    let expected = json!([{
        "number": 1, "at": "2024-03-01T10:00:00.000Z", "actor": world.key["wh_live_".len()..][..12],
        "from": "192.0.2.7", "act": "mango.create", "object": mango,
    }]);
    assert_eq!(json!(logged), expected);
}

#[tokio::test]
async fn looking_failing_and_trying_out_are_no_acts() {
    let world = World::new().await;
    let mango = world.mango_of(1).await;
    let before = log(&world).await;
    world.post("/api/v1/mangoes", json!({"name": ""})).await.refuses(400, &["/name"]);
    world.post("/api/v1/webinars?dryRun=true", weekly(&mango)).await.is(200);
    world.call("DELETE", "/api/v1/subscriptions/sub_01jw3zqk8n7v2t0d5h9rxbmc4e").await.refuses(404, &[]);
    world.get("/api/v1/mangoes").await.is(200);
    assert_eq!(log(&world).await, before);
}

/// Routes that change nothing by themselves: a test send, a mark on one's own notice, an announcement where no rules have
/// changed, and the erasing by number, which is the same as by address.
const NO_ACTS: [&str; 9] = [
    "/api/v1/endpoints/{id}/test",
    "/api/v1/notices/{id}/read",
    "/api/v1/webinars/{id}/announce",
    // Orders to replays are noted, which has a test of its own.
    "/api/v1/deliveries/{id}/replay",
    "/api/v1/replays",
    "/api/v1/replays/{id}/pause",
    "/api/v1/replays/{id}/resume",
    "/api/v1/replays/{id}/cancel",
    "/api/v1/participants/{id}",
];

/// Every route that changes something with the scope `manage` or `register`, and a request that it takes. A new route
/// fails here until it is added, and then until it leaves a note.
#[tokio::test]
async fn every_route_that_manages_leaves_a_note() {
    let inbox = Inbox::with(1).await;
    inbox.handler("crm", vec![RunState::Done]).await;
    let world = inbox.world;
    let mango = world.mango_of(1).await;
    let hook = json!({"hookUrl": "https://a.example", "event": "webinar.created.recurring"});
    let subscription = json!({"url": "https://b.example", "event": "webinar.created.recurring"});
    let series = weekly(&mango);
    let moved = json!({"start": "2024-03-15T16:30"});
    let source = json!({"name": "Shop", "keys": [KEY]});
    let steps = [
        ("POST", "/api/v1/mangoes", json!({"name": "Gold"}), "mango.create"),
        ("POST", "/api/v1/integration/webhook/webhook", hook, "subscription.create"),
        ("POST", "/api/v1/subscriptions", subscription, "subscription.create"),
        ("POST", "/api/v1/endpoints/{id}/pause", json!({}), "endpoint.pause"),
        ("POST", "/api/v1/endpoints/{id}/resume", json!({}), "endpoint.resume"),
        ("PATCH", "/api/v1/endpoints/{id}", json!({"concurrencyMax": 3}), "endpoint.change"),
        ("POST", "/api/v1/webinars", series.clone(), "webinar.save"),
        ("POST", "/api/v1/events/{id}/pause", json!({}), "event.pause"),
        ("POST", "/api/v1/events/{id}/resume", json!({}), "event.resume"),
        ("POST", "/api/v1/endpoints/{id}/drop", json!({}), "endpoint.drop"),
        ("POST", "/api/v1/events/{id}/cancel", json!({}), "event.cancel"),
        ("PATCH", "/api/v1/webinars/{id}", moved, "webinar.save"),
        ("POST", "/api/v1/endpoints/{id}/skip", json!({}), "endpoint.resume"),
        ("PUT", "/api/v1/webinars/{id}", series, "webinar.save"),
        ("DELETE", "/api/v1/webinars/{id}", json!({}), "webinar.cancel"),
        ("DELETE", "/api/v1/subscriptions/{id}", json!({}), "subscription.delete"),
        ("POST", "/api/v1/sources", source, "source.create"),
        ("PUT", "/api/v1/sources/{id}/keys", json!({"keys": [KEY]}), "source.keys"),
        ("POST", "/api/v1/inbox/runs/rerun", json!({"handler": "crm", "all": true}), "run.rerun"),
        ("POST", "/api/v1/inbox/runs/drop", json!({"handler": "crm", "state": "waiting"}), "run.drop"),
        ("POST", "/api/v1/keys", json!({"scopes": ["read"]}), "key.create"),
        ("POST", "/api/v1/keys/{id}/rotate", json!({}), "key.rotate"),
        ("DELETE", "/api/v1/keys/{id}", json!({}), "key.revoke"),
        ("POST", "/api/v1/endpoints/{id}/rotate-secret", json!({}), "endpoint.rotate-secret"),
        ("PATCH", "/api/v1/account", json!({"retention": {"logDays": 30}}), "account.retention"),
        ("POST", "/api/v1/participants/erase", json!({"email": "p1@example.com"}), "participant.erase"),
    ];
    let changes = |access| access == Access::Key(Scope::Manage) || access == Access::Key(Scope::Register);
    for route in table().iter().filter(|route| route.method != Method::GET && changes(route.access)) {
        let known = NO_ACTS.contains(&route.path)
            || steps.iter().any(|(method, path, ..)| *path == route.path && *method == route.method.as_str());
        assert!(known, "{} {} needs a step here", route.method, route.path);
    }
    for (method, path, body, act) in steps {
        let before = log(&world).await;
        let resource = path.split('/').nth(3).unwrap();
        let lists = world.get(&format!("/api/v1/{resource}?limit=1000").replace("integration", "endpoints")).await;
        let id = lists.json()["data"].as_array().and_then(|all| all.last()).map(|last| last["id"].clone());
        let id = id.and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
        let answer = world.call_with(method, &path.replace("{id}", &id), body).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        let after = log(&world).await;
        let notes = if path.ends_with("/skip") { 2 } else { 1 };
        assert_eq!(after.len(), before.len() + notes, "{method} {path}");
        assert_eq!(after[0]["act"], act, "{method} {path}");
        if path.contains("{id}") {
            assert!(after[0]["object"].as_str().unwrap().contains(&id), "{method} {path}: {}", after[0]);
        }
    }
}
