//! Who is answered what.

use bytes::Bytes;
use jiff::Timestamp;
use wire::AccountId;

use super::*;
use crate::{Preset, RawRequest, Scheme, verify};

const KEY: &str = "key-of-the-tests-1";
const PATH: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const ZOOM: &str =
    r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680}"#;

fn source(scheme: Scheme) -> Source {
    Source::named(AccountId::from_u32(7), "shop", scheme, PATH).expect("a good source")
}

/// A source that answers this challenge and knows its sender by a token.
fn asked_in_body(challenge: Challenge, body: &str) -> Option<ChallengeAnswer> {
    let source = source(Scheme::header("x-token", [KEY]).expect("a key").with_challenge(challenge));
    let request = RawRequest { headers: [("x-token", KEY.as_bytes())], body: Bytes::from(body.to_owned()) };
    let message = verify(&source, request, Timestamp::UNIX_EPOCH).expect("a token");
    challenge_in_body(&source, &message)
}

fn text(body: &str) -> Option<ChallengeAnswer> {
    Some(ChallengeAnswer { content_type: "text/plain; charset=utf-8", body: body.to_owned() })
}

#[test]
fn zoom_is_answered_with_the_key_that_verified_its_question() {
    let headers = [
        ("x-zm-signature", "v0=fad155bd900502f0e9e3c66f08ba19df3dc68f9cfe7969706b4d5abfd3e0ae95"),
        ("x-zm-request-timestamp", "1710158400"),
    ];
    let ask = |keys: &[&str]| {
        let source = source(Scheme::of_keys(Preset::Zoom, keys.iter().copied()).expect("keys"));
        let headers = headers.map(|(name, value)| (name, value.as_bytes()));
        let request = RawRequest { headers, body: Bytes::from_static(ZOOM.as_bytes()) };
        let message = verify(&source, request, Timestamp::from_second(1_710_158_400).expect("a time"));
        message.ok().and_then(|message| challenge_in_body(&source, &message))
    };
    let encrypted = "426048f271db999ae5fada8f58225b19ec7ea6ef6592b94c2064679b38dd1f05";
    for keys in [&[KEY][..], &["another", KEY]] {
        let answer = ask(keys).expect("its question");
        assert_eq!(answer.content_type, "application/json");
        let json: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(json, serde_json::json!({"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted}));
    }
    assert_eq!(ask(&["another"]), None, "nobody is answered who does not sign");
}

#[test]
fn zoom_is_not_answered_without_a_key_to_answer_with_or_another_shape() {
    assert_eq!(asked_in_body(Challenge::Zoom, ZOOM), None);
    for body in [&ZOOM.replace("url_validation\"", "url_validations\""), "endpoint.url_validation", "{}", ""] {
        assert_eq!(asked_in_body(Challenge::Zoom, body), None);
    }
}

#[test]
fn slack_gets_its_challenge_back_and_an_event_that_only_mentions_one_is_a_webhook() {
    let question =
        r#"{"token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}"#;
    assert_eq!(asked_in_body(Challenge::Slack, question), text("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"));
    for body in [
        r#"{"type":"event_callback","challenge":"x","event":{"text":"url_verification"}}"#,
        r#"{"type":"url_verification"}"#,
        r#"{"type":"url_verification","challenge":""}"#,
        r#"{"type":"url_verification","challenge":"a\r\nb"}"#,
    ] {
        assert_eq!(asked_in_body(Challenge::Slack, body), None, "{body}");
    }
}

#[test]
fn meta_gets_its_challenge_back_only_with_the_token_typed_into_its_form() {
    let source = source(Scheme::meta([KEY], "a token & more").expect("good"));
    let ask = |method: &str, query: &str| challenge_in_query(&source, method, Some(query));
    let good = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=a+token+%26%20more";
    assert_eq!(ask("GET", good), text("1158201444"));
    assert_eq!(ask("POST", good), None);
    assert_eq!(challenge_in_query(&source, "GET", None), None);
    for query in [
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=a+token",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
        "hub.mode=subscribe&hub.challenge=1",
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=a+token+%26%20more",
        "hub.mode=subscribe&hub.verify_token=a+token+%26%20more",
        "hub.mode=subscribe&hub.challenge=1&hub.challenge=2&hub.verify_token=a+token+%26%20more",
        "hub.mode=subscribe&hub.challenge=%0a&hub.verify_token=a+token+%26%20more",
        "hub.mode=subscribe&hub.challenge=%f&hub.verify_token=a+token+%26%20more",
        "hub.mode=subscribe&hub.challenge=%ff&hub.verify_token=a+token+%26%20more",
    ] {
        assert_eq!(ask("GET", query), None, "{query}");
    }
}

#[test]
fn graph_gets_its_token_back_as_plain_text() {
    let source = source(Scheme::path().with_challenge(Challenge::Graph));
    let ask = |method: &str, query: &str| challenge_in_query(&source, method, Some(query));
    assert_eq!(ask("POST", "validationToken=Validation%3a+Testing"), text("Validation: Testing"));
    assert_eq!(ask("GET", "validationToken=x"), None);
    assert_eq!(ask("POST", "x=y"), None);
    assert_eq!(ask("POST", &format!("validationToken={}", "x".repeat(1_025))), None);
}

#[test]
fn a_source_without_a_challenge_answers_none() {
    let source = source(Scheme::path());
    assert_eq!(challenge_in_query(&source, "POST", Some("validationToken=x")), None);
    assert_eq!(challenge_in_query(&source, "GET", Some("hub.mode=subscribe&hub.challenge=1&hub.verify_token=")), None);
}
