//! Settings of a source: which are taken, and what a refusal says.

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

fn named(name: &str) -> Result<Source, SourceError> {
    let scheme = Scheme::standard_webhooks([SECRET]).expect("a good key");
    Source::new(SourceId::from_bytes([1; 16]), AccountId::from_u32(7), name, scheme)
}

#[test]
fn a_source_knows_its_owner_and_its_trimmed_name() {
    let source = named("  Zoom, second account ").expect("a good name");
    assert_eq!(source.name(), "Zoom, second account");
    assert_eq!(source.id(), SourceId::from_bytes([1; 16]));
    assert_eq!(source.account(), AccountId::from_u32(7));
}

#[test]
fn names_of_1_to_100_characters_are_taken() {
    assert!(named("é").is_ok());
    assert!(named(&"é".repeat(100)).is_ok());
    assert_eq!(named(&"é".repeat(101)).expect_err("101"), SourceError::NameLength(101));
    let empty = named(" ").expect_err("only a space");
    assert_eq!(empty.to_string(), "name has 0 characters, give it 1 to 100");
}

#[test]
fn a_name_of_two_lines_is_refused() {
    assert_eq!(named("a\nb").expect_err("a line break"), SourceError::NameCharacter);
}

#[test]
fn secrets_and_public_keys_are_taken_together() {
    assert!(Scheme::standard_webhooks([SECRET, PUBLIC]).is_ok());
    assert!(Scheme::standard_webhooks([" whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"]).is_ok());
}

#[test]
fn a_bad_key_is_named_by_its_place_and_not_repeated() {
    let refused = Scheme::standard_webhooks([SECRET, "whsec_c2hvcnQ="]).expect_err("5 bytes");
    assert_eq!(
        refused.to_string(),
        "key 2: a signing secret is `whsec_` and base64 of 24 to 64 random bytes; this one holds 5 bytes"
    );
}

#[test]
fn a_source_without_a_key_is_refused() {
    let refused = Scheme::standard_webhooks([]).expect_err("no key");
    assert_eq!(refused.to_string(), "keys: 0 keys were given, from 1 to 8 can be in use at once");
    assert!(Scheme::standard_webhooks([""]).is_err());
}

#[test]
fn debug_of_a_source_shows_no_key() {
    let shown = format!("{:?}", named("a").expect("a good name"));
    assert!(!shown.contains("MfKQ") && shown.contains("hidden"), "{shown}");
}

fn at(path: &str, scheme: Scheme) -> Result<Source, SourceError> {
    Source::named(AccountId::from_u32(7), " shop ", scheme, path)
}

fn keyed() -> Scheme {
    Scheme::standard_webhooks([SECRET]).expect("a good key")
}

#[test]
fn the_id_of_a_name_stays_when_path_and_keys_change() {
    let (one, other) = (at("shop", keyed()).expect("good"), at("9f8e7d6c5b4a39281706", Scheme::path()).expect("good"));
    assert_eq!(one.id(), other.id());
    // Independently: sha256 of 00000007 and `shop`.
    let expected = 0xab80_f769_1568_267e_f64f_1d94_1b11_769b_u128.to_be_bytes();
    assert_eq!(one.id(), SourceId::from_bytes(expected));
    assert_ne!(one.id(), Source::id_of_name(AccountId::from_u32(8), "shop"));
}

#[test]
fn a_path_is_one_plain_segment() {
    for path in ["a", "Shop-1_x.~", &"x".repeat(128)] {
        assert_eq!(at(path, keyed()).expect("good").path().as_str(), path);
    }
    for path in ["", "a/b", "a b", "é", "a%20b", ".", "..", "src_01jw3zqk8n7v2t0d5h9rxbmc4e", &"x".repeat(129)] {
        assert!(matches!(at(path, keyed()), Err(SourceError::Field { field: "path", .. })), "{path}");
    }
}

#[test]
fn a_path_made_by_a_machine_is_a_secret() {
    for path in [
        "9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "550e8400-e29b-41d4-a716-446655440000",
        "tagmango-9f8e7d6c5b4a39281706",
        "tm-5e0f6ad1c9b847239f3e2d1c0b5a",
        "kQ3v_8ZpW1xY-7sHfB2nTg",
        "mfrggzdfmztwq2lknnwg23tpob",
    ] {
        assert!(at(path, Scheme::path()).is_ok(), "{path}");
    }
}

#[test]
fn a_path_that_can_be_guessed_is_no_secret_and_the_refusal_says_how_to_make_one() {
    for path in [
        "shop",
        "9f8e7d6c5b4a3928170",
        "tagmango-webhooks-production",
        "webinars-2024-from-tagmango",
        "TagMangoWebinarWebhooks2024",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "12345678901234567890123456789012",
        "a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
    ] {
        let refused = at(path, Scheme::path()).expect_err(path).to_string();
        assert!(refused.ends_with("; make one with: openssl rand -hex 16") && !refused.contains(path), "{refused}");
    }
}

#[test]
fn an_event_is_a_name_in_one_word() {
    let source = at("shop", keyed()).expect("good").with_event("webinar.created.recurring").expect("good");
    assert_eq!(source.event(), Some("webinar.created.recurring"));
    for event in ["", "a b", "é", &"x".repeat(61)] {
        assert!(at("shop", keyed()).expect("good").with_event(event).is_err(), "{event}");
    }
}

#[test]
fn rates_are_read_as_people_write_them() {
    for (text, webhooks, seconds) in [("100/s", 100, 1), ("600/min", 600, 60), (" 5 / h", 5, 3_600)] {
        let rate: SourceRate = text.parse().expect(text);
        assert_eq!((rate.webhooks(), rate.per().as_secs()), (webhooks, seconds), "{text}");
    }
    for text in ["", "100", "0/s", "-1/s", "1.5/s", "100/d", "1000001/s", "x/s"] {
        assert!(text.parse::<SourceRate>().is_err(), "{text}");
    }
}
