//! The secret sender and receiver share: the key of HMAC-SHA256, signature scheme `v1`.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::text::{KEY_BYTES_MAX, KeyForm, ParseSecretError};

/// 192 bits: below it the specification calls a key too weak.
const SECRET_BYTES_MIN: usize = 24;

/// A shared secret of 24 to 64 random bytes, `whsec_` and their base64 (padded or not) in text.
///
/// The key is the decoded bytes, not the text. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

const FORM: KeyForm = KeyForm {
    prefix: SigningSecret::PREFIX,
    expected: "a signing secret is `whsec_` and base64 of 24 to 64 random bytes",
};

impl SigningSecret {
    /// What the text form begins with.
    pub const PREFIX: &'static str = "whsec_";

    /// A new secret from 32 bytes of a good source of randomness.
    #[must_use]
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random.to_vec()))
    }

    /// The secret of 24 to 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseSecretError> {
        Self::check(Zeroizing::new(bytes.to_vec()))
    }

    /// The text form, to be shown once to its owner or to be kept where secrets are kept.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        FORM.encode(&self.0)
    }

    pub(crate) fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }

    fn check(bytes: Zeroizing<Vec<u8>>) -> Result<Self, ParseSecretError> {
        if (SECRET_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(FORM.refuse_length(bytes.len()))
        }
    }
}

impl std::str::FromStr for SigningSecret {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        Self::check(FORM.decode(text)?)
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret(hidden)")
    }
}
