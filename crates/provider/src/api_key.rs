//! API keys: `wh_live_<public id>_<43 characters>_<checksum>`. The store keeps the public id and a hash only; the
//! checksum lets scanners and typing mistakes be told apart from wrong keys without asking the store.

mod lifetime;
mod scope;

use std::fmt;

use aws_lc_rs::{constant_time, digest};

pub use lifetime::{KeyState, LIFE_MAX, Lifetime, OVERLAP, OVERLAP_MAX, after};
pub use scope::{Scope, Scopes, UnknownScope};

/// A key in clear, as its owner holds it. Shown once; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
}

/// What the store keeps of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// The part that names the key in lists and logs.
    pub public_id: String,
    /// SHA-256 of the whole text. A slow hash would buy nothing: the key holds 256 random bits.
    pub hash: [u8; 32],
}

/// The text is not a key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API key: a key starts with wh_live_ and has four parts; copy it whole")]
pub struct NotAKey;

const PREFIX: &str = "wh_live_";
const PUBLIC_ID_LENGTH: usize = 12;
/// 43 digits of base 62 hold 256 bits.
const SECRET_LENGTH: usize = 43;
const BASE_62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl ApiKey {
    /// Makes a key from random bytes: 8 for the public id, 32 for the secret part.
    pub fn from_chance(public: [u8; 8], secret: [u8; 32]) -> ApiKey {
        let public_id = &base_62(&public)[..PUBLIC_ID_LENGTH - 1];
        let body = format!("{PREFIX}k{public_id}_{}", base_62(&secret));
        ApiKey { text: format!("{body}_{}", checksum(&body)) }
    }

    /// Reads a key as it came in a request.
    pub fn parse(text: &str) -> Result<ApiKey, NotAKey> {
        let (body, sum) = text.rsplit_once('_').ok_or(NotAKey)?;
        let (public_id, secret) = body.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(NotAKey)?;
        let lengths_fit = public_id.len() == PUBLIC_ID_LENGTH && secret.len() == SECRET_LENGTH;
        if !lengths_fit || sum != checksum(body) {
            return Err(NotAKey);
        }
        Ok(ApiKey { text: text.to_owned() })
    }

    /// The key in clear, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The part that names the key.
    pub fn public_id(&self) -> &str {
        &self.text[PREFIX.len()..PREFIX.len() + PUBLIC_ID_LENGTH]
    }

    /// What to keep of it.
    pub fn to_stored(&self) -> StoredKey {
        StoredKey { public_id: self.public_id().to_owned(), hash: self.hash() }
    }

    /// True where this key is the one that `stored` was made from; takes the same time for every wrong one.
    pub fn opens(&self, stored: &StoredKey) -> bool {
        constant_time::verify_slices_are_equal(&self.hash(), &stored.hash).is_ok()
    }

    fn hash(&self) -> [u8; 32] {
        let digest = digest::digest(&digest::SHA256, self.text.as_bytes());
        digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}…)", self.public_id())
    }
}

fn checksum(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

/// Big-endian base 62 of fixed length: as many digits as the byte count can need.
fn base_62(bytes: &[u8]) -> String {
    let digit_count =
        (bytes.len() * 8).div_ceil(5).min(if bytes.len() == 32 { SECRET_LENGTH } else { PUBLIC_ID_LENGTH - 1 });
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; digit_count];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *digit = BASE_62[remainder as usize];
    }
    String::from_utf8(digits).expect("base 62 digits are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey::from_chance([7; 8], [250; 32])
    }

    #[test]
    fn a_key_reads_back_and_opens_what_was_stored_of_it() {
        let read = ApiKey::parse(key().reveal()).expect("our own key");
        assert!(read.opens(&key().to_stored()));
        assert_eq!(read.public_id(), key().to_stored().public_id);
    }

    #[test]
    fn another_key_with_the_same_public_id_opens_nothing() {
        let other = ApiKey::from_chance([7; 8], [251; 32]);
        assert_eq!(other.public_id(), key().public_id());
        assert!(!other.opens(&key().to_stored()));
    }

    #[test]
    fn extremes_of_chance_keep_their_length() {
        for byte in [0, 1, 255] {
            let key = ApiKey::from_chance([byte; 8], [byte; 32]);
            assert_eq!(key.reveal().len(), PREFIX.len() + PUBLIC_ID_LENGTH + 1 + SECRET_LENGTH + 9, "{byte}");
            assert!(ApiKey::parse(key.reveal()).is_ok());
        }
    }

    #[test]
    fn one_wrong_character_is_seen_without_asking_anyone() {
        let good = key().reveal().to_owned();
        for at in 0..good.len() {
            let mut bad = good.clone().into_bytes();
            bad[at] = if bad[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(ApiKey::parse(&String::from_utf8(bad).expect("ASCII")), Err(NotAKey), "at {at}");
        }
        for text in ["", "_", "____", "wh_live_é_é_é", "Bearer", "wh_live_"] {
            assert_eq!(ApiKey::parse(text), Err(NotAKey), "{text}");
        }
    }

    #[test]
    fn debug_output_hides_the_secret() {
        assert_eq!(format!("{:?}", key()), format!("ApiKey({}…)", key().public_id()));
    }
}
