//! The life of one secret between a sender and a receiver, by the public items alone: a page to copy from.

use fanfare_wire::{
    FanOutId, KeyRing, Match, MessageId, ParticipantNumber, Rejection, SignatureScheme, SignedHeaders, Signer,
    SigningSecret, VerificationKey, headers, uuid_v7_bytes,
};

const BODY: &[u8] = br#"{"name":"Asha","callList":[]}"#;
const MONDAY_NOON: i64 = 1_710_158_400;

/// What travels: the three headers and a body.
struct Request {
    headers: Vec<(&'static str, String)>,
    body: &'static [u8],
}

fn send(signer: &Signer, id: MessageId, now: i64) -> Request {
    let id = id.text();
    let headers = vec![
        (headers::WEBHOOK_ID, id.to_string()),
        (headers::WEBHOOK_TIMESTAMP, now.to_string()),
        (headers::WEBHOOK_SIGNATURE, signer.sign(&id, now, BODY)),
    ];
    Request { headers, body: BODY }
}

fn receive(keys: &KeyRing, request: &Request, now: i64) -> Result<Match, Rejection> {
    let headers = request.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    keys.verify(&SignedHeaders::find_in(headers)?, request.body, now)
}

fn first_message() -> MessageId {
    let fan_out = FanOutId::from_bytes(uuid_v7_bytes(MONDAY_NOON as u64 * 1_000, [4; 10]));
    MessageId::new(fan_out, ParticipantNumber::from(1))
}

/// A receiver's keys, as it reads them from its settings.
fn keys(texts: &[&str]) -> KeyRing {
    let keys = texts.iter().map(|text| text.parse::<VerificationKey>().expect("a good key"));
    KeyRing::new(keys).expect("1 to 8 keys")
}

#[test]
fn every_attempt_has_the_same_id_and_a_signature_of_its_own() {
    let signer = Signer::new([SigningSecret::from_random([1; 32])]).expect("one secret");
    let first = send(&signer, first_message(), MONDAY_NOON);
    let second = send(&signer, first_message(), MONDAY_NOON + 5);
    assert_eq!(first.headers[0], second.headers[0]);
    assert_ne!(first.headers[2], second.headers[2]);
}

#[test]
fn a_recorded_request_is_refused_five_minutes_later_but_the_next_attempt_is_not() {
    let secret = SigningSecret::from_random([1; 32]);
    let keys = keys(&[&secret.reveal()]);
    let signer = Signer::new([secret]).expect("one secret");
    let recorded = send(&signer, first_message(), MONDAY_NOON);
    assert!(receive(&keys, &recorded, MONDAY_NOON + 300).is_ok());

    let later = MONDAY_NOON + 301;
    let refused = receive(&keys, &recorded, later).expect_err("too old");
    assert!(refused.to_string().starts_with("signed 301 s ago, more than the 300 s allowed"));
    assert!(receive(&keys, &send(&signer, first_message(), later), later).is_ok());
}

#[test]
fn a_secret_is_exchanged_without_a_webhook_lost() {
    let (old, new) = (SigningSecret::from_random([1; 32]), SigningSecret::from_random([2; 32]));
    let (old_text, new_text) = (old.reveal(), new.reveal());
    let before = Signer::new([old.clone()]).expect("one secret");
    let during = Signer::new([new.clone(), old]).expect("two secrets");
    let after = Signer::new([new]).expect("one secret");
    let matched = |keys: &KeyRing, signer: &Signer| {
        receive(keys, &send(signer, first_message(), MONDAY_NOON), MONDAY_NOON).map(|matched| matched.key_index)
    };

    let not_yet_changed = keys(&[&old_text]);
    assert_eq!(matched(&not_yet_changed, &before), Ok(0));
    assert_eq!(matched(&not_yet_changed, &during), Ok(0));
    assert_eq!(matched(&not_yet_changed, &after), Err(Rejection::WrongSignature));

    let with_both = keys(&[&new_text, &old_text]);
    assert_eq!(matched(&with_both, &before), Ok(1));
    assert_eq!(matched(&with_both, &during), Ok(0));
    assert_eq!(matched(&with_both, &after), Ok(0));
}

#[test]
fn a_receiver_with_a_public_key_can_verify_but_not_sign() {
    let pair = fanfare_wire::AsymmetricSecret::from_seed([3; 32]);
    let keys = keys(&[&pair.public_key().to_string()]);
    let signer = Signer::new([pair]).expect("one secret");
    let matched = receive(&keys, &send(&signer, first_message(), MONDAY_NOON), MONDAY_NOON);
    assert_eq!(matched, Ok(Match { key_index: 0, scheme: SignatureScheme::V1a }));
}
