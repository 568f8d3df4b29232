//! Signing a delivery: one signature for each secret, so that a receiver verifies with whichever key it has.
//! Runs once for each attempt, so keys are prepared beforehand and the body is not copied for `v1`.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::content::SignedContent;
use crate::secret::Secret;
use crate::webhook_id::WebhookId;

#[cfg(test)]
mod tests;

/// The most keys of one sender or receiver: a new and an old one in both schemes is 4, and as much again to spare.
/// Each costs a signature or a verification on every delivery.
pub(crate) const KEYS_MAX: usize = 8;

pub(crate) const V1_BYTES: usize = 32;
pub(crate) const V1A_BYTES: usize = 64;

/// How a signature is made, named before it in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureScheme {
    /// `v1`: HMAC-SHA256 with a shared secret.
    V1,
    /// `v1a`: Ed25519.
    V1a,
}

impl SignatureScheme {
    /// The name in the header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1a => "v1a",
        }
    }

    /// Bytes of one entry of the header: name, comma and padded base64.
    const fn entry_bytes(self) -> usize {
        let signature = match self {
            Self::V1 => V1_BYTES,
            Self::V1a => V1A_BYTES,
        };
        self.as_str().len() + 1 + signature.div_ceil(3) * 4
    }
}

impl std::fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// There are no keys, or too many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} keys were given, from 1 to {KEYS_MAX} can be in use at once")]
pub struct KeyCountError(pub(crate) usize);

/// The secrets of one endpoint, ready to sign: usually one, two while they are being exchanged.
#[derive(Debug)]
pub struct Signer {
    keys: Vec<PreparedKey>,
    header_bytes: usize,
}

#[derive(Debug)]
enum PreparedKey {
    Hmac(Box<hmac::Key>),
    Ed25519(Ed25519KeyPair),
}

impl PreparedKey {
    const fn scheme(&self) -> SignatureScheme {
        match self {
            Self::Hmac(_) => SignatureScheme::V1,
            Self::Ed25519(_) => SignatureScheme::V1a,
        }
    }
}

impl Signer {
    /// A signer for these secrets, 1 to 8; the newest first by custom.
    pub fn new(secrets: impl IntoIterator<Item = impl Into<Secret>>) -> Result<Self, KeyCountError> {
        let keys: Vec<_> = secrets
            .into_iter()
            .map(|secret| match secret.into() {
                Secret::Symmetric(secret) => PreparedKey::Hmac(Box::new(secret.hmac_key())),
                Secret::Asymmetric(secret) => PreparedKey::Ed25519(secret.key_pair()),
            })
            .collect();
        if keys.is_empty() || keys.len() > KEYS_MAX {
            return Err(KeyCountError(keys.len()));
        }
        let header_bytes = keys.iter().map(|key| key.scheme().entry_bytes() + 1).sum();
        Ok(Self { keys, header_bytes })
    }

    /// The value of the `webhook-signature` header for this attempt: `v1,…` or `v1a,…`, one for each secret,
    /// separated by spaces.
    ///
    /// `timestamp` is the unix time in seconds of this attempt, to be sent as `webhook-timestamp`; take a fresh one
    /// for each attempt and keep the id. Verifiers refuse 0 and what lies before it. `body` must be exactly the bytes
    /// that are sent.
    #[must_use]
    pub fn sign<'id>(&self, id: impl Into<WebhookId<'id>>, timestamp: i64, body: &[u8]) -> String {
        let mut header = String::with_capacity(self.header_bytes);
        self.sign_into(&mut header, id, timestamp, body);
        header
    }

    /// As [`sign`](Self::sign), at the end of a text that may be used again and again.
    pub fn sign_into<'id>(&self, out: &mut String, id: impl Into<WebhookId<'id>>, timestamp: i64, body: &[u8]) {
        let content = SignedContent::new(id.into(), timestamp, body);
        let mut whole = None;
        for (before, key) in self.keys.iter().enumerate() {
            if before > 0 {
                out.push(' ');
            }
            out.push_str(key.scheme().as_str());
            out.push(',');
            match key {
                PreparedKey::Hmac(key) => push_base64(content.hmac(key).as_ref(), out),
                PreparedKey::Ed25519(key) => {
                    let whole = whole.get_or_insert_with(|| content.to_vec());
                    push_base64(key.sign(whole).as_ref(), out);
                }
            }
        }
    }
}

/// In one step through a fixed buffer; `encode_string` of the library works through 1 KiB pieces.
fn push_base64(signature: &[u8], out: &mut String) {
    let mut digits = [0; V1A_BYTES.div_ceil(3) * 4];
    let len = STANDARD.encode_slice(signature, &mut digits).expect("88 digits hold 64 bytes");
    out.push_str(std::str::from_utf8(&digits[..len]).expect("base64 is ASCII"));
}
