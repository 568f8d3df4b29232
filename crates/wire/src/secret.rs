//! The keys of Standard Webhooks in their text forms: `whsec_` (shared), `whsk_` (private) and `whpk_` (public).
//!
//! None is printed by accident: `Debug` hides what must stay secret, and only `reveal` shows it.

use zeroize::Zeroizing;

mod asymmetric;
mod symmetric;
mod text;

#[cfg(test)]
mod tests;

pub use asymmetric::{AsymmetricSecret, PublicKey};
pub use symmetric::SigningSecret;
pub use text::ParseSecretError;

use text::{SENDER_KEY, VERIFICATION_KEY};

/// What a sender signs with, in either scheme. Parsed by its prefix.
#[derive(Debug, Clone)]
pub enum Secret {
    /// `whsec_…`, shared with the receiver; signs as `v1`.
    Symmetric(SigningSecret),
    /// `whsk_…`, known to the sender alone; signs as `v1a`.
    Asymmetric(AsymmetricSecret),
}

impl Secret {
    /// The text form, to be shown once to its owner or to be kept where secrets are kept.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        match self {
            Self::Symmetric(secret) => secret.reveal(),
            Self::Asymmetric(secret) => secret.reveal(),
        }
    }
}

impl std::str::FromStr for Secret {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        if text.starts_with(SigningSecret::PREFIX) {
            text.parse().map(Self::Symmetric)
        } else if text.starts_with(AsymmetricSecret::PREFIX) {
            text.parse().map(Self::Asymmetric)
        } else {
            Err(SENDER_KEY.refuse_prefix(text))
        }
    }
}

impl From<SigningSecret> for Secret {
    fn from(secret: SigningSecret) -> Self {
        Self::Symmetric(secret)
    }
}

impl From<AsymmetricSecret> for Secret {
    fn from(secret: AsymmetricSecret) -> Self {
        Self::Asymmetric(secret)
    }
}

/// What a receiver verifies with, in either scheme. Parsed by its prefix.
#[derive(Debug, Clone)]
pub enum VerificationKey {
    /// `whsec_…`, shared with the sender; verifies `v1`.
    Symmetric(SigningSecret),
    /// `whpk_…`, the sender's public key; verifies `v1a`.
    Public(PublicKey),
}

impl std::str::FromStr for VerificationKey {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        if text.starts_with(SigningSecret::PREFIX) {
            text.parse().map(Self::Symmetric)
        } else if text.starts_with(PublicKey::PREFIX) {
            text.parse().map(Self::Public)
        } else {
            Err(VERIFICATION_KEY.refuse_prefix(text))
        }
    }
}

impl From<SigningSecret> for VerificationKey {
    fn from(secret: SigningSecret) -> Self {
        Self::Symmetric(secret)
    }
}

impl From<PublicKey> for VerificationKey {
    fn from(key: PublicKey) -> Self {
        Self::Public(key)
    }
}
