//! The keys that seal, in text and by id.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::VERSION;

/// AES-256.
const KEY_BYTES: usize = 32;
/// Enough to tell a handful of keys apart, and short enough to be read aloud.
const KEY_ID_BYTES: usize = 4;
/// A digest with a purpose of its own says nothing about the key elsewhere.
const ID_PURPOSE: &[u8] = b"fanfare sealing key id\0";
/// Some tools leave the padding away.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A key that seals secrets; in text `fkey_` and base64 of 32 random bytes. Wiped from memory when dropped.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; KEY_BYTES]>);

/// The text is no sealing key. The message holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealing key is `fkey_` and base64 of 32 random bytes; make one with: fanfare secrets new-key")]
pub struct ParseSealingKeyError;

impl SealingKey {
    /// What the text form begins with.
    pub const PREFIX: &'static str = "fkey_";

    /// The key of these bytes; for a new one, of a good source of randomness.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> SealingKey {
        SealingKey(Zeroizing::new(bytes))
    }

    /// What is written beside everything it seals.
    pub fn id(&self) -> KeyId {
        let digest = digest(&SHA256, &Zeroizing::new([ID_PURPOSE, self.0.as_slice()].concat()));
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest.as_ref()[..KEY_ID_BYTES]);
        KeyId(id)
    }

    /// The text form, to be kept apart from the database.
    pub fn reveal(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(STANDARD.encode(self.0.as_slice()));
        Zeroizing::new([Self::PREFIX, digits.as_str()].concat())
    }

    pub(super) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl FromStr for SealingKey {
    type Err = ParseSealingKeyError;

    fn from_str(text: &str) -> Result<SealingKey, ParseSealingKeyError> {
        let digits = text.strip_prefix(Self::PREFIX).ok_or(ParseSealingKeyError)?;
        let bytes = Zeroizing::new(LENIENT.decode(digits).map_err(|_| ParseSealingKeyError)?);
        let bytes = bytes.as_slice().try_into().map_err(|_| ParseSealingKeyError)?;
        Ok(SealingKey::from_bytes(bytes))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey(hidden, id {})", self.id())
    }
}

/// Which key: the beginning of a digest of it, in text 8 hexadecimal digits. No secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    /// The key that sealed text names; `None` where the text is not in the sealed form.
    pub fn of_sealed(text: &str) -> Option<KeyId> {
        let mut parts = text.split('.');
        let (version, id, _digits) = (parts.next()?, parts.next()?, parts.next()?);
        if version != VERSION || parts.next().is_some() {
            return None;
        }
        id.parse().ok()
    }
}

/// The text is no key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 8 hexadecimal digits in lower case")]
pub struct ParseKeyIdError;

impl FromStr for KeyId {
    type Err = ParseKeyIdError;

    fn from_str(text: &str) -> Result<KeyId, ParseKeyIdError> {
        let is_lower_hex = text.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit));
        if text.len() != 2 * KEY_ID_BYTES || !is_lower_hex {
            return Err(ParseKeyIdError);
        }
        let number = u32::from_str_radix(text, 16).map_err(|_| ParseKeyIdError)?;
        Ok(KeyId(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
