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
