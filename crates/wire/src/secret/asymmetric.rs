//! The key pair of Ed25519, signature scheme `v1a`: the sender keeps the secret, receivers get the public key.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use zeroize::Zeroizing;

use super::text::{KeyForm, ParseSecretError};

const SEED_BYTES: usize = 32;
const PUBLIC_KEY_BYTES: usize = 32;

/// An Ed25519 secret; in text `whsk_` and base64 of the seed, or of the seed followed by the public key.
///
/// The seed is wiped from memory when dropped.
#[derive(Clone)]
pub struct AsymmetricSecret {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    public_key: PublicKey,
}

const SECRET_FORM: KeyForm = KeyForm {
    prefix: AsymmetricSecret::PREFIX,
    expected: "a private key is `whsk_` and base64 of a 32-byte seed, alone or followed by its public key",
};

impl AsymmetricSecret {
    /// What the text form begins with.
    pub const PREFIX: &'static str = "whsk_";

    /// The secret of this seed; for a new one, 32 bytes of a good source of randomness.
    #[must_use]
    pub fn from_seed(seed: [u8; SEED_BYTES]) -> Self {
        let seed = Zeroizing::new(seed);
        let mut public_key = [0; PUBLIC_KEY_BYTES];
        public_key.copy_from_slice(key_pair(&seed).public_key().as_ref());
        Self { seed, public_key: PublicKey(public_key) }
    }

    /// What receivers verify with.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// The text form (seed and public key), to be kept where secrets are kept.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([*self.seed, self.public_key.0].concat());
        SECRET_FORM.encode(&bytes)
    }

    pub(crate) fn key_pair(&self) -> Ed25519KeyPair {
        key_pair(&self.seed)
    }
}

impl std::str::FromStr for AsymmetricSecret {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        let bytes = SECRET_FORM.decode(text)?;
        let Some((seed, public_key)) = bytes.split_first_chunk() else {
            return Err(SECRET_FORM.refuse_length(bytes.len()));
        };
        let secret = Self::from_seed(*seed);
        match public_key.len() {
            0 => Ok(secret),
            PUBLIC_KEY_BYTES if public_key == secret.public_key.0 => Ok(secret),
            PUBLIC_KEY_BYTES => Err(SECRET_FORM.refuse_halves()),
            _ => Err(SECRET_FORM.refuse_length(bytes.len())),
        }
    }
}

impl std::fmt::Debug for AsymmetricSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AsymmetricSecret(hidden, public key {})", self.public_key)
    }
}

fn key_pair(seed: &[u8; SEED_BYTES]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed of Ed25519")
}

/// An Ed25519 public key; in text `whpk_` and base64 of its 32 bytes. No secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

const PUBLIC_FORM: KeyForm =
    KeyForm { prefix: PublicKey::PREFIX, expected: "a public key is `whpk_` and base64 of 32 bytes" };

impl PublicKey {
    /// What the text form begins with.
    pub const PREFIX: &'static str = "whpk_";

    /// The key of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; PUBLIC_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }

    pub(crate) fn parsed(&self) -> ParsedPublicKey {
        ParsedPublicKey::new(&ED25519, self.0).expect("any 32 bytes are taken as a public key")
    }
}

impl std::str::FromStr for PublicKey {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        let bytes = PUBLIC_FORM.decode(text)?;
        let key = bytes.as_slice().try_into();
        key.map(Self).map_err(|_| PUBLIC_FORM.refuse_length(bytes.len()))
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&PUBLIC_FORM.encode(&self.0))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
