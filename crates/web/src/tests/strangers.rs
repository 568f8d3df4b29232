//! One account never learns that another's things exist: every route with an id, made from the route table.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use store::RunState;
use wire::{Signer, SigningSecret, WebhookId};

use super::world::{World, weekly};
use crate::routes::{Access, table};

pub(super) const KEY: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Of somebody else's, whose webhooks come in here.
const FAN_OUT: &str = "fan_01jw3zqk8n7v2t0d5h9rxbmc4e";

/// One of everything, in the first account: ids by the name of their resource.
pub(super) async fn belongings(world: &World) -> BTreeMap<&'static str, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let registered = world.receiver().await;
    let mango = world.mango_of(3).await;
    let saved = world.weekly_series(&mango).await;
    world.deliver_to_three().await;
    let delivery = world.get("/api/v1/deliveries").await.is(200)["data"][0]["id"].clone();
    let source = world.post("/api/v1/sources", json!({"name": "Shop", "keys": [KEY]})).await.is(201);
    let erasure = world.post("/api/v1/participants/erase", json!({"email": "p3@example.com"})).await.is(202);
    let messages = ["m1", "m2"].map(|id| webhook(world, &text(&source["path"]), id));
    for message in messages {
        world.receive(message).await;
    }
    let listed = world.get("/api/v1/inbox/messages").await.is(200)["data"].clone();
    let message = listed[0]["id"].clone();
    let numbers: Vec<_> = listed.as_array().unwrap().iter().rev().map(|message| text(&message["id"])).collect();
    world.handled("crm", &numbers, vec![RunState::Done, RunState::Parked { reason: "no such table".to_owned() }]).await;
    let notice = world.notice_of(registered["endpoint"]["id"].as_str().unwrap()).await;
    let again = format!("/api/v1/deliveries/{}/replay", text(&delivery));
    let replay = world.call("POST", &again).await.is(201);
    BTreeMap::from([
        ("notices", notice),
        ("replays", text(&replay["id"])),
        ("mangoes", mango),
        ("participants", "1".to_owned()),
        ("webinars", text(&saved["id"])),
        ("events", text(&saved["event"]["id"])),
        ("deliveries", text(&delivery)),
        ("subscriptions", text(&registered["id"])),
        ("endpoints", text(&registered["endpoint"]["id"])),
        ("sources", text(&source["id"])),
        ("erasures", text(&erasure["id"])),
        ("messages", text(&message)),
        ("fan-outs", FAN_OUT.to_owned()),
        ("keys", world.key["wh_live_".len()..][..12].to_owned()),
    ])
}

/// A webhook that the source takes.
fn webhook(world: &World, path: &str, id: &str) -> Request<Body> {
    let seconds = world.context.clock.now().as_second();
    let signer = Signer::new([SigningSecret::from_random([0; 32])]).unwrap();
    let signature = signer.sign(WebhookId::new(id).unwrap(), seconds, b"{}");
    let request = Request::post(path).header("webhook-id", id).header("webhook-timestamp", seconds);
    let request =
        request.header("fanfare-fanout", FAN_OUT).header("fanfare-index", &id[1..]).header("fanfare-total", "3");
    request.header("webhook-signature", signature).body(Body::from("{}")).unwrap()
}

/// A request that would succeed with the right id.
fn request(method: &Method, path: &str, key: &str) -> Request<Body> {
    let (media, body) = match path {
        path if path.ends_with("/members") || path.ends_with("/registrations") => {
            ("text/csv", "name,email\nA,a@example.com\n".to_owned())
        }
        path if path.ends_with("/rotate-secret") => ("application/json", "{}".to_owned()),
        path if path.ends_with("/keys") => ("application/json", json!({"keys": [KEY]}).to_string()),
        path if *method == Method::PATCH && path.contains("/endpoints/") => {
            ("application/json", json!({"concurrencyMax": 3}).to_string())
        }
        path if path.ends_with("/rotate") => ("application/json", "{}".to_owned()),
        _ if *method == Method::PUT => ("application/json", weekly("65f0c0ffee0000000000a001").to_string()),
        _ => ("application/json", json!({"title": "Mine now"}).to_string()),
    };
    let request = Request::builder().method(method.clone()).uri(path);
    request.header("x-api-key", key).header("content-type", media).body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn every_id_of_another_account_is_as_unknown_as_one_made_up() {
    let world = World::new().await;
    let ids = belongings(&world).await;
    let stranger = world.another_account().await;
    let before = world.get("/api/v1/events").await.text;
    let routes = table();
    let owner = world.key.clone();
    let with_id: Vec<_> = routes.iter().filter(|route| route.path.contains("{id}")).collect();
    assert!(with_id.len() > 12, "the table is read");
    for route in with_id {
        let resource = route.path.split('/').rev().skip_while(|part| *part != "{id}").nth(1).unwrap();
        let id = ids.get(resource).unwrap_or_else(|| panic!("no {resource} to try {} with", route.path)).as_str();
        for id in [id, "no-id-at-all"] {
            let path = route.path.replace("{id}", id).replace("{participant}", "1");
            world.send(request(&route.method, &path, &stranger)).await.refuses(404, &[]);
        }
        if route.method == Method::GET {
            let path = route.path.replace("{id}", id);
            world.send(request(&route.method, &path, &owner)).await.is(200);
        }
    }
    assert_eq!(world.get("/api/v1/events").await.text, before);
}

#[tokio::test]
async fn every_route_of_the_api_asks_for_a_key() {
    let world = World::new().await;
    for route in table() {
        assert_eq!(route.access != Access::Everyone, route.path.starts_with("/api/"), "{}", route.path);
    }
    for route in table().iter().filter(|route| route.access != Access::Everyone) {
        let path = route.path.replace("{id}", "x").replace("{participant}", "1");
        let request = Request::builder().method(route.method.clone()).uri(&path).body(Body::empty()).unwrap();
        assert_eq!(world.send(request).await.status, 401, "{} {path}", route.method);
    }
}

#[tokio::test]
async fn lists_and_filters_hold_nothing_of_another_account() {
    let mut world = World::new().await;
    let ids = belongings(&world).await;
    world.key = world.another_account().await;
    let own_key = json!([world.get("/api/v1/keys").await.is(200)["data"][0]]);
    for list in lists() {
        let expected = if list == "/api/v1/keys" { own_key.clone() } else { json!([]) };
        assert_eq!(world.get(list).await.is(200)["data"], expected, "{list}");
    }
    for filters in [
        format!("/api/v1/deliveries?event={}", ids["events"]),
        format!("/api/v1/deliveries?event={}&participant=p1@example.com", ids["events"]),
        format!("/api/v1/deliveries?endpoint={}", ids["endpoints"]),
        "/api/v1/deliveries?participant=1&status=delivered".to_owned(),
        format!("/api/v1/inbox/messages?source={}", ids["sources"]),
    ] {
        assert_eq!(world.get(&filters).await.is(200)["data"], json!([]), "{filters}");
    }
    let filter = json!({"url": "https://x.example", "event": "webinar.created.recurring", "webinar": ids["webinars"]});
    world.post("/api/v1/subscriptions", filter).await.refuses(404, &[]);
    let series = weekly(&ids["mangoes"]);
    world.post("/api/v1/webinars", series).await.refuses(400, &["/mangoes/0"]);
}

#[tokio::test]
async fn a_cursor_of_another_account_leads_to_nothing_of_it() {
    let mut world = World::new().await;
    belongings(&world).await;
    world.mango_of(1).await;
    let mut cursors = Vec::new();
    for list in lists() {
        let page = world.send(request(&Method::GET, &format!("{list}?limit=1"), &world.key)).await;
        let next = page.text.contains("nextCursor").then(|| page.json()["nextCursor"].as_str().map(str::to_owned));
        cursors.extend(next.flatten().map(|cursor| (list, cursor)));
    }
    let paged: Vec<&str> = cursors.iter().map(|(list, _)| *list).collect();
    let many = ["mangoes", "deliveries", "inbox/messages", "inbox/runs", "audit"].map(|list| format!("/api/v1/{list}"));
    assert!(many.iter().all(|list| paged.contains(&list.as_str())), "{paged:?}");
    world.key = world.another_account().await;
    for (list, cursor) in cursors {
        assert_eq!(world.get(&format!("{list}?cursor={cursor}")).await.is(200)["data"], json!([]), "{list}");
    }
}

fn lists() -> impl Iterator<Item = &'static str> {
    let lists = table().into_iter().filter(|route| route.method == Method::GET && route.path.starts_with("/api/"));
    lists.map(|route| route.path).filter(|path| !path.contains("{id}") && *path != "/api/v1/account")
}
