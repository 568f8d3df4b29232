//! A sender's way of signing, declared: which header, which algorithm over what, and where time and id stand. All presets
//! but Standard Webhooks are declarations, too.

use std::time::Duration;

/// How a sender signs, or which token it sends. The fields are those of `[source.verify]` in the settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// The header with the signatures or the token.
    pub header: String,
    /// What stands before each signature or the token, such as `sha256=`; others in the header are ignored.
    pub prefix: String,
    /// What stands between several entries of the header; without it the header is one entry.
    pub separator: Option<String>,
    /// How a signature is written; of no meaning for a token.
    pub encoding: SignatureEncoding,
    /// How a signature is made.
    pub algorithm: Algorithm,
    /// How keys are written.
    pub key_encoding: KeyEncoding,
    /// What is signed: text with `{id}`, `{timestamp}`, `{key}`, `{url}` and once `{body}`; of no meaning for a token.
    pub content: String,
    /// The source's URL as the sender knows it, for `{url}`.
    pub public_url: Option<String>,
    /// When it was signed, where that is signed, too.
    pub time: Option<TimeRule>,
    /// What a repetition is recognised by.
    pub id: IdPlace,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureEncoding {
    /// Hex digits, of either case.
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 of the alphabet for URLs, with padding or without.
    Base64Url,
}

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA256.
    HmacSha256,
    /// HMAC-SHA1, which some senders still use.
    HmacSha1,
    /// A plain SHA-256 of a content that has the key in it.
    Sha256,
    /// Ed25519; the keys are public ones.
    Ed25519,
    /// None: the header holds a key itself.
    Token,
}

/// How keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEncoding {
    /// The text is the key.
    Raw,
    /// Base64.
    Base64,
    /// Hex digits.
    Hex,
    /// `whsec_` and base64.
    Whsec,
}

/// Where the time of a signature stands, and how far it may be off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeRule {
    /// Where it stands.
    pub place: TimePlace,
    /// What it counts.
    pub unit: TimeUnit,
    /// How far it may be off in either direction.
    pub tolerance: Duration,
}

/// Where the time of a signature stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimePlace {
    /// In a header of its own.
    Header(String),
    /// In an entry of the signature's header that begins so, such as `t=`.
    Parameter(String),
}

/// What a time counts, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// Where a sender's id of a message stands. Where it is missing, the content stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdPlace {
    /// Nowhere.
    Content,
    /// In a header; not signed, unless the content has `{id}`.
    Header(String),
    /// In the body, as a JSON pointer (RFC 6901); read once the body is verified.
    Pointer(String),
}

impl Declaration {
    /// Hex of HMAC-SHA256 over the body; the key is the text.
    #[must_use]
    pub fn hmac_sha256(header: &str, prefix: &str) -> Self {
        Self {
            header: header.to_owned(),
            prefix: prefix.to_owned(),
            separator: None,
            encoding: SignatureEncoding::Hex,
            algorithm: Algorithm::HmacSha256,
            key_encoding: KeyEncoding::Raw,
            content: "{body}".to_owned(),
            public_url: None,
            time: None,
            id: IdPlace::Content,
        }
    }

    /// A token in a header, after this prefix.
    #[must_use]
    pub fn token(header: &str, prefix: &str) -> Self {
        Self { algorithm: Algorithm::Token, content: String::new(), ..Self::hmac_sha256(header, prefix) }
    }
}
