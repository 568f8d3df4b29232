//! The proof that an id can stand in the `webhook-id` header and in the signed content without ambiguity.

use crate::id::IdText;

/// The longest id: four times what any known sender uses, and it keeps the signed head on the stack.
pub(crate) const WEBHOOK_ID_BYTES_MAX: usize = 256;

/// The value of a `webhook-id` header: 1 to 256 visible ASCII characters without a dot.
///
/// A dot would let a forger move the border between id, timestamp and body, which are joined by dots when signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WebhookId<'a>(&'a str);

impl<'a> WebhookId<'a> {
    /// The id, if it may be signed.
    pub fn new(id: &'a str) -> Result<Self, WebhookIdError> {
        if id.is_empty() || id.len() > WEBHOOK_ID_BYTES_MAX {
            return Err(WebhookIdError::Length(id.len()));
        }
        if id.contains('.') {
            return Err(WebhookIdError::Dot);
        }
        if !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WebhookIdError::Character);
        }
        Ok(Self(id))
    }

    /// The text of the header.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl<'a> From<&'a IdText> for WebhookId<'a> {
    /// Our own ids are a prefix and base32, so they always qualify.
    fn from(id: &'a IdText) -> Self {
        Self(id.as_str())
    }
}

/// Why a text cannot be a `webhook-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookIdError {
    /// Empty or too long; holds the length in bytes.
    #[error("webhook-id has {0} bytes, it must have 1 to {WEBHOOK_ID_BYTES_MAX}")]
    Length(usize),
    /// Contains a dot.
    #[error("webhook-id contains a dot, which would make the signed content ambiguous")]
    Dot,
    /// Contains a space, a control character or something outside ASCII.
    #[error("webhook-id contains something else than visible ASCII characters")]
    Character,
}
