//! Why a webhook was not believed, in words for the owner of the source.

use std::sync::Arc;

/// Why a webhook was not believed. The text is for the log of the source's owner; the sender is always told the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// By Standard Webhooks.
    #[error(transparent)]
    Standard(#[from] wire::Rejection),
    /// A header that is needed is not there.
    #[error("header {0} is missing: the sender does not sign as this source expects, or a proxy removed it")]
    MissingHeader(Arc<str>),
    /// A header is there twice, and nothing says which one counts.
    #[error("header {0} occurs more than once")]
    RepeatedHeader(Arc<str>),
    /// A header has bytes outside ASCII.
    #[error("header {0} is not ASCII text")]
    NotText(Arc<str>),
    /// The id cannot be one.
    #[error(
        "header {0} holds no id of 1 to 256 visible ASCII characters (letters, digits, - and _ where it is signed)"
    )]
    MalformedId(Arc<str>),
    /// The time is missing, there twice, or no plain decimal number.
    #[error("the time of the signature is missing, there twice, or no whole number")]
    MalformedTime,
    /// More entries than any sender has keys for.
    #[error("header {0} has more entries than any sender has keys for")]
    TooManySignatures(Arc<str>),
    /// No well-formed signature.
    #[error("header {0} has no complete signature of the kind this source expects")]
    NoUsableSignature(Arc<str>),
    /// Signatures were compared and none is right.
    #[error(
        "no signature matches: the sender has another secret, or the body was changed on its way (verify the raw bytes)"
    )]
    WrongSignature,
    /// The header holds no token of this source.
    #[error("header {0} holds none of this source's tokens")]
    WrongToken(Arc<str>),
    /// Rightly signed, but too long ago.
    #[error(
        "signed {off_seconds} s ago, more than the {tolerance_seconds} s allowed: sent again by a stranger, delayed, or a clock is wrong"
    )]
    TooOld {
        /// Age of the signature.
        off_seconds: u64,
        /// What was allowed.
        tolerance_seconds: u64,
    },
    /// Rightly signed, but in the future.
    #[error(
        "signed {off_seconds} s in the future, more than the {tolerance_seconds} s allowed: the sender's clock or ours is wrong"
    )]
    TooNew {
        /// How far ahead the signature is.
        off_seconds: u64,
        /// What was allowed.
        tolerance_seconds: u64,
    },
}

impl Rejection {
    /// Whether the body was hashed to find it out.
    pub(crate) const fn has_hashed_the_body(&self) -> bool {
        use wire::Rejection as Standard;
        match self {
            Self::WrongSignature | Self::TooOld { .. } | Self::TooNew { .. } => true,
            Self::Standard(reason) => {
                matches!(reason, Standard::WrongSignature | Standard::TooOld { .. } | Standard::TooNew { .. })
            }
            Self::MissingHeader(_)
            | Self::RepeatedHeader(_)
            | Self::NotText(_)
            | Self::MalformedId(_)
            | Self::MalformedTime
            | Self::TooManySignatures(_)
            | Self::NoUsableSignature(_)
            | Self::WrongToken(_) => false,
        }
    }
}
