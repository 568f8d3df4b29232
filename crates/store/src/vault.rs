//! Secrets at rest: sealed with AES-256-GCM under a key that the database does not hold, each bound to its row. Where
//! keys come from is the binary's business; which rows hold sealed text is an engine's.

mod key;
mod place;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::Chance;

pub use key::{KeyId, ParseKeyIdError, ParseSealingKeyError, SealingKey};
pub use place::SecretPlace;

/// Keys of one vault: the one in use, and older ones until everything is resealed. More are a mistake.
pub const SEALING_KEYS_MAX: usize = 8;

/// What sealed text begins with: the version of its form. `s1.` is followed by the key's id, a full stop, and base64
/// (URL alphabet, no padding) of nonce, ciphertext and tag.
const VERSION: &str = "s1";

/// Seals secrets with its first key and opens them with any. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    keys: Arc<[(KeyId, LessSafeKey)]>,
    /// For nonces: 96 random bits for each sealing, safe for some thousand million sealings under one key.
    chance: Arc<dyn Chance>,
}

/// No key, or too many.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} sealing keys were given; give 1 to {SEALING_KEYS_MAX}, the one in use first")]
pub struct SealingKeyCountError(usize);

/// Why sealed text does not open. None repeats any of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// It never was sealed, or not by a version that this one knows.
    #[error("a stored secret is not in the sealed form; restore the database from a backup, or rotate the secret")]
    NotSealed,
    /// The key is not in this vault.
    #[error("a stored secret is sealed with key {0}, which was not given; add that key to those given")]
    UnknownKey(KeyId),
    /// The key is right, the text is not.
    #[error("a stored secret was changed, or moved here from another row; restore the database, or rotate the secret")]
    Tampered,
}

impl Vault {
    /// A vault of these keys, the one in use first.
    pub fn new(
        keys: impl IntoIterator<Item = SealingKey>,
        chance: Arc<dyn Chance>,
    ) -> Result<Vault, SealingKeyCountError> {
        let keys: Vec<_> = keys.into_iter().map(|key| (key.id(), cipher(&key))).collect();
        if keys.is_empty() || keys.len() > SEALING_KEYS_MAX {
            return Err(SealingKeyCountError(keys.len()));
        }
        Ok(Vault { keys: keys.into(), chance })
    }

    /// The key that seals.
    pub fn key_in_use(&self) -> KeyId {
        self.keys[0].0
    }

    /// All keys that open, the one in use first.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// Seals a secret for one place; it opens nowhere else.
    pub fn seal(&self, place: SecretPlace, secret: &str) -> String {
        let (id, key) = &self.keys[0];
        let nonce: [u8; NONCE_LEN] = self.chance.bytes();
        let mut sealed = Vec::with_capacity(NONCE_LEN + secret.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(secret.as_bytes());
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), bound_to(place), &mut sealed[NONCE_LEN..])
            .expect("a secret is far shorter than AES-GCM allows");
        sealed.extend_from_slice(tag.as_ref());
        format!("{VERSION}.{id}.{}", URL_SAFE_NO_PAD.encode(&sealed))
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, place: SecretPlace, sealed: &str) -> Result<Zeroizing<String>, UnsealError> {
        let id = KeyId::of_sealed(sealed).ok_or(UnsealError::NotSealed)?;
        let (_, key) = self.keys.iter().find(|(known, _)| *known == id).ok_or(UnsealError::UnknownKey(id))?;
        let digits = sealed.rsplit('.').next().unwrap_or_default();
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(digits).map_err(|_| UnsealError::NotSealed)?);
        let (nonce, rest) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError::NotSealed)?;
        let mut opened = Zeroizing::new(rest.to_vec());
        let secret = key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), bound_to(place), &mut opened)
            .map_err(|_| UnsealError::Tampered)?;
        let secret = std::str::from_utf8(secret).map_err(|_| UnsealError::Tampered)?;
        Ok(Zeroizing::new(secret.to_owned()))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.key_ids()).finish()
    }
}

fn cipher(key: &SealingKey) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("a key of 32 bytes"))
}

fn bound_to(place: SecretPlace) -> Aad<Vec<u8>> {
    Aad::from([VERSION.as_bytes(), b"\0", &place.to_bytes()].concat())
}
