//! What opens, and what does not.

use std::collections::HashSet;

use proptest::prelude::*;
use wire::{AccountId, EndpointId, SourceId};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ENDPOINT: SecretPlace = SecretPlace::Endpoint(AccountId::from_u32(1), EndpointId::from_bytes([3; 16]));
const SOURCE: SecretPlace = SecretPlace::Source(AccountId::from_u32(7), SourceId::from_bytes([4; 16]));

/// Always the same bytes.
struct Same(u8);

impl Chance for Same {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

fn key(number: u8) -> SealingKey {
    SealingKey::from_bytes([number; 32])
}

fn vault(keys: &[u8]) -> Vault {
    Vault::new(keys.iter().map(|number| key(*number)), Arc::new(Same(2))).expect("some keys")
}

/// Computed by another implementation of AES-GCM (Python's `cryptography`).
const VECTORS: [(SecretPlace, &str, &str); 2] = [
    (
        ENDPOINT,
        SECRET,
        "s1.1fff9725.AgICAgICAgICAgICcL66LCkIjJuYnYW6ZOCJ69PHhZiB5N015c6sqyKyG007HlJWPhiqtXc9cbU4ysjAcSiIMlXk",
    ),
    (
        SOURCE,
        "[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]",
        "s1.1fff9725.AgICAgICAgICAgICXPS-ITkyoqKeqveZZdX69ensoJ2_xuckjcPYsjSrLjYYTVJWIQ7wmGVz2TLAq8FItnbVbWbQFWOv_w",
    ),
];

#[test]
fn sealed_text_is_what_another_implementation_makes_of_it() {
    for (place, secret, sealed) in VECTORS {
        assert_eq!(vault(&[1]).seal(place, secret), sealed);
        assert_eq!(*vault(&[1]).open(place, sealed).expect("sealed for it"), secret);
    }
}

#[test]
fn sealed_text_shows_nothing_of_the_secret_but_its_length() {
    let sealed = vault(&[1]).seal(ENDPOINT, SECRET);
    assert!(!sealed.contains("whsec_") && !sealed.contains(&SECRET[6..14]));
    let elsewhere = vault(&[1]).seal(SOURCE, SECRET);
    assert_eq!(sealed.len(), elsewhere.len());
    assert_ne!(sealed, elsewhere);
}

#[test]
fn a_secret_moved_to_another_row_does_not_open() {
    let sealed = vault(&[1]).seal(ENDPOINT, SECRET);
    let (account, id) = (AccountId::from_u32(1), EndpointId::from_bytes([3; 16]));
    for elsewhere in [
        SecretPlace::Endpoint(AccountId::from_u32(2), id),
        SecretPlace::Endpoint(account, EndpointId::from_bytes([5; 16])),
        SecretPlace::Source(account, SourceId::from_bytes([3; 16])),
    ] {
        assert_eq!(vault(&[1]).open(elsewhere, &sealed), Err(UnsealError::Tampered), "{elsewhere:?}");
    }
}

#[test]
fn another_key_does_not_open_it_and_its_name_is_told() {
    let sealed = vault(&[1]).seal(ENDPOINT, SECRET);
    let refused = vault(&[2, 3]).open(ENDPOINT, &sealed).expect_err("not its key");
    assert_eq!(refused, UnsealError::UnknownKey(key(1).id()));
    assert!(refused.to_string().contains(&key(1).id().to_string()), "{refused}");
    let renamed = sealed.replace(&key(1).id().to_string(), &key(2).id().to_string());
    assert_eq!(vault(&[2]).open(ENDPOINT, &renamed), Err(UnsealError::Tampered));
}

#[test]
fn the_first_key_seals_and_all_open() {
    let old = vault(&[1]).seal(ENDPOINT, SECRET);
    let both = vault(&[2, 1]);
    let new = both.seal(ENDPOINT, SECRET);
    assert_eq!(KeyId::of_sealed(&new), Some(key(2).id()));
    assert_eq!((both.key_in_use(), both.key_ids().count()), (key(2).id(), 2));
    for sealed in [old, new] {
        assert_eq!(*both.open(ENDPOINT, &sealed).expect("one of its keys"), SECRET);
    }
}

#[test]
fn each_cut_and_each_changed_character_is_refused() {
    let sealed = vault(&[1]).seal(ENDPOINT, SECRET);
    for end in 0..sealed.len() {
        assert!(vault(&[1]).open(ENDPOINT, &sealed[..end]).is_err(), "cut at {end}");
        let other = if sealed.as_bytes()[end] == b'A' { "B" } else { "A" };
        let changed = [&sealed[..end], other, &sealed[end + 1..]].concat();
        assert!(vault(&[1]).open(ENDPOINT, &changed).is_err(), "changed at {end}");
    }
    assert!(vault(&[1]).open(ENDPOINT, &format!("{sealed}.AAAA")).is_err());
}

#[test]
fn a_plain_secret_is_refused_and_not_repeated() {
    for plain in [SECRET, "", "[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]", "s1.", "s1.zzzzzzzz.AAAA"] {
        let refused = vault(&[1]).open(ENDPOINT, plain).expect_err("never sealed");
        assert_eq!(refused, UnsealError::NotSealed);
        assert!(!refused.to_string().contains("MfKQ"));
    }
}

#[test]
fn a_vault_has_one_to_eight_keys() {
    let with = |count: u8| Vault::new((0..count).map(key), Arc::new(Same(2)));
    assert!(with(1).is_ok() && with(8).is_ok());
    for count in [0, 9] {
        let refused = with(count).expect_err("none or too many").to_string();
        assert!(refused.starts_with(&count.to_string()), "{refused}");
    }
}

#[test]
fn a_key_reads_back_and_is_hidden() {
    let text = key(1).reveal();
    let read: SealingKey = text.parse().expect("its own text");
    assert_eq!(read.id(), key(1).id());
    assert!(text.trim_end_matches('=').parse::<SealingKey>().is_ok(), "unpadded too");
    assert_eq!(format!("{read:?}"), format!("SealingKey(hidden, id {})", key(1).id()));
    assert_eq!(format!("{:?}", vault(&[1])), format!("[{}]", key(1).id()));
    for wrong in
        ["", "fkey_", "fkey_AAAA", &text[5..], &format!("{}AAAA", *text), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    {
        let refused = wrong.parse::<SealingKey>().expect_err("no key").to_string();
        assert!(refused.contains("fanfare secrets new-key") && !refused.contains("MfKQ"), "{refused}");
    }
}

#[test]
fn ids_of_keys_differ_and_read_back() {
    let ids: HashSet<KeyId> = (0..=255).map(|number| key(number).id()).collect();
    assert_eq!(ids.len(), 256);
    for id in ids {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    for wrong in ["", "1234567", "123456789", "1234567G", "1234567A", "+1234567", "ééhé"] {
        assert!(wrong.parse::<KeyId>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn whatever_is_sealed_opens_again(secret in ".{0,200}") {
        let sealed = vault(&[1]).seal(SOURCE, &secret);
        prop_assert_eq!(&*vault(&[1]).open(SOURCE, &sealed).expect("just sealed"), &secret);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = vault(&[1]).open(ENDPOINT, &text);
        let _ = text.parse::<SealingKey>();
    }

    #[test]
    fn no_text_in_the_right_form_makes_it_panic_or_opens(digits in "[A-Za-z0-9_-]{0,120}") {
        let text = format!("s1.{}.{digits}", key(1).id());
        prop_assert!(vault(&[1]).open(ENDPOINT, &text).is_err());
    }
}
