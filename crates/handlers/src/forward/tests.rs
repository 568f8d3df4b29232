//! The `forward` handler against real sockets, verified as the next receiver would.

use std::str::FromStr;

use wire::{KeyRing, SignedHeaders, VerificationKey};

use super::*;
use crate::Templates;
use crate::http::tests::world::{Receiver, egress, job_of};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = b"{ \"name\" :\"Ana\",\n \"n\": 1.0 } \xff";

fn forward(url: &str, secrets: &[&str]) -> Forward {
    let secrets = secrets.iter().map(|text| Secret::from_str(text).unwrap()).collect();
    let url = UrlText::parse(url, &Templates::default()).unwrap();
    Forward::new(ForwardSettings { url, secrets, headers: Vec::new(), keep_answer: false }, &egress()).unwrap()
}

fn header<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn verify(request: &str, body: &[u8], now: i64) -> bool {
    let head = request.lines().skip(1).take_while(|line| !line.is_empty());
    let headers = head.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.as_bytes()));
    let headers = SignedHeaders::find_in(headers).unwrap();
    let keys = KeyRing::new([VerificationKey::from_str(SECRET).unwrap()]).unwrap();
    keys.verify(&headers, body, now).is_ok()
}

#[tokio::test]
async fn the_bytes_arrive_as_they_came_and_signed_anew_at_each_attempt() {
    let receiver = Receiver::that_answers_status(200, "");
    let handler = forward(&receiver.url("/hook"), &[SECRET]);
    let kept = "content-type: application/json; charset=utf-8\nfanfare-event: webinar.created.recurring\nfanfare-attempt: 4\n\
                webhook-signature: v1,old\nwebhook-timestamp: 1\nx-hub-signature-256: old\nauthorization: old\nhost: old\n";
    let mut job = job_of(BODY, kept, Some("msg_7"));

    let note = handler.handle(&job).await.unwrap();
    job.attempt = 2;
    job.now = "2026-03-01T11:00:00Z".parse().unwrap();
    handler.handle(&job).await.unwrap();

    assert_eq!(note, format!("{} answered 200, signed", receiver.address));
    let (first, second) = (receiver.next_request(), receiver.next_request());
    for (request, at, attempt) in [(&first, 1_772_359_201, "1"), (&second, 1_772_362_800, "2")] {
        assert!(verify(request, BODY, at), "{request}");
        assert!(!verify(request, b"else", at));
        assert_eq!(header(request, "webhook-id"), Some("msg_7"));
        assert_eq!(header(request, "fanfare-attempt"), Some(attempt));
        assert_eq!(header(request, "fanfare-forwarded-source"), Some("tagmango"));
        assert_eq!(header(request, "fanfare-hops"), Some("1"));
        assert_eq!(header(request, "fanfare-event"), Some("webinar.created.recurring"));
        assert_eq!(header(request, "content-type"), Some("application/json; charset=utf-8"));
        assert!(!request.contains("old"), "{request}");
    }
    assert_ne!(header(&first, "webhook-signature"), header(&second, "webhook-signature"));
}

#[tokio::test]
async fn without_a_secret_it_is_forwarded_and_said_to_be_unsigned() {
    let receiver = Receiver::that_answers_status(202, "");
    let handler = forward(&receiver.url("/"), &[]);

    let note = handler.handle(&job_of(BODY, "", None)).await.unwrap();

    assert!(note.ends_with("answered 202, unsigned, since secret is not set"), "{note}");
    assert_eq!(header(&receiver.next_request(), "webhook-signature"), None);
}

#[tokio::test]
async fn a_message_without_a_usable_id_gets_one_that_stays() {
    let receiver = Receiver::that_answers_status(200, "");
    let handler = forward(&receiver.url("/"), &[SECRET]);
    let mut ids = Vec::new();
    for message_id in [None, Some("with.dot"), Some("with space"), Some("")] {
        let mut job = job_of(BODY, "", message_id);
        job.generation = 3;
        job.attempt = 2;
        handler.handle(&job).await.unwrap();
        let request = receiver.next_request();
        assert!(verify(&request, BODY, job.now.as_second()));
        ids.push(header(&request, "webhook-id").unwrap().to_owned());
    }
    assert!(ids.iter().all(|id| *id == ids[0] && id.starts_with("inm_0000000000007-") && !id.contains('.')), "{ids:?}");
}

#[tokio::test]
async fn a_message_in_a_circle_is_stopped() {
    let receiver = Receiver::that_answers_status(200, "");
    let handler = forward(&receiver.url("/"), &[SECRET]);

    handler.handle(&job_of(BODY, "fanfare-hops: 4\n", None)).await.unwrap();
    assert_eq!(header(&receiver.next_request(), "fanfare-hops"), Some("5"));
    for hops in ["5", "6", "99999999999999", "-1", "x"] {
        let failure = handler.handle(&job_of(BODY, &format!("fanfare-hops: {hops}\n"), None)).await.unwrap_err();
        assert_eq!(failure.kind, RunFailureKind::Hopeless);
        assert!(failure.reason.contains("in a circle"), "{}", failure.reason);
    }
    assert!(receiver.got_nothing());
}

#[tokio::test]
async fn headers_of_the_file_are_added_and_not_shown() {
    let receiver = Receiver::that_answers_status(200, "");
    let url = UrlText::secret(&receiver.url("/s3cret")).unwrap();
    let headers = vec![(crate::http::header_name("X-Key").unwrap(), crate::http::header_value("k3y").unwrap())];
    let handler =
        Forward::new(ForwardSettings { url, secrets: Vec::new(), headers, keep_answer: false }, &egress()).unwrap();
    let job = job_of(b"{}", "", None);

    let shown = handler.foresee(&job).await.unwrap();
    assert!(shown.contains("x-key: (secret)") && !shown.contains("k3y") && !shown.contains("s3cret"), "{shown}");
    assert!(receiver.got_nothing());
    handler.handle(&job).await.unwrap();
    assert_eq!(header(&receiver.next_request(), "x-key"), Some("k3y"));
}
