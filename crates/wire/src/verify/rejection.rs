//! Why a webhook was not believed, in words for the person who must mend it.

use super::SIGNATURES_MAX;
use crate::webhook_id::WebhookIdError;

/// Why a webhook was not believed. The text is for your log, not for the sender: answer every one alike with 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A header the signature needs is not there.
    #[error("header {0} is missing: the sender does not sign by standard webhooks, or a proxy removed it")]
    MissingHeader(&'static str),
    /// A header is there twice, and nothing says which one was signed.
    #[error("header {0} occurs more than once")]
    RepeatedHeader(&'static str),
    /// A header has bytes outside ASCII.
    #[error("header {0} is not ASCII text")]
    NotText(&'static str),
    /// The id cannot be what a sender signs.
    #[error(transparent)]
    MalformedId(WebhookIdError),
    /// The time is no plain decimal number.
    #[error("webhook-timestamp is not a whole number of unix seconds")]
    MalformedTimestamp,
    /// More entries than any sender has keys for.
    #[error("webhook-signature has more than {SIGNATURES_MAX} entries")]
    TooManySignatures,
    /// No well-formed entry of a scheme for which there is a key here.
    #[error(
        "webhook-signature has no complete signature of a scheme with a key here: `v1` needs a `whsec_` key, `v1a` a `whpk_` key"
    )]
    NoUsableSignature,
    /// Signatures were compared and none is right.
    #[error(
        "no signature matches: the sender has another secret, or the body was changed on its way (verify the raw bytes)"
    )]
    WrongSignature,
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
