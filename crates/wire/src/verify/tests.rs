//! What is accepted and what is refused, starting from the published vectors.

use proptest::prelude::*;

use super::*;
use crate::{AsymmetricSecret, Secret, Signer, SigningSecret, VerificationKey, WebhookId, WebhookIdError};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIMESTAMP: &str = "1614265330";
const NOW: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const GOOD: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const GOOD_V1A: &str = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
const WRONG: &str = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn ring(keys: &[&str]) -> KeyRing {
    let keys = keys.iter().map(|text| text.parse::<VerificationKey>().expect("a good key"));
    KeyRing::new(keys).expect("1 to 8 keys")
}

/// Verifies vector 1 with something else in one place.
struct Case<'a> {
    keys: &'a [&'a str],
    id: &'a str,
    timestamp: &'a str,
    signature: &'a str,
    body: &'a [u8],
    now: i64,
}

const VECTOR_1: Case<'static> =
    Case { keys: &[SECRET], id: ID, timestamp: TIMESTAMP, signature: GOOD, body: BODY, now: NOW };

impl Case<'_> {
    fn verify(&self) -> Result<Match, Rejection> {
        let headers = SignedHeaders::new(self.id, self.timestamp, self.signature)?;
        ring(self.keys).verify(&headers, self.body, self.now)
    }
}

/// Signs as the sender of vector 1 would.
fn signed_at(timestamp: i64, body: &[u8]) -> String {
    let signer = Signer::new([SECRET.parse::<Secret>().expect("good")]).expect("one secret");
    signer.sign(WebhookId::new(ID).expect("good"), timestamp, body)
}

const V1: Match = Match { key_index: 0, scheme: SignatureScheme::V1 };

#[test]
fn the_vectors_are_accepted() {
    assert_eq!(VECTOR_1.verify(), Ok(V1));
    let second = Case {
        keys: &["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        timestamp: "1649367553",
        signature: "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        body: br#"{"email":"test@example.com","username":"test_user"}"#,
        now: 1_649_367_553,
    };
    assert_eq!(second.verify(), Ok(V1));
    let third = Case { keys: &[PUBLIC], signature: GOOD_V1A, ..VECTOR_1 };
    assert_eq!(third.verify(), Ok(Match { key_index: 0, scheme: SignatureScheme::V1a }));
}

#[test]
fn the_key_that_matched_is_named() {
    let other = SigningSecret::from_random([1; 32]).reveal();
    let keys = [other.as_str(), PUBLIC, SECRET];
    let by_secret = Case { keys: &keys, ..VECTOR_1 };
    assert_eq!(by_secret.verify().map(|matched| matched.key_index), Ok(2));
    let by_public_key = Case { keys: &keys, signature: GOOD_V1A, ..VECTOR_1 };
    assert_eq!(by_public_key.verify().map(|matched| matched.key_index), Ok(1));
}

#[test]
fn an_unpadded_key_verifies() {
    let secret = SigningSecret::from_random([9; 32]);
    let signature = Signer::new([secret.clone()]).expect("one").sign(WebhookId::new(ID).expect("good"), NOW, BODY);
    let text = secret.reveal();
    let keys = [text.trim_end_matches('=')];
    assert_eq!(Case { keys: &keys, signature: &signature, ..VECTOR_1 }.verify(), Ok(V1));
}

#[test]
fn one_right_signature_among_wrong_ones_is_enough() {
    let signature = format!("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= {WRONG}  v2,x {WRONG} {GOOD}");
    assert_eq!(Case { signature: &signature, ..VECTOR_1 }.verify(), Ok(V1));
}

#[test]
fn a_partial_signature_is_refused() {
    let first_eight = &GOOD[..3 + 8];
    let unpadded = GOOD.trim_end_matches('=');
    let longer = format!("{GOOD}AAAA");
    let cases = ["", " ", "v1", "v1,", "v1,=", "v1,AAAA", first_eight, unpadded, &longer, &GOOD[3..]];
    for signature in cases {
        let refused = Case { signature, ..VECTOR_1 }.verify();
        assert_eq!(refused, Err(Rejection::NoUsableSignature), "{signature:?}");
    }
}

#[test]
fn a_wrong_signature_is_refused() {
    assert_eq!(Case { signature: WRONG, ..VECTOR_1 }.verify(), Err(Rejection::WrongSignature));
    let of_another_key = SigningSecret::from_random([1; 32]).reveal();
    let keys = [of_another_key.as_str()];
    assert_eq!(Case { keys: &keys, ..VECTOR_1 }.verify(), Err(Rejection::WrongSignature));
}

#[test]
fn a_wrong_ed25519_signature_is_refused() {
    let public_key = AsymmetricSecret::from_seed([1; 32]).public_key().to_string();
    let refused = Case { keys: &[&public_key], signature: GOOD_V1A, ..VECTOR_1 }.verify();
    assert_eq!(refused, Err(Rejection::WrongSignature));
}

#[test]
fn unknown_versions_alone_are_refused() {
    let v2 = GOOD.replace("v1,", "v2,");
    let refused = Case { signature: &v2, ..VECTOR_1 }.verify();
    assert_eq!(refused, Err(Rejection::NoUsableSignature));
}

#[test]
fn a_signature_is_never_taken_for_one_of_the_other_scheme() {
    let only_public = Case { keys: &[PUBLIC], ..VECTOR_1 };
    assert_eq!(only_public.verify(), Err(Rejection::NoUsableSignature));
    let renamed = GOOD.replace("v1,", "v1a,");
    let refused = Case { signature: &renamed, keys: &[SECRET, PUBLIC], ..VECTOR_1 }.verify();
    assert_eq!(refused, Err(Rejection::NoUsableSignature));
}

#[test]
fn more_signatures_than_any_sender_has_are_refused() {
    let right_at_the_end = format!("{}{GOOD}", format!("{WRONG} ").repeat(15));
    assert_eq!(Case { signature: &right_at_the_end, ..VECTOR_1 }.verify(), Ok(V1));
    let one_more = format!("{WRONG} {right_at_the_end}");
    let refused = Case { signature: &one_more, ..VECTOR_1 }.verify();
    assert_eq!(refused, Err(Rejection::TooManySignatures));
}

#[test]
fn a_body_parsed_and_written_again_is_refused() {
    let refused = Case { body: br#"{"test":2432232314}"#, ..VECTOR_1 }.verify();
    assert_eq!(refused, Err(Rejection::WrongSignature));
}

#[test]
fn a_body_that_is_not_utf8_is_accepted() {
    let body = [0xff, 0x00, 0xc3];
    let signature = signed_at(NOW, &body);
    assert_eq!(Case { signature: &signature, body: &body, ..VECTOR_1 }.verify(), Ok(V1));
}

#[test]
fn another_id_or_time_than_the_signed_one_is_refused() {
    let other_id = Case { id: "msg_p5jXN8AQM9LWM0D4loKWxJel", ..VECTOR_1 };
    assert_eq!(other_id.verify(), Err(Rejection::WrongSignature));
    let other_time = Case { timestamp: "1614265331", ..VECTOR_1 };
    assert_eq!(other_time.verify(), Err(Rejection::WrongSignature));
}

#[test]
fn a_timestamp_that_is_no_plain_number_is_refused() {
    let cases = [
        "",
        " ",
        "1614265330.5",
        "soon",
        "-1614265330",
        "+1614265330",
        "01614265330",
        " 1614265330",
        "1614265330 ",
        "1e9",
        "9223372036854775808",
        "-9223372036854775808",
        "１６１４２６５３３０",
    ];
    for timestamp in cases {
        let refused = Case { timestamp, ..VECTOR_1 }.verify();
        assert_eq!(refused, Err(Rejection::MalformedTimestamp), "{timestamp:?}");
    }
}

#[test]
fn three_hundred_seconds_are_tolerated_in_both_directions_and_no_more() {
    assert_eq!(Case { now: NOW + 300, ..VECTOR_1 }.verify(), Ok(V1));
    assert_eq!(Case { now: NOW - 300, ..VECTOR_1 }.verify(), Ok(V1));
    let (off_seconds, tolerance_seconds) = (301, 300);
    let old = Case { now: NOW + 301, ..VECTOR_1 }.verify();
    assert_eq!(old, Err(Rejection::TooOld { off_seconds, tolerance_seconds }));
    let ahead = Case { now: NOW - 301, ..VECTOR_1 }.verify();
    assert_eq!(ahead, Err(Rejection::TooNew { off_seconds, tolerance_seconds }));
}

#[test]
fn extreme_times_are_refused_without_overflow() {
    let signature = signed_at(i64::MAX, BODY);
    let latest = Case { timestamp: "9223372036854775807", signature: &signature, ..VECTOR_1 };
    assert!(matches!(latest.verify(), Err(Rejection::TooNew { .. })));
    let from_the_earliest_now = Case { now: i64::MIN, ..latest };
    let refused = from_the_earliest_now.verify().expect_err("584 thousand million years off");
    assert!(refused.to_string().contains("18446744073709551615 s in the future"), "{refused}");
    assert!(matches!(Case { now: i64::MIN, ..VECTOR_1 }.verify(), Err(Rejection::TooNew { .. })));
    assert!(matches!(Case { now: i64::MAX, ..VECTOR_1 }.verify(), Err(Rejection::TooOld { .. })));
}

#[test]
fn the_signature_is_judged_before_the_time() {
    let refused = Case { signature: WRONG, now: NOW + 100_000, ..VECTOR_1 }.verify();
    assert_eq!(refused, Err(Rejection::WrongSignature));
}

#[test]
fn another_tolerance_can_be_set() {
    let headers = SignedHeaders::new(ID, TIMESTAMP, GOOD).expect("well formed");
    let none = ring(&[SECRET]).with_tolerance(Duration::ZERO);
    assert_eq!(none.verify(&headers, BODY, NOW), Ok(V1));
    assert!(none.verify(&headers, BODY, NOW + 1).is_err());
    let endless = ring(&[SECRET]).with_tolerance(Duration::MAX);
    assert_eq!(endless.verify(&headers, BODY, i64::MAX), Ok(V1));
}

#[test]
fn an_id_with_a_dot_is_refused() {
    let refused = Case { id: "msg_p5.jX", ..VECTOR_1 }.verify();
    assert_eq!(refused, Err(Rejection::MalformedId(WebhookIdError::Dot)));
}

#[test]
fn a_ring_has_one_to_eight_keys() {
    assert!(KeyRing::new(Vec::<VerificationKey>::new()).is_err());
    assert!(KeyRing::new(vec![SigningSecret::from_random([1; 32]); 8]).is_ok());
    assert!(KeyRing::new(vec![SigningSecret::from_random([1; 32]); 9]).is_err());
}

#[test]
fn debug_of_a_ring_shows_no_key() {
    let shown = format!("{:?}", ring(&[SECRET, PUBLIC]));
    assert_eq!(shown, "KeyRing { keys: [Hmac(hidden), Ed25519], tolerance: 300s }");
}

/// All headers of vector 1, in the cases senders really use.
const HEADERS: [(&str, &[u8]); 4] = [
    ("Content-Type", b"application/json; charset=\xe9"),
    ("Webhook-Id", ID.as_bytes()),
    ("WEBHOOK-TIMESTAMP", TIMESTAMP.as_bytes()),
    ("webhook-signature", GOOD.as_bytes()),
];

#[test]
fn headers_are_found_whatever_the_case_of_their_names() {
    let headers = SignedHeaders::find_in(HEADERS).expect("all three are there");
    assert_eq!(headers.id().as_str(), ID);
    assert_eq!(headers.timestamp(), NOW);
    assert_eq!(ring(&[SECRET]).verify(&headers, BODY, NOW), Ok(V1));
}

#[test]
fn each_missing_header_is_refused_by_name() {
    for (missing, name) in [(1, "webhook-id"), (2, "webhook-timestamp"), (3, "webhook-signature")] {
        let rest = HEADERS.iter().enumerate().filter(|(at, _)| *at != missing);
        let refused = SignedHeaders::find_in(rest.map(|(_, header)| *header));
        assert_eq!(refused.expect_err("one is missing"), Rejection::MissingHeader(name));
    }
}

#[test]
fn each_repeated_header_is_refused_even_when_both_are_equal() {
    for (repeated, name) in [(1, "webhook-id"), (2, "webhook-timestamp"), (3, "webhook-signature")] {
        let refused = SignedHeaders::find_in(HEADERS.into_iter().chain([HEADERS[repeated]]));
        assert_eq!(refused.expect_err("one is there twice"), Rejection::RepeatedHeader(name));
    }
}

#[test]
fn headers_outside_ascii_are_refused() {
    for value in [b"v1,\xff".as_slice(), "v1,é".as_bytes()] {
        let mut headers = HEADERS;
        headers[3].1 = value;
        let refused = SignedHeaders::find_in(headers).expect_err("not ASCII");
        assert_eq!(refused, Rejection::NotText("webhook-signature"));
    }
}

#[test]
fn the_names_of_svix_alone_are_not_taken() {
    let renamed = HEADERS.map(|(name, value)| (name.to_lowercase().replace("webhook", "svix"), value));
    let refused = SignedHeaders::find_in(renamed.iter().map(|(name, value)| (name.as_str(), *value)));
    assert_eq!(refused.expect_err("other names"), Rejection::MissingHeader("webhook-id"));
}

proptest! {
    #[test]
    fn what_was_signed_is_verified_and_one_changed_byte_is_not(
        random: [u8; 32], timestamp in 1..i64::MAX, mut body: Vec<u8>, at: prop::sample::Index,
    ) {
        let secret = SigningSecret::from_random(random);
        let pair = AsymmetricSecret::from_seed(random);
        let secrets: [Secret; 2] = [secret.clone().into(), pair.clone().into()];
        let signature = Signer::new(secrets)
            .expect("two secrets")
            .sign(WebhookId::new(ID).expect("good"), timestamp, &body);
        let text = timestamp.to_string();
        let headers = SignedHeaders::new(ID, &text, &signature).expect("well formed");

        let shared = KeyRing::new([secret]).expect("one key");
        let public = KeyRing::new([pair.public_key()]).expect("one key");
        prop_assert!(shared.verify(&headers, &body, timestamp).is_ok());
        prop_assert!(public.verify(&headers, &body, timestamp).is_ok());

        body.push(0);
        let at = at.index(body.len());
        body[at] = body[at].wrapping_add(1);
        prop_assert_eq!(shared.verify(&headers, &body, timestamp), Err(Rejection::WrongSignature));
        prop_assert_eq!(public.verify(&headers, &body, timestamp), Err(Rejection::WrongSignature));
    }

    #[test]
    fn any_bytes_as_a_public_key_match_nothing_and_do_no_harm(bytes: [u8; 32]) {
        let ring = KeyRing::new([crate::PublicKey::from_bytes(bytes)]).expect("one key");
        let headers = SignedHeaders::new(ID, TIMESTAMP, GOOD_V1A).expect("well formed");
        prop_assert_eq!(ring.verify(&headers, BODY, NOW), Err(Rejection::WrongSignature));
    }

    #[test]
    fn any_header_and_time_is_judged_without_a_panic(signature: String, timestamp: String, now: i64) {
        if let Ok(headers) = SignedHeaders::new(ID, &timestamp, &signature) {
            prop_assert!(ring(&[SECRET, PUBLIC]).verify(&headers, BODY, now).is_err());
        }
    }
}
