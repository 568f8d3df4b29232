//! Every preset with a request as its sender makes it; signatures are literals from another implementation (Python's hmac
//! and cryptography) or from the sender's own documentation.

use bytes::Bytes;
use jiff::Timestamp;
use wire::AccountId;

use super::*;
use crate::{RawRequest, Source, Verified, verify};

mod declared;
mod hostile;

const NOW: i64 = 1_710_158_400;
const BODY: &str = r#"{"id":"evt_1","event_id":"Ev1","name":"Asha"}"#;
const KEY: &str = "key-of-the-tests-1";
const PATH: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";

const OVER_BODY: &str = "74f6106687b73c38d36e4754747a595d03cb76eba12f5c5b9ea7d643279f6f71";
const OVER_V0: &str = "v0=51fe0c1f245ef958531d22c2796c41400b53a605890766c2b91e53fa55d0e959";
const OVER_TIME: &str = "447ef4947771985e2fe620da18d0489944b2da551a3519220d9e23d58e5fba6f";
const STRIPE_KEY: &str = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH";
const STRIPE: &str = "t=1710158400,v1=828787bfb9f5950b53950ee223bfc39af180b0d31e68e94ec6135167e1962316";

type Headers<'h> = &'h [(&'h str, &'h str)];

fn of(preset: Preset, keys: &[&str]) -> Scheme {
    match preset {
        Preset::Meta => Scheme::meta(keys.iter().copied(), "typed-into-the-form"),
        other => Scheme::of_keys(other, keys.iter().copied()),
    }
    .expect("good keys")
}

fn receive(scheme: Scheme, headers: Headers<'_>, body: &[u8], seconds: i64) -> Result<Verified, Rejection> {
    let source = Source::named(AccountId::from_u32(7), "shop", scheme, PATH).expect("a good source");
    let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let now = Timestamp::from_second(seconds).expect("a time");
    verify(&source, RawRequest { headers, body: Bytes::copy_from_slice(body) }, now)
}

/// Preset, key, headers of a request with [`BODY`] signed at [`NOW`], and the message id.
type Sent = (Preset, &'static str, Vec<(&'static str, String)>, Option<&'static str>);

fn requests() -> Vec<Sent> {
    let hex = |prefix: &str, digits: &str| format!("{prefix}{digits}");
    let time = || NOW.to_string();
    vec![
        (Preset::Stripe, STRIPE_KEY, vec![("stripe-signature", STRIPE.to_owned())], Some("evt_1")),
        (
            Preset::GitHub,
            KEY,
            vec![("x-hub-signature-256", hex("sha256=", OVER_BODY)), ("x-github-delivery", "72d3162e".to_owned())],
            Some("72d3162e"),
        ),
        (
            Preset::Shopify,
            KEY,
            vec![
                ("x-shopify-hmac-sha256", "dPYQZoe3PDjTbkdUdHpZXQPLduuhL1xbnqfWQyefb3E=".to_owned()),
                ("x-shopify-webhook-id", "b54557e4".to_owned()),
                ("x-shopify-event-id", "98880550".to_owned()),
            ],
            Some("b54557e4"),
        ),
        (Preset::Zoom, KEY, vec![("x-zm-signature", OVER_V0.to_owned()), ("x-zm-request-timestamp", time())], None),
        (
            Preset::Slack,
            KEY,
            vec![("x-slack-signature", OVER_V0.to_owned()), ("x-slack-request-timestamp", time())],
            Some("Ev1"),
        ),
        (
            Preset::Razorpay,
            KEY,
            vec![("x-razorpay-signature", OVER_BODY.to_owned()), ("x-razorpay-event-id", "Gb5kMCdcAZ8jJ8".to_owned())],
            Some("Gb5kMCdcAZ8jJ8"),
        ),
        (Preset::Calendly, KEY, vec![("calendly-webhook-signature", format!("t={NOW},v1={OVER_TIME}"))], None),
        (Preset::CalCom, KEY, vec![("x-cal-signature-256", OVER_BODY.to_owned())], None),
        (Preset::Meta, KEY, vec![("x-hub-signature-256", hex("sha256=", OVER_BODY))], None),
        (Preset::Bearer, KEY, vec![("authorization", format!("Bearer {KEY}"))], None),
    ]
}

fn as_given<'h>(headers: &'h [(&'static str, String)]) -> Vec<(&'h str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn every_preset_believes_its_sender() {
    for (preset, key, headers, id) in requests() {
        let message = receive(of(preset, &[key]), &as_given(&headers), BODY.as_bytes(), NOW);
        let message = message.unwrap_or_else(|rejection| panic!("{preset}: {rejection}"));
        assert_eq!((message.message_id(), message.matched()), (id, Some(0)), "{preset}");
        let key = id.map_or_else(|| crate::DedupeKey::of_content(BODY.as_bytes()), crate::DedupeKey::of_message_id);
        assert_eq!(*message.dedupe_key(), key, "{preset}");
    }
}

#[test]
fn every_preset_believes_nobody_with_another_key() {
    for (preset, _, headers, _) in requests() {
        let refused = receive(of(preset, &["another-key"]), &as_given(&headers), BODY.as_bytes(), NOW);
        let expected = matches!(refused, Err(Rejection::WrongSignature | Rejection::WrongToken(_)));
        assert!(expected, "{preset}: {refused:?}");
    }
}

#[test]
fn a_body_that_was_parsed_and_written_again_is_refused() {
    let respelled = r#"{"id": "evt_1", "event_id": "Ev1", "name": "Asha"}"#;
    for (preset, key, headers, _) in requests().into_iter().filter(|(preset, ..)| *preset != Preset::Bearer) {
        let refused = receive(of(preset, &[key]), &as_given(&headers), respelled.as_bytes(), NOW);
        assert_eq!(refused, Err(Rejection::WrongSignature), "{preset}");
    }
}

#[test]
fn each_of_several_keys_is_valid_and_the_one_in_use_is_told() {
    for (preset, key, headers, _) in requests() {
        let message = receive(of(preset, &["new", "newer", key]), &as_given(&headers), BODY.as_bytes(), NOW);
        assert_eq!(message.expect("the old key is valid").matched(), Some(2), "{preset}");
    }
}

#[test]
fn a_header_that_is_missing_empty_or_there_twice_is_refused() {
    for (preset, key, headers, id) in requests() {
        let security =
            headers.iter().filter(|(name, value)| Some(value.as_str()) != id || name.ends_with("-signature"));
        for (name, _) in security.filter(|(name, _)| *name != "x-shopify-event-id") {
            let without: Vec<_> = headers.iter().filter(|(other, _)| other != name).cloned().collect();
            let refused = receive(of(preset, &[key]), &as_given(&without), BODY.as_bytes(), NOW);
            assert_eq!(refused, Err(Rejection::MissingHeader((*name).into())), "{preset}");

            let mut empty = headers.clone();
            empty.iter_mut().filter(|(other, _)| other == name).for_each(|(_, value)| value.clear());
            receive(of(preset, &[key]), &as_given(&empty), BODY.as_bytes(), NOW).expect_err("an empty header");
        }
        for (name, value) in headers.iter().filter(|(name, _)| *name != "x-shopify-event-id") {
            let upper = name.to_ascii_uppercase();
            let mut twice = as_given(&headers);
            twice.push((&upper, value));
            let refused = receive(of(preset, &[key]), &twice, BODY.as_bytes(), NOW);
            assert_eq!(refused, Err(Rejection::RepeatedHeader((*name).into())), "{preset}");
        }
    }
}

#[test]
fn a_part_of_a_signature_is_none() {
    for (preset, key, headers, _) in requests().into_iter().filter(|(preset, ..)| *preset != Preset::Bearer) {
        let whole = headers[0].1.len();
        for len in [whole - 1, whole - 2, whole - 40] {
            let mut cut = headers.clone();
            cut[0].1.truncate(len);
            let refused = receive(of(preset, &[key]), &as_given(&cut), BODY.as_bytes(), NOW);
            assert_eq!(refused, Err(Rejection::NoUsableSignature(headers[0].0.into())), "{preset} {len}");
        }
    }
}

#[test]
fn what_is_signed_with_a_time_is_old_after_its_tolerance() {
    let tolerances = [(Preset::Stripe, 300), (Preset::Zoom, 300), (Preset::Slack, 300), (Preset::Calendly, 180)];
    for (preset, key, headers, _) in requests() {
        let Some((_, tolerance)) = tolerances.iter().find(|(timed, _)| *timed == preset) else { continue };
        let at = |seconds| receive(of(preset, &[key]), &as_given(&headers), BODY.as_bytes(), seconds);
        assert!(at(NOW + tolerance).is_ok() && at(NOW - tolerance).is_ok(), "{preset}");
        let (off_seconds, tolerance_seconds) = (tolerance.unsigned_abs() + 1, tolerance.unsigned_abs());
        assert_eq!(at(NOW + tolerance + 1), Err(Rejection::TooOld { off_seconds, tolerance_seconds }), "{preset}");
        assert_eq!(at(NOW - tolerance - 1), Err(Rejection::TooNew { off_seconds, tolerance_seconds }), "{preset}");
    }
}

#[test]
fn the_vectors_of_github_slack_and_svix_are_right() {
    let github = [("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")];
    let key = "It's a Secret to Everybody";
    assert!(receive(of(Preset::GitHub, &[key]), &github, b"Hello, World!", NOW).is_ok());

    let slack = [
        ("X-Slack-Request-Timestamp", "1531420618"),
        ("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ];
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
                channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
                response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F\
                96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let key = "8f742231b10e8888abcd99yyyzzz85a5";
    assert!(receive(of(Preset::Slack, &[key]), &slack, body.as_bytes(), 1_531_420_618).is_ok());

    let svix = [
        ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("svix-timestamp", "1614265330"),
        ("svix-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let scheme = || of(Preset::Svix, &["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
    let message = receive(scheme(), &svix, br#"{"test": 2432232314}"#, 1_614_265_330).expect("signed");
    assert_eq!(message.message_id(), Some("msg_p5jXN8AQM9LWM0D4loKWxJek"));
    assert_eq!(message.headers().as_text(), "svix-id: msg_p5jXN8AQM9LWM0D4loKWxJek\n");
    let unnamed = receive(scheme(), &svix[1..], b"{}", 1_614_265_330);
    assert_eq!(unnamed, Err(Rejection::MissingHeader("svix-id".into())));
}

#[test]
fn svix_names_and_our_own_do_not_stand_in_for_each_other() {
    let ours = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    ];
    let key = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let body = br#"{"test": 2432232314}"#;
    assert!(receive(of(Preset::StandardWebhooks, &key), &ours, body, 1_614_265_330).is_ok());
    assert!(receive(of(Preset::Svix, &key), &ours, body, 1_614_265_330).is_err());
}

#[test]
fn a_path_is_believed_by_itself_and_a_header_beside_it_has_to_be_right() {
    let message = receive(Scheme::path(), &[("authorization", "x")], BODY.as_bytes(), NOW).expect("known path");
    assert_eq!((message.matched(), message.message_id()), (None, None));
    let with_header = || Scheme::path_and_header("X-Tag", ["one-token", "two-token"]).expect("a header");
    let message = receive(with_header(), &[("x-tag", "two-token")], BODY.as_bytes(), NOW).expect("the second token");
    assert_eq!((message.matched(), message.headers().as_text()), (Some(1), ""));
    for wrong in ["", "one-toke", "one-token ", "ONE-TOKEN"] {
        let refused = receive(with_header(), &[("x-tag", wrong)], BODY.as_bytes(), NOW);
        assert_eq!(refused, Err(Rejection::WrongToken("x-tag".into())), "{wrong:?}");
    }
    assert!(receive(with_header(), &[], BODY.as_bytes(), NOW).is_err());
}

#[test]
fn basic_takes_a_user_and_a_password_as_http_writes_them() {
    let scheme = || Scheme::basic("Aladdin", ["old", "open sesame"]).expect("good");
    // The example of RFC 7617, section 2.
    for value in ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="] {
        let message = receive(scheme(), &[("Authorization", value)], b"{}", NOW).expect("the example");
        assert_eq!(message.matched(), Some(1));
    }
    for value in ["QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic", "Basic QWxhZGRpbjo=", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]
    {
        assert!(receive(scheme(), &[("authorization", value)], b"{}", NOW).is_err(), "{value}");
    }
}

#[test]
fn github_is_never_believed_by_its_older_header() {
    let sha1 = "sha1=0db9d6262b6fb51634edf83d5626bdd6878ce084";
    let refused = receive(of(Preset::GitHub, &[KEY]), &[("x-hub-signature", sha1)], BODY.as_bytes(), NOW);
    assert_eq!(refused, Err(Rejection::MissingHeader("x-hub-signature-256".into())));
    let both = [("x-hub-signature", sha1), ("x-hub-signature-256", sha1)];
    assert!(receive(of(Preset::GitHub, &[KEY]), &both, BODY.as_bytes(), NOW).is_err());
}

#[test]
fn names_of_presets_are_read_back_and_a_wrong_one_is_told_them_all() {
    for preset in Preset::ALL {
        assert_eq!(preset.as_str().parse(), Ok(*preset));
        assert_eq!(Scheme::of_keys(*preset, [STRIPE_KEY]).is_ok(), preset.needs_only_keys(), "{preset}");
    }
    let refused = "gitlab".parse::<Preset>().expect_err("none of ours").to_string();
    assert!(refused.starts_with("is no preset; there are standard-webhooks, svix, ") && refused.ends_with(", custom"));
}
