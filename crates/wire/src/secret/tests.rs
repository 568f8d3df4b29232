//! Keys in text: which are taken, which are refused, and that none is shown by accident.

use super::*;

const VECTOR_1: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SEED_AND_PUBLIC: &str =
    "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const SEED: &str = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

fn refusal<T: std::str::FromStr<Err = ParseSecretError> + std::fmt::Debug>(text: &str) -> String {
    text.parse::<T>().expect_err("a refusal").to_string()
}

#[test]
fn a_secret_is_revealed_as_it_was_written() {
    let secret: SigningSecret = VECTOR_1.parse().expect("a good secret");
    assert_eq!(*secret.reveal(), VECTOR_1);
}

#[test]
fn an_unpadded_secret_is_the_padded_one() {
    let padded = SigningSecret::from_random([7; 32]).reveal();
    let unpadded = padded.trim_end_matches('=');
    assert_ne!(unpadded, *padded);
    let read: SigningSecret = unpadded.parse().expect("padding carries no key");
    assert_eq!(read.reveal(), padded);
}

#[test]
fn secrets_of_24_to_64_bytes_are_taken_and_no_others() {
    for good in [24, 32, 64] {
        let secret = SigningSecret::from_bytes(&vec![1; good]).expect("a good length");
        secret.reveal().parse::<SigningSecret>().expect("its own text");
    }
    for bad in [0, 23, 65] {
        let refusal = SigningSecret::from_bytes(&vec![1; bad]).expect_err("a bad length");
        assert!(refusal.to_string().ends_with(&format!("this one holds {bad} bytes")), "{refusal}");
    }
}

#[test]
fn a_short_secret_is_refused_with_its_length() {
    assert_eq!(
        refusal::<SigningSecret>("whsec_c2hvcnQ="),
        "a signing secret is `whsec_` and base64 of 24 to 64 random bytes; this one holds 5 bytes"
    );
}

#[test]
fn an_empty_secret_is_refused() {
    for empty in ["", "whsec_"] {
        assert!(refusal::<SigningSecret>(empty).ends_with("this one is empty"));
        assert!(refusal::<VerificationKey>(empty).ends_with("this one is empty"));
    }
}

#[test]
fn a_secret_without_its_prefix_is_refused() {
    let bare = &VECTOR_1[SigningSecret::PREFIX.len()..];
    assert!(refusal::<SigningSecret>(bare).ends_with("this one has no such prefix"));
    assert!(refusal::<Secret>(bare).ends_with("this one has no such prefix"));
}

#[test]
fn a_key_of_another_kind_is_refused_by_name() {
    assert!(refusal::<SigningSecret>(PUBLIC).contains("this one is a public key"));
    assert!(refusal::<Secret>(PUBLIC).contains("this one is a public key, which cannot sign"));
    let private = format!("whsk_{SEED}");
    assert!(refusal::<VerificationKey>(&private).contains("a private key, which only the sender has"));
    assert!(refusal::<PublicKey>(VECTOR_1).contains("this one is a shared signing secret"));
}

#[test]
fn text_that_is_no_standard_base64_is_refused_and_not_repeated() {
    for text in ["whsec_not base64 at all, surely not", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_"] {
        let refusal = refusal::<SigningSecret>(text);
        assert!(refusal.ends_with("this one is not base64 of the standard alphabet"), "{refusal}");
        assert!(!refusal.contains(&text[6..]));
    }
}

#[test]
fn endless_text_is_refused_before_it_is_decoded() {
    let long = format!("whsec_{}", "A".repeat(1_000_000));
    assert!(refusal::<SigningSecret>(&long).ends_with("more than 88 characters after the prefix"));
}

#[test]
fn a_seed_gives_its_public_key() {
    for text in [SEED, SEED_AND_PUBLIC] {
        let secret: AsymmetricSecret = format!("whsk_{text}").parse().expect("a good secret");
        assert_eq!(secret.public_key().to_string(), PUBLIC);
        assert_eq!(*secret.reveal(), format!("whsk_{SEED_AND_PUBLIC}"));
    }
}

#[test]
fn a_public_half_of_another_seed_is_refused() {
    let mixed = SEED_AND_PUBLIC.replace("Kvg==", "Kvw==");
    assert!(refusal::<AsymmetricSecret>(&format!("whsk_{mixed}")).contains("does not belong to its seed"));
}

#[test]
fn asymmetric_keys_of_another_length_are_refused() {
    assert!(refusal::<AsymmetricSecret>("whsk_AAAA").ends_with("this one holds 3 bytes"));
    let long = format!("whsk_{}", "A".repeat(64));
    assert!(refusal::<AsymmetricSecret>(&long).ends_with("this one holds 48 bytes"));
    assert!(refusal::<PublicKey>("whpk_AAAA").ends_with("this one holds 3 bytes"));
}

#[test]
fn debug_shows_no_secret() {
    let symmetric: Secret = VECTOR_1.parse().expect("a good secret");
    assert_eq!(format!("{symmetric:?}"), "Symmetric(SigningSecret(hidden))");
    let asymmetric: Secret = format!("whsk_{SEED_AND_PUBLIC}").parse().expect("a good secret");
    assert_eq!(format!("{asymmetric:?}"), format!("Asymmetric(AsymmetricSecret(hidden, public key {PUBLIC}))"));
}

#[test]
fn each_prefix_leads_to_its_kind() {
    assert!(matches!(VECTOR_1.parse(), Ok(Secret::Symmetric(_))));
    assert!(matches!(format!("whsk_{SEED}").parse(), Ok(Secret::Asymmetric(_))));
    assert!(matches!(VECTOR_1.parse(), Ok(VerificationKey::Symmetric(_))));
    assert!(matches!(PUBLIC.parse(), Ok(VerificationKey::Public(_))));
    let secret: Secret = VECTOR_1.parse().expect("a good secret");
    assert_eq!(*secret.reveal(), VECTOR_1);
}
