//! Signatures against the published vectors, and what may not be signed.

use super::*;
use crate::{FanOutId, MessageId, ParticipantNumber, SigningSecret, WebhookIdError};

const SECRET_1: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECRET_1A: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const ID_1: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY_1: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE_1: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const SIGNATURE_1A: &str =
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

fn sign(secrets: &[&str], id: &str, timestamp: i64, body: &[u8]) -> String {
    let secrets = secrets.iter().map(|text| text.parse::<Secret>().expect("a good secret"));
    let signer = Signer::new(secrets).expect("1 to 8 secrets");
    signer.sign(WebhookId::new(id).expect("a good id"), timestamp, body)
}

#[test]
fn the_vectors_of_the_reference_libraries_come_out() {
    assert_eq!(sign(&[SECRET_1], ID_1, 1_614_265_330, BODY_1), SIGNATURE_1);
    let second = sign(
        &["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1_649_367_553,
        br#"{"email":"test@example.com","username":"test_user"}"#,
    );
    assert_eq!(second, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    assert_eq!(sign(&[SECRET_1A], ID_1, 1_614_265_330, BODY_1), SIGNATURE_1A);
}

#[test]
fn every_secret_signs_in_the_order_given() {
    let both = sign(&[SECRET_1A, SECRET_1], ID_1, 1_614_265_330, BODY_1);
    assert_eq!(both, format!("{SIGNATURE_1A} {SIGNATURE_1}"));
}

#[test]
fn a_header_text_is_allocated_once() {
    let secrets = [SECRET_1, SECRET_1A, SECRET_1].map(|text| text.parse::<Secret>().expect("good"));
    let signer = Signer::new(secrets).expect("three secrets");
    let header = signer.sign(WebhookId::new(ID_1).expect("a good id"), 1, BODY_1);
    assert!(header.len() <= signer.header_bytes, "{} > {}", header.len(), signer.header_bytes);
}

#[test]
fn signing_into_a_text_keeps_what_is_there() {
    let signer = Signer::new([SECRET_1.parse::<SigningSecret>().expect("good")]).expect("one");
    let mut header = String::from("webhook-signature: ");
    signer.sign_into(&mut header, WebhookId::new(ID_1).expect("good"), 1_614_265_330, BODY_1);
    assert_eq!(header, format!("webhook-signature: {SIGNATURE_1}"));
}

#[test]
fn our_own_message_ids_need_no_check() {
    let signer = Signer::new([SigningSecret::from_random([1; 32])]).expect("one secret");
    let id = MessageId::new(FanOutId::from_bytes([2; 16]), ParticipantNumber::from(3)).text();
    let checked = WebhookId::new(id.as_str()).expect("a good id");
    assert_eq!(signer.sign(&id, 5, b"body"), signer.sign(checked, 5, b"body"));
}

#[test]
fn the_longest_id_and_the_extreme_times_fit() {
    let id = "x".repeat(256);
    for timestamp in [i64::MIN, i64::MAX] {
        assert!(sign(&[SECRET_1], &id, timestamp, BODY_1).starts_with("v1,"));
    }
}

#[test]
fn ids_that_would_blur_the_signed_content_are_refused() {
    assert_eq!(WebhookId::new("msg_1.2"), Err(WebhookIdError::Dot));
    assert_eq!(WebhookId::new(""), Err(WebhookIdError::Length(0)));
    assert_eq!(WebhookId::new(&"x".repeat(257)), Err(WebhookIdError::Length(257)));
    for id in ["msg 1", "msg\n1", "msg_é", "msg\u{7f}"] {
        assert_eq!(WebhookId::new(id), Err(WebhookIdError::Character), "{id:?}");
    }
}

#[test]
fn a_signer_has_one_to_eight_secrets() {
    assert_eq!(Signer::new(Vec::<Secret>::new()).expect_err("none"), KeyCountError(0));
    let nine = Signer::new(vec![SigningSecret::from_random([1; 32]); 9]).expect_err("nine");
    assert_eq!(nine.to_string(), "9 keys were given, from 1 to 8 can be in use at once");
}

#[test]
fn debug_of_a_signer_shows_no_secret() {
    let signer = Signer::new([SECRET_1.parse::<Secret>().expect("good")]).expect("one secret");
    let shown = format!("{signer:?}");
    assert!(!shown.contains("MfKQ") && !shown.contains("49, 242"), "{shown}");
}
