//! Requests and keys that nobody honest sends.

use proptest::prelude::*;

use super::*;

#[test]
fn an_empty_secret_is_refused_wherever_one_is_given() {
    for preset in Preset::ALL.iter().copied().filter(|preset| preset.needs_only_keys()) {
        for keys in [&[][..], &[""], &[" "], &["good-enough-for-most", ""]] {
            assert!(Scheme::of_keys(preset, keys.iter().copied()).is_err(), "{preset} {keys:?}");
        }
    }
    assert!(Scheme::of_keys(Preset::StandardWebhooks, ["whsec_"]).is_err());
    assert!(Scheme::basic("user", [""]).is_err());
    assert!(Scheme::header("x-token", [""]).is_err());
    assert!(Scheme::meta([KEY], " ").is_err());
    let whsec = Declaration { key_encoding: KeyEncoding::Whsec, ..Declaration::hmac_sha256("x-signature", "") };
    assert!(Scheme::declared(whsec, ["whsec_"]).is_err());
}

#[test]
fn the_secret_that_calcom_sends_where_none_is_set_opens_nothing() {
    let headers = [("x-cal-signature-256", "no-secret-provided")];
    let refused = receive(of(Preset::CalCom, &[KEY]), &headers, BODY.as_bytes(), NOW);
    assert_eq!(refused, Err(Rejection::NoUsableSignature("x-cal-signature-256".into())));
}

#[test]
fn a_time_is_digits_or_refused_before_anything_is_compared() {
    for time in ["", "1710158400.5", "-1710158400", "+1710158400", "01710158400", "now", "1e9", "18446744073709551616"]
    {
        let headers = [("x-slack-signature", OVER_V0), ("x-slack-request-timestamp", time)];
        let refused = receive(of(Preset::Slack, &[KEY]), &headers, BODY.as_bytes(), NOW);
        assert_eq!(refused, Err(Rejection::MalformedTime), "{time}");
    }
    for header in ["v1=00", "t=1,t=1,v1=00", "t=,v1=00", "t=-1,v1=00"] {
        let refused = receive(of(Preset::Stripe, &[STRIPE_KEY]), &[("stripe-signature", header)], b"{}", NOW);
        assert_eq!(refused, Err(Rejection::MalformedTime), "{header}");
    }
}

#[test]
fn the_greatest_times_are_in_the_future_and_overflow_nothing() {
    for (time, signature) in [
        ("9223372036854775807", "v0=cbe9508947fcac0fd3be81569a61977b3d420b3cd3f85c2581d7dd08ae1113e6"),
        ("18446744073709551615", "v0=9e9f3c2e1ad122d5b24badd2c69899479e7109e931efe8bd47be022a032fee0d"),
    ] {
        let headers = [("x-zm-signature", signature), ("x-zm-request-timestamp", time)];
        for now in [NOW, Timestamp::MIN.as_second(), Timestamp::MAX.as_second()] {
            let refused = receive(of(Preset::Zoom, &[KEY]), &headers, BODY.as_bytes(), now);
            assert!(matches!(refused, Err(Rejection::TooNew { .. })), "{refused:?}");
        }
    }
}

#[test]
fn a_wrong_signature_is_told_before_a_wrong_time() {
    let headers = [("x-zm-signature", OVER_V0), ("x-zm-request-timestamp", "1710158401")];
    let refused = receive(of(Preset::Zoom, &[KEY]), &headers, BODY.as_bytes(), NOW + 9_999);
    assert_eq!(refused, Err(Rejection::WrongSignature));
}

#[test]
fn one_right_signature_among_wrong_ones_is_enough_and_too_many_are_none() {
    let wrong = format!("v1={}", "0".repeat(64));
    let list = |wrong_ones: usize| {
        let wrong_ones = std::iter::repeat_n(wrong.as_str(), wrong_ones);
        wrong_ones.chain([STRIPE]).collect::<Vec<_>>().join(",")
    };
    let at = |header: &str| {
        receive(of(Preset::Stripe, &[STRIPE_KEY]), &[("stripe-signature", header)], BODY.as_bytes(), NOW)
    };
    assert!(at(&list(3)).is_ok() && at(&list(14)).is_ok());
    assert_eq!(at(&list(15)), Err(Rejection::TooManySignatures("stripe-signature".into())));
    let (time, signature) = STRIPE.split_once(',').expect("two parts");
    assert!(at(&format!("{time}, {signature}, v0=abc, x")).is_ok());
    assert_eq!(
        at(&format!("{time},{}", signature.replace("v1", "v2"))),
        Err(Rejection::NoUsableSignature("stripe-signature".into()))
    );
}

#[test]
fn a_body_that_is_no_text_is_verified_as_bytes() {
    let signature = "9eac5eed7eb6cdcaac400c0999d61acfcdb3a25a77c1cd21cd071526062599a3";
    let message = receive(of(Preset::Razorpay, &[KEY]), &[("x-razorpay-signature", signature)], b"\xff\xfe{", NOW);
    assert_eq!(message.expect("signed").body().as_ref(), b"\xff\xfe{");
}

#[test]
fn an_id_that_cannot_be_one_is_refused_and_one_that_is_missing_is_made_of_the_content() {
    let signature = ("x-razorpay-signature", OVER_BODY);
    let long = "x".repeat(257);
    for id in ["", "a b", "é", "a\tb", &long] {
        let refused =
            receive(of(Preset::Razorpay, &[KEY]), &[signature, ("x-razorpay-event-id", id)], BODY.as_bytes(), NOW);
        assert!(matches!(refused, Err(Rejection::MalformedId(_) | Rejection::NotText(_))), "{id:?} {refused:?}");
    }
    let message = receive(of(Preset::Razorpay, &[KEY]), &[signature], BODY.as_bytes(), NOW).expect("signed");
    assert_eq!(*message.dedupe_key(), crate::DedupeKey::of_content(BODY.as_bytes()));
}

#[test]
fn no_secret_is_shown() {
    for (preset, key, ..) in requests() {
        let shown = format!("{:?}", of(preset, &[key]));
        assert!(!shown.contains(key) && shown.contains("hidden"), "{preset}: {shown}");
    }
    let secret_path = Source::named(AccountId::from_u32(7), "shop", Scheme::path(), PATH).expect("good");
    assert!(!format!("{secret_path:?}").contains(PATH));
    let meta = format!("{:?}", of(Preset::Meta, &[KEY]));
    assert!(!meta.contains("typed"), "{meta}");
    let key = Scheme::of_keys(Preset::StandardWebhooks, ["whsec_MfKQ!"]).expect_err("no base64").to_string();
    assert!(!key.contains("MfKQ"), "{key}");
}

/// Values that come near to what a preset expects.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        "[ -~]{0,200}".prop_map(String::into_bytes),
        "(t=[0-9]{0,20},?|v[01]=[0-9a-f]{0,70},?| |,){0,20}".prop_map(String::into_bytes),
        "(sha256=|v0=|v1,|Bearer |Basic )?[0-9a-zA-Z+/=]{0,90}".prop_map(String::into_bytes),
        "[0-9]{1,25}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn no_request_panics_and_none_is_believed_by_chance(
        values in prop::collection::vec(value(), 3),
        other in value(),
        body: Vec<u8>,
        seconds in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
    ) {
        for (preset, key, mut headers, _) in requests() {
            headers.push(("x-other", String::new()));
            let pairs = headers.iter().map(|(name, _)| *name).zip(values.iter().chain([&other]));
            let pairs: Vec<_> = pairs.map(|(name, value)| (name, value.as_slice())).collect();
            let source = Source::named(AccountId::from_u32(7), "shop", of(preset, &[key]), PATH).unwrap();
            let request = RawRequest { headers: pairs.iter().copied(), body: Bytes::from(body.clone()) };
            let now = Timestamp::from_second(seconds).unwrap();
            prop_assert!(verify(&source, request, now).is_err(), "{}", preset);
        }
    }

    #[test]
    fn no_body_panics_once_it_is_believed(body in prop_oneof![any::<Vec<u8>>(), "[\\[\\]{}\":,a-z0-9 ]{0,80}".prop_map(String::into_bytes)]) {
        let declaration = Declaration { id: IdPlace::Pointer("/id".into()), ..Declaration::token("x-token", "") };
        let scheme = Scheme::declared(declaration, [KEY]).unwrap();
        prop_assert!(receive(scheme, &[("x-token", KEY)], &body, NOW).is_ok());
    }
}
