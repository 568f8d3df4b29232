//! Senders that are declared: what is believed, and which declarations are refused with which mend.

use std::time::Duration;

use super::*;

const ED25519_KEY: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
const ED25519: &str = "2289e62e99859d3f390b7c18f571334850e700af420664383a00be0a88fd6500\
                       be156bed593c703ce34a41f90b2730dd14d84ae700c06b209ee4d24fb86ccf01";

fn hmac() -> Declaration {
    Declaration::hmac_sha256("X-Signature", "")
}

fn time(name: &str, unit: TimeUnit) -> Option<TimeRule> {
    Some(TimeRule { place: TimePlace::Header(name.to_owned()), unit, tolerance: Duration::from_secs(60) })
}

fn of(declaration: Declaration, keys: &[&str]) -> Scheme {
    Scheme::declared(declaration, keys.iter().copied()).expect("a good declaration")
}

#[test]
fn a_url_in_the_content_is_that_of_the_settings() {
    let declaration = |encoding| Declaration {
        algorithm: Algorithm::HmacSha1,
        encoding,
        content: "{url}{body}".to_owned(),
        public_url: Some("https://example.com/in/x".to_owned()),
        ..hmac()
    };
    for (encoding, signature) in [
        (SignatureEncoding::Hex, "0db9d6262b6fb51634edf83d5626bdd6878ce084"),
        (SignatureEncoding::Hex, "0DB9D6262B6FB51634EDF83D5626BDD6878CE084"),
        (SignatureEncoding::Base64, "DbnWJitvtRY07fg9Via91oeM4IQ="),
    ] {
        let headers = [("x-signature", signature)];
        assert!(receive(of(declaration(encoding), &[KEY]), &headers, BODY.as_bytes(), NOW).is_ok(), "{signature}");
    }
}

#[test]
fn a_plain_hash_has_the_key_in_its_content() {
    let declaration = Declaration {
        algorithm: Algorithm::Sha256,
        content: "{timestamp}{key}{body}".to_owned(),
        time: time("x-time", TimeUnit::Seconds),
        ..hmac()
    };
    let signature = "eb77f1f81771aa58bd3470d58ec4871b5ed92637dd8db5bb4fb6fd4934e7fbfe";
    let headers = [("x-signature", signature), ("x-time", "1710158400")];
    let message = receive(of(declaration, &["other", KEY]), &headers, BODY.as_bytes(), NOW);
    assert_eq!(message.expect("hashed with the second key").matched(), Some(1));
}

#[test]
fn ed25519_is_verified_with_a_public_key() {
    let declaration = || Declaration {
        algorithm: Algorithm::Ed25519,
        key_encoding: KeyEncoding::Hex,
        content: "{timestamp}{body}".to_owned(),
        time: time("x-signature-timestamp", TimeUnit::Seconds),
        ..Declaration::hmac_sha256("x-signature-ed25519", "")
    };
    let headers = [("x-signature-ed25519", ED25519), ("x-signature-timestamp", "1710158400")];
    let at = |body: &[u8]| receive(of(declaration(), &[ED25519_KEY]), &headers, body, NOW);
    assert!(at(BODY.as_bytes()).is_ok());
    assert_eq!(at(b"{}"), Err(Rejection::WrongSignature));
    let short = Scheme::declared(declaration(), ["00ff"]).expect_err("two bytes");
    assert_eq!(short.to_string(), "key 1: has 2 bytes, an Ed25519 public key has 32");
}

#[test]
fn milliseconds_a_signed_id_and_the_alphabet_for_urls_go_together() {
    let declaration = || Declaration {
        encoding: SignatureEncoding::Base64Url,
        content: "{id}|{timestamp}|{body}".to_owned(),
        time: time("x-time", TimeUnit::Milliseconds),
        id: IdPlace::Header("X-Id".to_owned()),
        ..hmac()
    };
    let signature = "E5ETxYuaQ1D_7LaouS0CBPnApL20hA7Dl_HjpcqAs9k=";
    for signature in [signature, signature.trim_end_matches('=')] {
        let headers = [("x-signature", signature), ("x-id", "msg-1"), ("x-time", "1710158400123")];
        let at = |seconds| receive(of(declaration(), &[KEY]), &headers, BODY.as_bytes(), seconds);
        assert_eq!(at(NOW).expect("signed").message_id(), Some("msg-1"));
        assert!(at(NOW + 60).is_ok());
        assert!(matches!(at(NOW + 61), Err(Rejection::TooOld { off_seconds: 61, tolerance_seconds: 60 })));
        let without_id = [headers[0], headers[2]];
        let refused = receive(of(declaration(), &[KEY]), &without_id, BODY.as_bytes(), NOW);
        assert_eq!(refused, Err(Rejection::MissingHeader("x-id".into())));
        let moved = [headers[0], ("x-id", "msg-1|1"), ("x-time", "710158400123")];
        let refused = receive(of(declaration(), &[KEY]), &moved, BODY.as_bytes(), NOW);
        assert_eq!(refused, Err(Rejection::MalformedId("x-id".into())));
    }
}

#[test]
fn an_id_in_the_body_is_a_text_or_a_whole_number() {
    let at = |body: &str| {
        let declaration =
            Declaration { id: IdPlace::Pointer("/data/0/id".into()), ..Declaration::token("x-token", "") };
        let message = receive(of(declaration, &[KEY]), &[("x-token", KEY)], body.as_bytes(), NOW).expect("a token");
        message.message_id().map(str::to_owned)
    };
    assert_eq!(at(r#"{"data":[{"id":"a é"}]}"#).as_deref(), Some("a é"));
    assert_eq!(at(r#"{"data":[{"id":18446744073709551615}]}"#).as_deref(), Some("18446744073709551615"));
    for none in [r#"{"data":[{"id":1.5}]}"#, r#"{"data":[{"id":""}]}"#, r#"{"data":[{"id":"a\n"}]}"#, "{}", "no JSON"] {
        assert_eq!(at(none), None, "{none}");
    }
}

#[test]
fn a_declaration_that_cannot_be_meant_is_refused_with_its_mend() {
    let seconds = || time("x-time", TimeUnit::Seconds);
    let id = || IdPlace::Header("x-id".to_owned());
    let parameter = TimeRule {
        place: TimePlace::Parameter("t=".to_owned()),
        unit: TimeUnit::Seconds,
        tolerance: Duration::from_secs(1),
    };
    for (declaration, field, words) in [
        (Declaration { header: "x signature".into(), ..hmac() }, "header", "no name of a header"),
        (Declaration { header: String::new(), ..hmac() }, "header", "no name of a header"),
        (Declaration { separator: Some(String::new()), ..hmac() }, "separator", "leave it out"),
        (Declaration { id: IdPlace::Pointer("id".into()), ..hmac() }, "id-pointer", "\"/id\""),
        (Declaration { id: IdPlace::Header("X-SIGNATURE".into()), ..hmac() }, "header", "named twice"),
        (Declaration { content: String::new(), ..hmac() }, "content", "{body} once"),
        (Declaration { content: "{body}{body}".into(), ..hmac() }, "content", "{body} once"),
        (Declaration { content: "{boby}".into(), ..hmac() }, "content", "known are {id}"),
        (Declaration { content: "{body".into(), ..hmac() }, "content", "without a }"),
        (Declaration { content: "{url}{body}".into(), ..hmac() }, "content", "give public-url"),
        (Declaration { content: "{key}{body}".into(), ..hmac() }, "content", "only with it"),
        (Declaration { algorithm: Algorithm::Sha256, ..hmac() }, "content", "has to have {key}"),
        (Declaration { time: seconds(), ..hmac() }, "content", "no {timestamp}"),
        (Declaration { content: "{timestamp}.{body}".into(), ..hmac() }, "content", "timestamp-header or"),
        (Declaration { content: "{id}.{body}".into(), ..hmac() }, "content", "id-header"),
        (Declaration { content: "{id}{body}".into(), id: id(), ..hmac() }, "content", "its end could be moved"),
        (Declaration { content: "{id}x{body}".into(), id: id(), ..hmac() }, "content", "its end could be moved"),
        (Declaration { time: seconds(), ..Declaration::token("x-token", "") }, "timestamp-header", "leave it out"),
        (
            Declaration { content: "{timestamp}.{body}".into(), time: Some(parameter), ..hmac() },
            "timestamp-parameter",
            "a separator",
        ),
    ] {
        match Scheme::declared(declaration.clone(), [KEY]) {
            Err(SourceError::Field { field: told, problem }) => {
                assert!(told == field && problem.contains(words), "{declaration:?}: {told} {problem}");
            }
            other => panic!("{declaration:?}: {other:?}"),
        }
    }
}

#[test]
fn a_key_that_is_not_written_as_declared_is_named_by_its_place() {
    for (key_encoding, key, problem) in [
        (KeyEncoding::Hex, "abc", "is not an even number of hex digits"),
        (KeyEncoding::Hex, "zz", "is not an even number of hex digits"),
        (KeyEncoding::Base64, "!", "is not base64 of the standard alphabet"),
        (KeyEncoding::Whsec, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
    ] {
        let refused = Scheme::declared(Declaration { key_encoding, ..hmac() }, [key]).expect_err("malformed");
        assert_eq!(refused.to_string(), format!("key 1: {problem}"));
    }
    let nine = [KEY; 9];
    let refused = Scheme::declared(hmac(), nine).expect_err("too many");
    assert_eq!(refused.to_string(), "keys: 9 keys were given, from 1 to 8 can be in use at once");
}
