//! Verifying a webhook: is it from who shares our key, unchanged, and fresh? Nothing is parsed before it is so.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::content::SignedContent;
use crate::secret::VerificationKey;
use crate::signature::{KEYS_MAX, KeyCountError, SignatureScheme, V1_BYTES, V1A_BYTES};

mod rejection;
mod signed_headers;

#[cfg(test)]
mod tests;

pub use rejection::Rejection;
pub use signed_headers::SignedHeaders;

/// How far the sender's clock and ours may differ: what the reference libraries of Standard Webhooks use.
pub const TOLERANCE_DEFAULT: Duration = Duration::from_secs(300);

/// The most entries of a signature header. Twice the keys a sender of ours can have; each may cost an Ed25519
/// verification, which a stranger could otherwise make us do by the thousand.
pub(crate) const SIGNATURES_MAX: usize = 2 * KEYS_MAX;

/// The keys of one sender that are valid now: usually one, two while they are being exchanged.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<PreparedKey>,
    tolerance: Duration,
}

enum PreparedKey {
    Hmac(Box<hmac::Key>),
    Ed25519(ParsedPublicKey),
}

impl std::fmt::Debug for PreparedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac(hidden)",
            Self::Ed25519(_) => "Ed25519",
        })
    }
}

/// Which key verified a webhook, and how; worth logging while keys are being exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Place of the key in the [`KeyRing`], counted from 0.
    pub key_index: usize,
    /// The scheme of the signature that matched.
    pub scheme: SignatureScheme,
}

impl KeyRing {
    /// A ring of these keys, 1 to 8, with the default tolerance of 300 s.
    pub fn new(keys: impl IntoIterator<Item = impl Into<VerificationKey>>) -> Result<Self, KeyCountError> {
        let keys: Vec<_> = keys
            .into_iter()
            .map(|key| match key.into() {
                VerificationKey::Symmetric(secret) => PreparedKey::Hmac(Box::new(secret.hmac_key())),
                VerificationKey::Public(key) => PreparedKey::Ed25519(key.parsed()),
            })
            .collect();
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(KeyCountError(keys.len()));
        }
        Ok(Self { keys, tolerance: TOLERANCE_DEFAULT })
    }

    /// The same ring with another tolerance, in whole seconds and for both directions.
    ///
    /// A wide one lets a recorded webhook be sent again for as long; recognise duplicates at least that long.
    #[must_use]
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// Verifies a webhook received at `now` (unix seconds). `body` must be the bytes as they came, not parsed and
    /// written again.
    ///
    /// On `Err`, answer 401 and do nothing else; the sender's next attempt is signed afresh.
    pub fn verify(&self, headers: &SignedHeaders<'_>, body: &[u8], now: i64) -> Result<Match, Rejection> {
        let matched = self.find_match(headers, body)?;
        // After the signature, so that a stranger learns nothing from the clock.
        self.check_time(headers.timestamp(), now)?;
        Ok(matched)
    }

    fn find_match(&self, headers: &SignedHeaders<'_>, body: &[u8]) -> Result<Match, Rejection> {
        if entries(headers.signature()).count() > SIGNATURES_MAX {
            return Err(Rejection::TooManySignatures);
        }
        let content = SignedContent::new(headers.id(), headers.timestamp(), body);
        let mut whole = None;
        let mut any_compared = false;
        for (key_index, key) in self.keys.iter().enumerate() {
            match key {
                PreparedKey::Hmac(key) => {
                    let mut tag = None;
                    for offered in signatures::<V1_BYTES>(headers.signature(), SignatureScheme::V1) {
                        any_compared = true;
                        let tag = tag.get_or_insert_with(|| content.hmac(key));
                        if verify_slices_are_equal(tag.as_ref(), &offered).is_ok() {
                            return Ok(Match { key_index, scheme: SignatureScheme::V1 });
                        }
                    }
                }
                PreparedKey::Ed25519(key) => {
                    for offered in signatures::<V1A_BYTES>(headers.signature(), SignatureScheme::V1a) {
                        any_compared = true;
                        let whole = whole.get_or_insert_with(|| content.to_vec());
                        if key.verify_sig(whole, &offered).is_ok() {
                            return Ok(Match { key_index, scheme: SignatureScheme::V1a });
                        }
                    }
                }
            }
        }
        Err(if any_compared { Rejection::WrongSignature } else { Rejection::NoUsableSignature })
    }

    fn check_time(&self, timestamp: i64, now: i64) -> Result<(), Rejection> {
        let off_seconds = now.abs_diff(timestamp);
        let tolerance_seconds = self.tolerance.as_secs();
        if off_seconds <= tolerance_seconds {
            Ok(())
        } else if timestamp < now {
            Err(Rejection::TooOld { off_seconds, tolerance_seconds })
        } else {
            Err(Rejection::TooNew { off_seconds, tolerance_seconds })
        }
    }
}

fn entries(header: &str) -> impl Iterator<Item = &str> {
    header.split(' ').filter(|entry| !entry.is_empty())
}

/// The well-formed signatures of one scheme; others are no match, and say nothing about the rest.
fn signatures<const BYTES: usize>(header: &str, scheme: SignatureScheme) -> impl Iterator<Item = [u8; BYTES]> {
    entries(header)
        .filter_map(|entry| entry.split_once(','))
        .filter(move |(name, _)| *name == scheme.as_str())
        .filter_map(|(_, digits)| decode_exactly(digits))
}

/// Exactly so many bytes: a comparison that stopped at the shorter one would accept the empty signature.
fn decode_exactly<const BYTES: usize>(digits: &str) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let len = STANDARD.decode_slice(digits, &mut bytes).ok()?;
    (len == BYTES).then_some(bytes)
}
