//! How a source tells its real sender from others: Standard Webhooks, anything that can be declared, or an unguessable
//! path alone.

use wire::{KeyRing, SignedHeaders, VerificationKey};

mod declaration;
mod digits;
mod found;
mod keys;
mod preset;
mod rejection;
mod template;
mod verifier;

#[cfg(test)]
mod tests;

pub use declaration::{Algorithm, Declaration, IdPlace, KeyEncoding, SignatureEncoding, TimePlace, TimeRule, TimeUnit};
pub(crate) use digits::to_hex;
pub use preset::{ParsePresetError, Preset};
pub use rejection::Rejection;

use crate::SourceError;
use crate::challenge::Challenge;
use found::Found;
use verifier::Verifier;

/// The most keys of one source; each costs a hash of the body at a wrong signature. As many as `wire` takes.
pub(crate) const KEYS_MAX: usize = 8;

/// How a source's webhooks are verified, with its keys ready; made by the constructors here.
#[derive(Debug)]
pub struct Scheme {
    method: Method,
    challenge: Option<Challenge>,
    /// Whether the path is the secret.
    is_path_secret: bool,
}

#[derive(Debug)]
enum Method {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`; what Fanfare and many others send.
    StandardWebhooks(KeyRing),
    /// The same under other names.
    Svix(KeyRing),
    Declared(Box<Verifier>),
    /// Whoever knows the path is believed.
    Path,
}

/// What a believed request proved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// Place of the key among the source's, from 0.
    pub(crate) key_index: Option<usize>,
    pub(crate) message_id: Option<String>,
}

impl Scheme {
    /// Standard Webhooks with these keys in text: 1 to 8, each `whsec_…` or `whpk_…`, all valid at once.
    pub fn standard_webhooks<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Self, SourceError> {
        Ok(Self::of(Method::StandardWebhooks(key_ring(keys)?)))
    }

    /// The scheme of a preset that needs nothing but keys: 1 to 8, all valid at once.
    pub fn of_keys<'k>(preset: Preset, keys: impl IntoIterator<Item = &'k str>) -> Result<Self, SourceError> {
        match preset {
            Preset::StandardWebhooks => Self::standard_webhooks(keys),
            Preset::Svix => Ok(Self::of(Method::Svix(key_ring(keys)?))),
            other => match preset::declaration(other) {
                Some(declaration) => {
                    Ok(Self { challenge: preset::challenge(other), ..Self::declared(declaration, keys)? })
                }
                None => Err(SourceError::field("preset", format!("{other} needs more than keys"))),
            },
        }
    }

    /// What a declaration says, with these keys: 1 to 8, all valid at once.
    pub fn declared<'k>(
        declaration: Declaration,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<Self, SourceError> {
        Ok(Self::of(Method::Declared(Box::new(Verifier::new(declaration, keys)?))))
    }

    /// A token in a header of this name; several are valid at once.
    pub fn header<'k>(name: &str, tokens: impl IntoIterator<Item = &'k str>) -> Result<Self, SourceError> {
        Self::declared(Declaration::token(name, ""), tokens)
    }

    /// HTTP Basic with this user and these passwords.
    pub fn basic<'k>(user: &str, passwords: impl IntoIterator<Item = &'k str>) -> Result<Self, SourceError> {
        if user.contains(':') || user.chars().any(char::is_control) {
            return Err(SourceError::field(
                "user",
                "has a colon or a control character, which HTTP Basic cannot carry",
            ));
        }
        let pair = |password: &str| match password {
            // Left as it is, so that it is refused as empty.
            "" => zeroize::Zeroizing::default(),
            password => digits::basic_credentials(user, password),
        };
        let tokens: Vec<_> = passwords.into_iter().map(|password| pair(password.trim())).collect();
        Self::declared(Declaration::token("authorization", "Basic "), tokens.iter().map(|token| token.as_str()))
    }

    /// Meta: signed with an app secret as GitHub does; the token is the one typed into Meta's form.
    pub fn meta<'k>(keys: impl IntoIterator<Item = &'k str>, verify_token: &str) -> Result<Self, SourceError> {
        let challenge = Some(Challenge::meta(verify_token)?);
        Ok(Self { challenge, ..Self::declared(preset::github_like(IdPlace::Content), keys)? })
    }

    /// Nothing but an unguessable path, which [`SourcePath`](crate::SourcePath) checks.
    #[must_use]
    pub fn path() -> Self {
        Self { is_path_secret: true, ..Self::of(Method::Path) }
    }

    /// An unguessable path, and a token in a header as well.
    pub fn path_and_header<'k>(name: &str, tokens: impl IntoIterator<Item = &'k str>) -> Result<Self, SourceError> {
        Ok(Self { is_path_secret: true, ..Self::header(name, tokens)? })
    }

    /// The same scheme, which also answers a sender's question whether this is its receiver.
    #[must_use]
    pub fn with_challenge(self, challenge: Challenge) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// Keys in the text a store keeps, without the space around them; each and all as [`of_keys`](Scheme::of_keys)
    /// takes them.
    pub fn key_texts<'k>(preset: Preset, keys: impl IntoIterator<Item = &'k str>) -> Result<Vec<String>, SourceError> {
        let texts: Vec<&str> = keys.into_iter().map(str::trim).collect();
        Self::of_keys(preset, texts.iter().copied())?;
        Ok(texts.into_iter().map(str::to_owned).collect())
    }

    /// Whether whoever knows the path may send: it is never shown or logged.
    #[must_use]
    pub const fn is_path_secret(&self) -> bool {
        self.is_path_secret
    }

    pub(crate) const fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// The header with the signature or token, in lower case; it is not kept.
    pub(crate) fn secret_header(&self) -> Option<&str> {
        match &self.method {
            // Their names are among those that are never kept.
            Method::StandardWebhooks(_) | Method::Svix(_) | Method::Path => None,
            Method::Declared(verifier) => Some(verifier.header()),
        }
    }

    /// HMAC with one of the keys, for challenges that ask for it.
    pub(crate) fn hmac(&self, key_index: usize, message: &[u8]) -> Option<aws_lc_rs::hmac::Tag> {
        match &self.method {
            Method::Declared(verifier) => verifier.hmac(key_index, message),
            Method::StandardWebhooks(_) | Method::Svix(_) | Method::Path => None,
        }
    }

    /// Decides whether a request is believed at `now`.
    pub(crate) fn check<'n, 'v>(
        &self,
        headers: impl IntoIterator<Item = (&'n str, &'v [u8])>,
        body: &[u8],
        now: jiff::Timestamp,
    ) -> Result<Proof, Rejection> {
        match &self.method {
            Method::StandardWebhooks(keys) => standard(keys, &SignedHeaders::find_in(headers)?, body, now),
            Method::Svix(keys) => {
                let [id, timestamp, signature] =
                    Found::find(["svix-id", "svix-timestamp", "svix-signature"].map(Some), headers)?.texts()?;
                standard(keys, &SignedHeaders::new(id, timestamp, signature)?, body, now)
            }
            Method::Declared(verifier) => verifier.check(headers, body, now),
            Method::Path => {
                // Read to the end, for those who watch the headers go by.
                headers.into_iter().for_each(drop);
                Ok(Proof { key_index: None, message_id: None })
            }
        }
    }

    const fn of(method: Method) -> Self {
        Self { method, challenge: None, is_path_secret: false }
    }
}

fn standard(keys: &KeyRing, signed: &SignedHeaders<'_>, body: &[u8], now: jiff::Timestamp) -> Result<Proof, Rejection> {
    let matched = keys.verify(signed, body, now.as_second())?;
    Ok(Proof { key_index: Some(matched.key_index), message_id: Some(signed.id().as_str().to_owned()) })
}

fn key_ring<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<KeyRing, SourceError> {
    let parsed: Vec<VerificationKey> = keys
        .into_iter()
        .enumerate()
        .map(|(before, text)| text.trim().parse().map_err(|error| SourceError::key(before, error)))
        .collect::<Result<_, _>>()?;
    let count = parsed.len();
    KeyRing::new(parsed).map_err(|_| SourceError::KeyCount(count))
}
