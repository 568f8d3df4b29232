//! The seed's registration call, and everything that may be wrong with one.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::world::{Answer, World};

const ROUTE: &str = "/api/v1/integration/webhook/webhook";
const HOOK: &str = "https://receiver.example/hook";

fn registration() -> Value {
    json!({"hookUrl": HOOK, "event": "webinar.created.recurring"})
}

fn with(field: &str, value: Value) -> Value {
    let mut body = registration();
    body[field] = value;
    body
}

/// Checks the compatible envelope of a failure; its message.
#[track_caller]
fn refused(answer: Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json");
    let json = answer.json();
    assert_eq!((&json["code"], &json["success"], &json["errorCode"]), (&json!(status), &json!(false), &json!(code)));
    assert_eq!(json["message"], json["result"]);
    json["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_first_registration_shows_the_secret_and_the_second_is_the_same_subscription() {
    let world = World::new().await;
    let first = world.post(ROUTE, registration()).await.is(200);
    assert_eq!((&first["success"], &first["code"], &first["statusMessage"]), (&json!(true), &json!(200), &json!("OK")));
    let result = &first["result"];
    assert_eq!((&result["hookUrl"], &result["webinar"]), (&json!(HOOK), &Value::Null));
    assert_eq!(result["endpoint"]["state"], "healthy");
    assert!(result["signingSecret"].as_str().unwrap().starts_with("whsec_"));

    let second = world.post(ROUTE, registration()).await.is(200)["result"].clone();
    assert_eq!(second["id"], result["id"]);
    assert_eq!(second.get("signingSecret"), None);

    let other_event = world.post(ROUTE, with("event", json!("webinar.created.single"))).await.is(200)["result"].clone();
    assert_eq!(other_event["endpoint"], result["endpoint"]);
    assert_ne!(other_event["id"], result["id"]);
    assert_eq!(other_event.get("signingSecret"), None);
}

#[tokio::test]
async fn the_key_may_come_in_either_header() {
    let world = World::new().await;
    for (name, value) in [("x-api-key", world.key.clone()), ("authorization", format!("bearer {}", world.key))] {
        let request =
            Request::post(ROUTE).header(name, value).header("content-type", "application/json; charset=utf-8");
        world.send(request.body(Body::from(registration().to_string())).unwrap()).await.is(200);
    }
}

#[tokio::test]
async fn a_missing_wrong_or_revoked_key_is_told_as_such() {
    let mut world = World::new().await;
    let request = Request::post(ROUTE).header("content-type", "application/json");
    let without = world.send(request.body(Body::from("not even JSON")).unwrap()).await;
    assert_eq!(without.header("www-authenticate"), "Bearer realm=\"fanfare\"");
    assert!(refused(without, 401, "API_KEY_NOT_FOUND").contains("api key not found"));

    let good = std::mem::replace(&mut world.key, "wh_live_wrong".to_owned());
    assert!(refused(world.post(ROUTE, registration()).await, 401, "API_KEY_NOT_FOUND").contains("copy it whole"));

    world.key = good;
    let public_id = provider::api_key::ApiKey::parse(&world.key).unwrap().public_id().to_owned();
    store::Accounts::revoke_key(&world.store, world.account, &public_id, world.context.clock.now()).await.unwrap();
    assert!(refused(world.post(ROUTE, registration()).await, 401, "API_KEY_NOT_FOUND").contains("revoked"));
    world.get("/api/v1/events").await.refuses(401, &[]);
}

#[tokio::test]
async fn each_mistake_is_told_with_its_field_and_its_mend() {
    let world = World::new().await;
    for (body, field, mend) in [
        (json!({"event": "webinar.created.recurring"}), "/hookUrl", "is missing"),
        (with("hookUrl", json!(7)), "/hookUrl", "in quotes"),
        (with("hookUrl", json!("<your webhook url>")), "/hookUrl", "percent-encode"),
        (with("hookUrl", json!("receiver.example/hook")), "/hookUrl", "https://"),
        (with("hookUrl", json!("http://127.0.0.1/hook")), "/hookUrl", "use a public host"),
        (json!({"hookUrl": HOOK}), "/event", "is missing"),
        (with("event", json!("webinar.created.recuring")), "/event", "sent are webinar.created.recurring"),
        (with("event", json!("webinar.reminder.15min")), "/event", "not sent yet"),
        (with("mango", json!("65f0c0ffee0000000000a001")), "/mango", "cannot be filtered by mango"),
        (with("course", json!("x")), "/course", "leave it out"),
        (with("page", json!("x")), "/page", "leave it out"),
        (with("hookURL", json!("x")), "/hookURL", "give hookUrl"),
        (json!([HOOK]), "", "give a JSON object"),
        (with("webinar", json!("")), "/webinar", "leave \"webinar\" out"),
    ] {
        let message = refused(world.post(ROUTE, body.clone()).await, 400, "INVALID");
        assert!(message.starts_with(field) && message.contains(mend), "{body}: {message}");
    }
}

#[tokio::test]
async fn the_placeholder_of_the_seeds_example_is_told_apart_from_an_id() {
    let world = World::new().await;
    let placeholder = "<webinar to be associated> (optional sends all webinar related events if not specified)";
    let message = refused(world.post(ROUTE, with("webinar", json!(placeholder))).await, 400, "INVALID");
    assert!(message.contains("24 hexadecimal digits") && message.contains("leave \"webinar\" out"), "{message}");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_with_its_place() {
    let world = World::new().await;
    let cases = [("{\"hookUrl\": }", "line 1 column 13"), ("", "line 1 column 0"), ("{} {}", "trailing")];
    for (text, place) in cases {
        let request = Request::post(ROUTE).header("x-api-key", &world.key).header("content-type", "application/json");
        let answer = world.send(request.body(Body::from(text)).unwrap()).await;
        let message = refused(answer, 400, "MALFORMED_JSON");
        assert!(message.contains(place), "{text}: {message}");
    }
    let request = Request::post(ROUTE).header("x-api-key", &world.key).header("content-type", "text/plain");
    refused(world.send(request.body(Body::from("{}")).unwrap()).await, 415, "UNSUPPORTED_MEDIA_TYPE");
    let request = Request::post(ROUTE).header("x-api-key", &world.key).header("content-type", "application/json");
    refused(world.send(request.body(Body::from(" ".repeat(1_048_577))).unwrap()).await, 413, "BODY_TOO_LARGE");
}

#[tokio::test]
async fn a_filter_names_a_series_or_a_session_of_this_account() {
    let world = World::new().await;
    let mango = world.mango_of(1).await;
    let saved = world.weekly_series(&mango).await;
    for id in [&saved["id"], &saved["sessions"][2]["webinarId"]] {
        let result = world.post(ROUTE, with("webinar", id.clone())).await.is(200)["result"].clone();
        assert_eq!(result["webinar"], *id);
    }
    let unknown = with("webinar", json!("634fc35ddaf58580e2418c40"));
    refused(world.post(ROUTE, unknown).await, 404, "NOT_FOUND");
    let null = with("webinar", Value::Null);
    assert_eq!(world.post(ROUTE, null).await.is(200)["result"]["webinar"], Value::Null);
}
