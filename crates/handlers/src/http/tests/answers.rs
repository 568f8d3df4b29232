use std::time::Duration;

use super::world::{Receiver, answer, event, job};
use super::{HttpSettings, Success, http, settings};
use crate::{RunFailure, RunFailureKind};

const RETRY: RunFailureKind = RunFailureKind::Retry { after: None };
const TARGET: RunFailureKind = RunFailureKind::Target { after: None };

async fn failure_of(settings: HttpSettings) -> RunFailure {
    let failure = http(settings).ask(&job(), event()).await.unwrap_err();
    for secret in ["s3cret", "ana@x.org", "Ana"] {
        assert!(!failure.reason.contains(secret), "{}", failure.reason);
    }
    failure
}

async fn after(text: &str) -> RunFailure {
    let receiver = Receiver::that_answers(text);
    failure_of(settings(&receiver.url("/hook/s3cret?token=s3cret"))).await
}

#[tokio::test]
async fn each_refusal_has_its_consequence_and_its_words() {
    for (status, kind, word) in [
        (400, RunFailureKind::Hopeless, "refused the request"),
        (401, TARGET, "the credentials were refused"),
        (403, TARGET, "the credentials were refused"),
        (404, TARGET, "there is nothing at this URL"),
        (408, RETRY, "later"),
        (409, RETRY, "earlier attempt"),
        (410, TARGET, "switched on"),
        (413, RunFailureKind::Hopeless, "too large"),
        (422, RunFailureKind::Hopeless, "refused"),
        (425, RETRY, "later"),
        (429, TARGET, "fewer requests"),
        (500, RETRY, "it failed"),
        (502, RETRY, "it failed"),
        (503, TARGET, "at the moment"),
        (504, RETRY, "it failed"),
        (600, RETRY, "it failed"),
    ] {
        let failure = after(&answer(status, "", "")).await;
        assert_eq!(failure.kind, kind, "{status}: {}", failure.reason);
        assert!(failure.reason.contains(word) && failure.reason.contains(&status.to_string()), "{}", failure.reason);
    }
}

#[tokio::test]
async fn nothing_at_a_url_that_depends_on_the_event_parks_only_this_message() {
    let receiver = Receiver::that_answers_status(404, "");
    let failure = failure_of(settings(&receiver.url("/contacts/{{ series.id }}"))).await;
    assert_eq!(failure.kind, RunFailureKind::Hopeless, "{}", failure.reason);
}

#[tokio::test]
async fn retry_after_is_taken_in_seconds_or_as_a_date_and_never_for_ever() {
    for (text, asked) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 5", Some(5)),
        ("99999999999999999999", Some(3600)),
        ("Sun, 01 Mar 2026 10:01:01 GMT", Some(60)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(3600)),
        ("Sun, 01 Mar 2020 10:01:01 GMT", None),
        ("-1", None),
        ("inf", None),
        ("NaN", None),
        ("1e300", None),
        ("0x10", None),
    ] {
        let failure = after(&answer(429, &format!("retry-after: {text}\r\n"), "")).await;
        assert_eq!(failure.kind, RunFailureKind::Target { after: asked.map(Duration::from_secs) }, "{text}");
    }
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let canary = Receiver::that_answers_status(200, "");
    for status in [301, 302, 303, 307, 308] {
        let place = canary.url("/new/s3cret?email=ana@x.org");
        let failure = after(&answer(status, &format!("location: {place}\r\n"), "")).await;
        assert_eq!(failure.kind, RunFailureKind::Hopeless);
        let told = format!("use the URL it points to: http://{}/…", canary.address);
        assert!(failure.reason.contains(&told), "{}", failure.reason);
    }
    assert!(
        after(&answer(302, "location: /login/s3cret\r\n", "")).await.reason.contains("another path of the same host")
    );
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn lost_and_broken_answers_may_have_been_acted_on() {
    for text in
        ["", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nx: \0\r\n\r\n"]
    {
        let failure = after(text).await;
        assert_eq!(failure.kind, RETRY, "{text:?}: {}", failure.reason);
        assert!(failure.reason.contains("may have acted"), "{}", failure.reason);
    }
}

#[tokio::test]
async fn a_target_that_was_not_reached_rests_as_a_whole() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = failure_of(settings(&format!("http://{closed}/s3cret"))).await;
    assert_eq!(refused.kind, TARGET);
    assert!(refused.reason.contains("was not reached: the host refused the connection"), "{}", refused.reason);

    let plain = Receiver::that_answers("no tls here");
    let failure = failure_of(settings(&format!("https://{}/", plain.address))).await;
    assert_eq!(failure.kind, TARGET);

    let private = failure_of(settings("http://rebound.example/s3cret")).await;
    assert_eq!(private.kind, TARGET);
    assert!(private.reason.contains("allow-target") && !private.reason.contains("10.0.0.1"), "{}", private.reason);
}

#[tokio::test]
async fn codes_of_errors_are_kept_and_the_answer_itself_only_on_wish() {
    let said = r#"{"error":{"message":"no such user ana@x.org","type":"OAuthException","code":132000}}"#;
    let failure = after(&answer(400, "", said)).await;
    assert!(
        failure.reason.contains("answered 400 (132000): ") && failure.reason.contains("keep-answer"),
        "{}",
        failure.reason
    );
    assert!(after(&answer(404, "", "no_service")).await.reason.contains("(no_service)"));
    for body in
        [r#"{"error":"ana@x.org"}"#, r#"{"code":4915112345678}"#, r#"{"error":"Ana Lovelace"}"#, "4915112345678"]
    {
        let reason = after(&answer(400, "", body)).await.reason;
        assert!(reason.contains("answered 400: "), "{reason}");
    }

    let receiver = Receiver::that_answers_status(400, "no such\r\nuser \u{1b}[31mana@x.org");
    let keeping = HttpSettings { keep_answer: true, ..settings(&receiver.url("/")) };
    let reason = http(keeping).ask(&job(), event()).await.unwrap_err().reason;
    assert!(reason.ends_with("it said: no such user [31mana@x.org"), "{reason}");
}

#[tokio::test]
async fn what_counts_as_done_can_be_set() {
    let listed = |statuses: &[u16]| Success { statuses: statuses.to_vec(), condition: None };
    let holding = |text: &str| Success { statuses: Vec::new(), condition: Some(Success::condition(text).unwrap()) };
    for (status, body, success, done) in [
        (409, "", listed(&[200, 409]), true),
        (201, "", listed(&[200]), false),
        (200, r#"{"ok":true}"#, holding("body.ok"), true),
        (200, r#"{"ok":false,"error":"ratelimited"}"#, holding("body.ok"), false),
        (200, "OK: queued", holding("'OK' in body and status == 200"), true),
        (200, "", holding("body.ok"), false),
    ] {
        let receiver = Receiver::that_answers_status(status, body);
        let result = http(HttpSettings { success, ..settings(&receiver.url("/")) }).ask(&job(), event()).await;
        assert_eq!(result.is_ok(), done, "{status} {body}: {result:?}");
        if let Err(failure) = result {
            assert_eq!(failure.kind, RETRY, "{}", failure.reason);
        }
    }
    assert!(Success::condition("person.name").is_err_and(|error| error.to_string().contains("status and body")));
}
