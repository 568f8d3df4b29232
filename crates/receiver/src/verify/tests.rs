//! What a verified message carries, and which requests never become one.

use jiff::ToSpan;
use wire::Rejection as Standard;
use wire::{Signer, SigningSecret, WebhookId};

use super::*;
use crate::Scheme;

const BODY: &str = r#"{"name":"Asha"}"#;

fn now() -> Timestamp {
    "2024-03-11T12:00:00Z".parse().expect("a time")
}

fn secret() -> SigningSecret {
    SigningSecret::from_random([1; 32])
}

fn source(keys: &[SigningSecret]) -> Source {
    let texts: Vec<_> = keys.iter().map(SigningSecret::reveal).collect();
    let scheme = Scheme::standard_webhooks(texts.iter().map(|text| text.as_str()));
    Source::new(SourceId::from_bytes([3; 16]), AccountId::from_u32(7), "shop", scheme.expect("good keys"))
        .expect("a good source")
}

/// The headers of a request signed with [`secret`].
struct Headers(Vec<(&'static str, String)>);

impl Headers {
    fn signed(id: &str, body: &str) -> Self {
        let signer = Signer::new([secret()]).expect("one secret");
        let seconds = now().as_second();
        let signature = signer.sign(WebhookId::new(id).expect("good"), seconds, body.as_bytes());
        Self(vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature),
        ])
    }

    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.0.push((name, value.to_owned()));
        self
    }

    fn with_body(&self, body: &'static str) -> RawRequest<impl Iterator<Item = (&'static str, &[u8])>> {
        let headers = self.0.iter().map(|(name, value)| (*name, value.as_bytes()));
        RawRequest { headers, body: Bytes::from_static(body.as_bytes()) }
    }
}

fn verified(id: &str, body: &'static str) -> Verified {
    verify(&source(&[secret()]), Headers::signed(id, body).with_body(body), now()).expect("signed")
}

#[test]
fn a_signed_request_is_verified_with_all_that_is_worth_keeping() {
    let headers =
        Headers::signed("msg_1", BODY).and("fanfare-event", "webinar.created.recurring").and("cookie", "secret");
    let message = verify(&source(&[secret()]), headers.with_body(BODY), now()).expect("rightly signed");
    assert_eq!(message.source(), SourceId::from_bytes([3; 16]));
    assert_eq!(message.account(), AccountId::from_u32(7));
    assert_eq!(message.received_at(), now());
    assert_eq!(message.message_id(), Some("msg_1"));
    assert_eq!(message.dedupe_key().as_bytes(), b"imsg_1");
    assert_eq!(message.headers().as_text(), "webhook-id: msg_1\nfanfare-event: webinar.created.recurring\n");
    assert_eq!(message.body(), BODY);
    assert_eq!(message.matched(), Some(0));
}

#[test]
fn the_body_is_shared_not_copied() {
    let body = Bytes::from(BODY.to_owned());
    let headers = Headers::signed("msg_1", BODY);
    let request = RawRequest { body: body.clone(), headers: headers.with_body(BODY).headers };
    let message = verify(&source(&[secret()]), request, now()).expect("rightly signed");
    assert_eq!(message.body().as_ptr(), body.as_ptr());
}

#[test]
fn the_key_in_use_is_named_during_rotation() {
    let new = SigningSecret::from_random([2; 32]);
    let request = Headers::signed("msg_1", BODY);
    let message = verify(&source(&[new, secret()]), request.with_body(BODY), now());
    assert_eq!(message.expect("the old key is valid").matched(), Some(1));
}

#[test]
fn a_changed_body_is_rejected() {
    let request = Headers::signed("msg_1", BODY);
    let refused = verify(&source(&[secret()]), request.with_body(r#"{"name":"Eve"}"#), now());
    assert_eq!(refused, Err(Standard::WrongSignature.into()));
}

#[test]
fn a_request_for_another_source_is_rejected() {
    let other = source(&[SigningSecret::from_random([9; 32])]);
    let refused = verify(&other, Headers::signed("msg_1", BODY).with_body(BODY), now());
    assert_eq!(refused, Err(Standard::WrongSignature.into()));
}

#[test]
fn a_replayed_request_is_rejected_after_300_seconds() {
    let source = source(&[secret()]);
    let request = Headers::signed("msg_1", BODY);
    assert!(verify(&source, request.with_body(BODY), now() + 300.seconds()).is_ok());
    let refused = verify(&source, request.with_body(BODY), now() + 301.seconds());
    assert!(matches!(refused, Err(Rejection::Standard(Standard::TooOld { off_seconds: 301, .. }))));
}

#[test]
fn a_repeated_id_header_is_rejected() {
    let request = Headers::signed("msg_1", BODY).and("Webhook-Id", "msg_2");
    let refused = verify(&source(&[secret()]), request.with_body(BODY), now());
    assert_eq!(refused, Err(Standard::RepeatedHeader("webhook-id").into()));
}

#[test]
fn an_unsigned_request_is_rejected() {
    let request = Headers(vec![("content-type", "application/json".to_owned())]);
    let refused = verify(&source(&[secret()]), request.with_body(BODY), now());
    assert_eq!(refused, Err(Standard::MissingHeader("webhook-id").into()));
}

#[test]
fn the_same_id_with_another_body_has_the_same_key_and_another_digest() {
    let (one, other) = (verified("msg_1", BODY), verified("msg_1", r#"{"name":"Ash"}"#));
    assert_eq!(one.dedupe_key(), other.dedupe_key());
    assert_ne!(one.content_digest(), other.content_digest());
}

#[test]
fn the_same_body_with_another_id_is_another_message() {
    let (one, other) = (verified("msg_1", BODY), verified("msg_2", BODY));
    assert_ne!(one.dedupe_key(), other.dedupe_key());
    assert_eq!(one.content_digest(), other.content_digest());
}
