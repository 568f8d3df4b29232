//! The keys of a declared scheme, ready to compare with. Which algorithm a key is for comes from the settings, never from
//! a request.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, SHA256};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use zeroize::Zeroizing;

use super::digits::{decode_base64_key, decode_exactly, from_hex};
use super::template::{Filling, Template};
use super::{Algorithm, KEYS_MAX, KeyEncoding, Rejection, SignatureEncoding};
use crate::SourceError;

/// Longer than any key; a whole file given by mistake is not taken for one.
const KEY_BYTES_MAX: usize = 4_096;
const ED25519_KEY_BYTES: usize = 32;
const SHA1_BYTES: usize = 20;
const SHA256_BYTES: usize = 32;
const ED25519_BYTES: usize = 64;

/// 1 to 8 keys of one algorithm; none is empty.
pub(super) enum Keys {
    Sha1(Vec<hmac::Key>),
    Sha256(Vec<hmac::Key>),
    /// A plain hash with the key somewhere in the content.
    PlainSha256(Vec<Zeroizing<Vec<u8>>>),
    Ed25519(Vec<ParsedPublicKey>),
    /// Hashes of tokens: what is compared has one length, and the token itself need not be kept.
    Token(Vec<[u8; SHA256_BYTES]>),
}

impl Keys {
    pub(super) fn read<'k>(
        algorithm: Algorithm,
        encoding: KeyEncoding,
        texts: impl IntoIterator<Item = &'k str>,
    ) -> Result<Self, SourceError> {
        let mut keys = Vec::new();
        for (before, text) in texts.into_iter().enumerate() {
            keys.push(read_key(text.trim(), encoding).map_err(|problem| SourceError::key(before, problem))?);
        }
        if !(1..=KEYS_MAX).contains(&keys.len()) {
            return Err(SourceError::KeyCount(keys.len()));
        }
        let hmac_keys = |algorithm| keys.iter().map(|key| hmac::Key::new(algorithm, key)).collect();
        Ok(match algorithm {
            Algorithm::HmacSha1 => Self::Sha1(hmac_keys(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)),
            Algorithm::HmacSha256 => Self::Sha256(hmac_keys(hmac::HMAC_SHA256)),
            Algorithm::Sha256 => Self::PlainSha256(keys),
            Algorithm::Token => Self::Token(keys.iter().map(|key| hash(key)).collect()),
            Algorithm::Ed25519 => Self::Ed25519(public_keys(&keys)?),
        })
    }

    /// Which token this is.
    pub(super) fn find_token(&self, offered: &[u8]) -> Option<usize> {
        let Self::Token(tokens) = self else { return None };
        let offered = hash(offered);
        // Every one is compared, so that the time does not tell which of them it is.
        let compared = tokens.iter().map(|token| verify_slices_are_equal(token, &offered).is_ok());
        compared.enumerate().fold(None, |found, (place, is_equal)| found.or(is_equal.then_some(place)))
    }

    /// Which key made one of these signatures. `Ok(None)` where none was well formed.
    pub(super) fn find_signer<'a>(
        &self,
        signatures: impl Iterator<Item = &'a str> + Clone,
        encoding: SignatureEncoding,
        content: &Template,
        filling: Filling<'_>,
    ) -> Result<Option<usize>, Rejection> {
        let hmac = |key: &hmac::Key| {
            let mut context = hmac::Context::with_key(key);
            content.filled(filling).for_each(|piece| context.update(piece));
            context.sign()
        };
        match self {
            Self::Sha1(keys) => find::<SHA1_BYTES, _>(keys, signatures, encoding, |key, offered| {
                verify_slices_are_equal(hmac(key).as_ref(), offered).is_ok()
            }),
            Self::Sha256(keys) => find::<SHA256_BYTES, _>(keys, signatures, encoding, |key, offered| {
                verify_slices_are_equal(hmac(key).as_ref(), offered).is_ok()
            }),
            Self::PlainSha256(keys) => find::<SHA256_BYTES, _>(keys, signatures, encoding, |key, offered| {
                let mut context = digest::Context::new(&SHA256);
                content.filled(Filling { key, ..filling }).for_each(|piece| context.update(piece));
                verify_slices_are_equal(context.finish().as_ref(), offered).is_ok()
            }),
            Self::Ed25519(keys) => {
                let whole = content.filled_whole(filling);
                find::<ED25519_BYTES, _>(keys, signatures, encoding, |key, offered| {
                    key.verify_sig(&whole, offered).is_ok()
                })
            }
            Self::Token(_) => Ok(None),
        }
    }

    pub(super) fn hmac(&self, index: usize, message: &[u8]) -> Option<hmac::Tag> {
        match self {
            Self::Sha1(keys) | Self::Sha256(keys) => keys.get(index).map(|key| hmac::sign(key, message)),
            Self::PlainSha256(_) | Self::Ed25519(_) | Self::Token(_) => None,
        }
    }
}

/// Tries each signature with each key; their numbers are bounded by the callers.
fn find<'a, const BYTES: usize, K>(
    keys: &[K],
    signatures: impl Iterator<Item = &'a str>,
    encoding: SignatureEncoding,
    is_right: impl Fn(&K, &[u8; BYTES]) -> bool,
) -> Result<Option<usize>, Rejection> {
    let mut any_compared = false;
    for offered in signatures.filter_map(|text| decode_exactly::<BYTES>(text, encoding)) {
        any_compared = true;
        if let Some(place) = keys.iter().position(|key| is_right(key, &offered)) {
            return Ok(Some(place));
        }
    }
    if any_compared { Err(Rejection::WrongSignature) } else { Ok(None) }
}

/// A key of at least one byte.
fn read_key(text: &str, encoding: KeyEncoding) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    if text.is_empty() {
        return Err("is empty; give the secret as the sender shows it");
    }
    if text.len() > KEY_BYTES_MAX {
        return Err("has more than 4096 bytes, which is no key");
    }
    let key = match encoding {
        KeyEncoding::Raw => Some(Zeroizing::new(text.as_bytes().to_vec())),
        KeyEncoding::Hex => from_hex(text).map(Zeroizing::new),
        KeyEncoding::Base64 => decode_base64_key(text),
        KeyEncoding::Whsec => decode_base64_key(text.strip_prefix("whsec_").ok_or("does not begin with whsec_")?),
    };
    let key = key.ok_or(match encoding {
        KeyEncoding::Hex => "is not an even number of hex digits",
        KeyEncoding::Raw | KeyEncoding::Base64 | KeyEncoding::Whsec => "is not base64 of the standard alphabet",
    })?;
    if key.is_empty() { Err("is empty once decoded") } else { Ok(key) }
}

fn public_keys(keys: &[Zeroizing<Vec<u8>>]) -> Result<Vec<ParsedPublicKey>, SourceError> {
    let parse = |(before, key): (usize, &Zeroizing<Vec<u8>>)| {
        if key.len() != ED25519_KEY_BYTES {
            return Err(SourceError::key(before, format!("has {} bytes, an Ed25519 public key has 32", key.len())));
        }
        ParsedPublicKey::new(&ED25519, key.as_slice()).map_err(|_| SourceError::key(before, "is no Ed25519 public key"))
    };
    keys.iter().enumerate().map(parse).collect()
}

fn hash(bytes: &[u8]) -> [u8; SHA256_BYTES] {
    let mut hash = [0; SHA256_BYTES];
    hash.copy_from_slice(digest::digest(&SHA256, bytes).as_ref());
    hash
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, count) = match self {
            Self::Sha1(keys) => ("HmacSha1", keys.len()),
            Self::Sha256(keys) => ("HmacSha256", keys.len()),
            Self::PlainSha256(keys) => ("Sha256", keys.len()),
            Self::Ed25519(keys) => ("Ed25519", keys.len()),
            Self::Token(keys) => ("Token", keys.len()),
        };
        write!(f, "{kind}({count} hidden)")
    }
}
