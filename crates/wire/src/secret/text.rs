//! Reading the text forms of keys, and saying what is wrong with one without repeating any of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_PAD_INDIFFERENT;
use zeroize::Zeroizing;

/// The longest key: a symmetric one of 64 bytes, or a seed with its public half.
pub(super) const KEY_BYTES_MAX: usize = 64;
const KEY_DIGITS_MAX: usize = KEY_BYTES_MAX.div_ceil(3) * 4;

/// A text or bytes that are no key of the kind asked for. The message says what was expected and what is wrong,
/// and holds nothing of the text, so it may be logged and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expected}; {problem}")]
pub struct ParseSecretError {
    expected: &'static str,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("this one is empty")]
    Empty,
    #[error("this one has no such prefix")]
    NoPrefix,
    #[error("this one is {0}")]
    OtherKind(&'static str),
    #[error("this one is not base64 of the standard alphabet")]
    NotBase64,
    #[error("this one holds {0} bytes")]
    Length(usize),
    #[error("this one has more than {KEY_DIGITS_MAX} characters after the prefix")]
    TooLong,
    #[error("the public half of this one does not belong to its seed")]
    HalvesDiffer,
}

/// What one kind of key looks like.
pub(super) struct KeyForm {
    pub(super) prefix: &'static str,
    pub(super) expected: &'static str,
}

pub(super) const SENDER_KEY: KeyForm =
    KeyForm { prefix: "", expected: "a sender's secret is `whsec_` (shared) or `whsk_` (private) and base64" };
pub(super) const VERIFICATION_KEY: KeyForm =
    KeyForm { prefix: "", expected: "a receiver's key is `whsec_` (shared secret) or `whpk_` (public key) and base64" };

impl KeyForm {
    /// The bytes of a key in its text form; their number is the caller's to check.
    pub(super) fn decode(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, ParseSecretError> {
        let digits = text.strip_prefix(self.prefix).ok_or_else(|| self.refuse_prefix(text))?;
        if digits.is_empty() {
            return Err(self.refuse(Problem::Empty));
        }
        if digits.len() > KEY_DIGITS_MAX {
            return Err(self.refuse(Problem::TooLong));
        }
        // Some senders leave the padding away, and it carries no key.
        let bytes = STANDARD_PAD_INDIFFERENT.decode(digits);
        bytes.map(Zeroizing::new).map_err(|_| self.refuse(Problem::NotBase64))
    }

    pub(super) fn encode(&self, bytes: &[u8]) -> Zeroizing<String> {
        // Written into its final size, so that no shorter copy of a secret is left behind by growth.
        let mut text = Zeroizing::new(String::with_capacity(self.prefix.len() + KEY_DIGITS_MAX));
        text.push_str(self.prefix);
        base64::engine::general_purpose::STANDARD.encode_string(bytes, &mut text);
        text
    }

    pub(super) fn refuse_prefix(&self, text: &str) -> ParseSecretError {
        let kinds = [
            ("whsec_", "a shared signing secret"),
            ("whsk_", "a private key, which only the sender has"),
            ("whpk_", "a public key, which cannot sign"),
        ];
        let other = kinds.iter().find(|(prefix, _)| text.starts_with(prefix));
        self.refuse(match other {
            _ if text.is_empty() => Problem::Empty,
            Some((_, kind)) => Problem::OtherKind(kind),
            None => Problem::NoPrefix,
        })
    }

    pub(super) fn refuse_length(&self, bytes: usize) -> ParseSecretError {
        self.refuse(Problem::Length(bytes))
    }

    pub(super) fn refuse_halves(&self) -> ParseSecretError {
        self.refuse(Problem::HalvesDiffer)
    }

    fn refuse(&self, problem: Problem) -> ParseSecretError {
        ParseSecretError { expected: self.expected, problem }
    }
}
