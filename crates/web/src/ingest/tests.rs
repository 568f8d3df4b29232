//! Webhooks on their way into the inbox.

use axum::body::Body as AnyBody;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use wire::{Signer, SigningSecret, WebhookId};

use super::*;
use crate::tests::world::World;
use crate::{Limits, WebSettings};

mod configured;

struct Inbox {
    world: World,
    ingest: Ingest,
    path: String,
}

fn secret() -> SigningSecret {
    SigningSecret::from_random([7; 32])
}

impl Inbox {
    async fn new() -> Inbox {
        Inbox::of(World::new().await).await
    }

    async fn of(world: World) -> Inbox {
        let keys = json!([secret().reveal().as_str()]);
        let made = world.post("/api/v1/sources", json!({"name": "Shop", "keys": keys})).await.is(201);
        let ingest = Ingest::new(App::new(world.context.clone()));
        Inbox { world, ingest, path: made["path"].as_str().unwrap().to_owned() }
    }

    fn signed(&self, id: &str, body: &str) -> Request<Full<Bytes>> {
        self.signed_by(secret(), &self.path, id, body)
    }

    fn signed_by(&self, secret: SigningSecret, path: &str, id: &str, body: &str) -> Request<Full<Bytes>> {
        let seconds = self.world.context.clock.now().as_second();
        let signature = Signer::new([secret]).unwrap().sign(WebhookId::new(id).unwrap(), seconds, body.as_bytes());
        Request::post(path)
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .header("fanfare-event", "webinar.created.recurring")
            .body(Full::from(body.to_owned()))
            .unwrap()
    }

    /// The same server with these sources in its settings file.
    fn with(mut self, sources: impl IntoIterator<Item = Source>) -> Inbox {
        self.world.context.configured_sources = ConfiguredSources::new(sources).unwrap();
        self.ingest = Ingest::new(App::new(self.world.context.clone()));
        self
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
        let response = self.ingest.answer(request).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn messages(&self) -> Vec<Value> {
        self.world.get("/api/v1/inbox/messages").await.is(200)["data"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_message_is_stored_once_byte_for_byte() {
    let inbox = Inbox::new().await;
    let body = "{ \"a\" : 1.0, \"a\": \"\\ud800\" }";
    assert_eq!(inbox.send(inbox.signed("m1", body)).await, (StatusCode::OK, json!({"status": "stored"})));
    assert_eq!(inbox.send(inbox.signed("m1", body)).await, (StatusCode::OK, json!({"status": "duplicate"})));
    assert_eq!(inbox.send(inbox.signed("m1", "other")).await.1, json!({"status": "duplicate"}));

    let listed = inbox.messages().await;
    let [message] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((&message["duplicates"], &message["conflicts"]), (&json!(2), &json!(1)));
    assert_eq!(message["headers"]["fanfare-event"], "webinar.created.recurring");
    assert_eq!(message.get("body"), None);
    let path = format!("/api/v1/inbox/messages/{}", message["id"].as_str().unwrap());
    assert_eq!(inbox.world.get(&path).await.is(200)["body"], body);
}

#[tokio::test]
async fn the_same_id_a_hundred_times_at_once_is_one_message() {
    let inbox = Inbox::new().await;
    let answers = (0..100).map(|_| inbox.send(inbox.signed("m1", "{}")));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::OK));
    assert_eq!(answers.iter().filter(|(_, json)| json["status"] == "stored").count(), 1);
    assert_eq!(inbox.messages().await[0]["duplicates"], 99);
}

#[tokio::test]
async fn one_id_at_two_sources_is_two_messages() {
    let inbox = Inbox::new().await;
    let other = Inbox { path: String::new(), ..Inbox::of(inbox.world).await };
    let sources = other.world.get("/api/v1/sources").await.is(200);
    for source in sources["data"].as_array().unwrap() {
        let request = other.signed_by(secret(), source["path"].as_str().unwrap(), "m1", "{}");
        assert_eq!(other.send(request).await.1, json!({"status": "stored"}));
    }
    assert_eq!(other.messages().await.len(), 2);
}

#[tokio::test]
async fn an_unknown_source_and_a_wrong_signature_are_answered_alike() {
    let inbox = Inbox::new().await;
    let wrong_key = inbox.send(inbox.signed_by(SigningSecret::from_random([8; 32]), &inbox.path, "m1", "{}")).await;
    assert_eq!(wrong_key.0, StatusCode::UNAUTHORIZED);
    for path in ["/in/src_01jw3zqk8n7v2t0d5h9rxbmc4e", "/in/", "/in/x", &format!("{}/x", inbox.path)] {
        assert_eq!(inbox.send(inbox.signed_by(secret(), path, "m1", "{}")).await, wrong_key, "{path}");
    }
    let unsigned = Request::post(&inbox.path).body(Full::from("{}")).unwrap();
    assert_eq!(inbox.send(unsigned).await, wrong_key);
    let late = inbox.signed("m1", "{}");
    inbox.world.advance(Duration::from_secs(301));
    assert_eq!(inbox.send(late).await, wrong_key);
    assert_eq!(inbox.messages().await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn a_new_source_is_known_within_a_second_of_being_asked_for_in_vain() {
    let inbox = Inbox::new().await;
    let id = "src_01jw3zqk8n7v2t0d5h9rxbmc4e";
    let path = format!("/in/{id}");
    let request = || inbox.signed_by(secret(), &path, "m1", "{}");
    assert_eq!(inbox.send(request()).await.0, StatusCode::UNAUTHORIZED);
    let keys = json!([secret().reveal().as_str()]);
    inbox.world.post("/api/v1/sources", json!({"id": id, "name": "Late", "keys": keys})).await.is(201);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(inbox.send(request()).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_source_without_a_key_rejects_everything_until_it_is_given_one() {
    let inbox = Inbox::new().await;
    let made = inbox.world.post("/api/v1/sources", json!({"name": "Early"})).await.is(201);
    assert_eq!(made["keyCount"], 0);
    let path = made["path"].as_str().unwrap();
    let request = |id| inbox.signed_by(secret(), path, id, "{}");
    let stranger = inbox.send(inbox.signed_by(secret(), "/in/x", "m1", "{}")).await;
    assert_eq!(inbox.send(request("m1")).await, stranger);

    let keys = json!({"keys": [secret().reveal().as_str()]});
    let route = format!("/api/v1/sources/{}/keys", made["id"].as_str().unwrap());
    let given = inbox.world.call_with("PUT", &route, keys).await.is(200);
    assert_eq!(given["keyCount"], 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(inbox.send(request("m1")).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_told_of_one_rejection_a_second_and_how_many_were_left_out() {
    let inbox = Inbox::new().await;
    let id = inbox.path.strip_prefix(PREFIX).unwrap().parse().unwrap();
    inbox.send(inbox.signed("m1", "{}")).await;
    let tell = || inbox.ingest.sources.may_tell(id);
    assert_eq!([tell(), tell(), tell()], [Some(0), None, None]);
    tokio::time::advance(Duration::from_secs(1)).await;
    // It is read again meanwhile.
    inbox.send(inbox.signed("m2", "{}")).await;
    assert_eq!([tell(), tell()], [Some(2), None]);
}

#[tokio::test]
async fn only_post_is_taken() {
    let inbox = Inbox::new().await;
    let request = Request::get(&inbox.path).body(Full::default()).unwrap();
    let response = inbox.ingest.answer(request).await;
    assert_eq!(
        (response.status(), &response.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &HeaderValue::from_static("POST"))
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_the_connection_closed() {
    let limits = Limits { body_bytes: 10, ..Limits::default() };
    let inbox = Inbox::of(
        World::with(WebSettings { limits: Limits { body_bytes: 1_000, ..limits }, ..WebSettings::default() }).await,
    )
    .await;
    let response = inbox.ingest.answer(inbox.signed("m1", &"x".repeat(1_001))).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(inbox.send(inbox.signed("m1", &"x".repeat(1_000))).await.0, StatusCode::OK);

    // Without a declared length it is found out while reading.
    let pieces = futures_util::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 400]))));
    let request = Request::post(&inbox.path).body(AnyBody::from_stream(pieces)).unwrap();
    assert_eq!(inbox.ingest.answer(request).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn unfinished_bodies_have_a_bound_together() {
    let limits = Limits { unfinished_bytes: 500, ..Limits::default() };
    let inbox = Inbox::of(World::with(WebSettings { limits, ..WebSettings::default() }).await).await;
    let pieces = futures_util::stream::iter((0..2).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 400]))));
    let response = inbox.ingest.answer(Request::post(&inbox.path).body(AnyBody::from_stream(pieces)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    // What was held is given back.
    assert_eq!(inbox.send(inbox.signed("m1", "{}")).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_given_up() {
    let inbox = Inbox::new().await;
    let endless = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
    let request = Request::post(&inbox.path).body(AnyBody::from_stream(endless)).unwrap();
    assert_eq!(inbox.ingest.answer(request).await.status(), StatusCode::REQUEST_TIMEOUT);
}

#[test]
fn failures_of_the_store_tell_the_sender_to_come_back() {
    assert_eq!(of_failure(&StoreError::Busy(9)).into_response().headers()["retry-after"], "1");
    assert_eq!(of_failure(&StoreError::Unwritable("full".into())).status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(of_failure(&StoreError::Missing("x")).status(), StatusCode::INTERNAL_SERVER_ERROR);
}
