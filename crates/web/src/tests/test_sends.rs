//! Test webhooks, as their owner asks for them.

use std::sync::Arc;
use std::time::Duration;

use provider::attempt::{Failure, Outcome, Phases, Reason, TestReport};
use serde_json::json;

use super::world::World;

/// A world whose one endpoint answers tests with `outcome`; the path of its tests.
async fn world_answering(outcome: Outcome, reason: Option<&'static str>) -> (World, String) {
    let mut world = World::new().await;
    world.context.test_send = Some(Arc::new(move |endpoint| {
        Box::pin(async move {
            Ok(TestReport {
                headers: vec![("webhook-id".to_owned(), "msg_1".to_owned()), ("x-to".to_owned(), endpoint.url)],
                body: b"{\"name\":\"Fanfare Test\"}".to_vec(),
                outcome,
                phases: Phases { total: Duration::from_millis(5), ..Phases::default() },
                reason: reason.map(Reason::of_text),
            })
        })
    }));
    let endpoint = world.receiver().await["endpoint"]["id"].as_str().unwrap().to_owned();
    (world, format!("/api/v1/endpoints/{endpoint}/test"))
}

#[tokio::test]
async fn a_test_shows_what_was_sent_and_what_came_back() {
    let (world, path) = world_answering(Outcome::Answered(204), None).await;
    let phases = json!({
        "dnsMs": null, "connectMs": null, "tlsMs": null, "firstByteMs": null, "totalMs": 5.0, "reused": false,
    });
    let headers = json!({"webhook-id": "msg_1", "x-to": "https://receiver.example/hook?secret=s"});
    let expected = json!({
        "delivered": true, "statusCode": 204, "phases": phases,
        "request": {"headers": headers, "body": {"name": "Fanfare Test"}},
    });
    assert_eq!(world.call("POST", &path).await.is(200), expected);
}

#[tokio::test]
async fn a_test_that_failed_is_still_an_answer() {
    let words = "the certificate has expired; renew it";
    let (world, path) = world_answering(Outcome::Failed(Failure::Tls), Some(words)).await;
    let answer = world.call("POST", &path).await.is(200);
    assert_eq!((&answer["delivered"], &answer["error"]), (&json!(false), &json!("E_TLS")));
    assert_eq!((&answer["statusCode"], &answer["reason"]), (&json!(null), &json!(words)));
}

#[tokio::test]
async fn an_account_has_so_many_tests_in_a_minute() {
    let (world, path) = world_answering(Outcome::Answered(200), None).await;
    // One router, since the count lives in it.
    let router = crate::router(world.context.clone());
    let ask = async || {
        let request = http::Request::post(&path).header("x-api-key", &world.key);
        let request = request.body(axum::body::Body::empty()).unwrap();
        tower::ServiceExt::oneshot(router.clone(), request).await.unwrap()
    };
    for _ in 0..20 {
        assert_eq!(ask().await.status(), 200);
    }
    world.advance(Duration::from_secs(50));
    let refused = ask().await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"11".parse().unwrap()));
    world.advance(Duration::from_secs(11));
    assert_eq!(ask().await.status(), 200);
}

#[tokio::test]
async fn a_process_that_delivers_nothing_sends_no_tests() {
    let (mut world, path) = world_answering(Outcome::Answered(200), None).await;
    world.context.test_send = None;
    world.call("POST", &path).await.refuses(404, &[]);
}
