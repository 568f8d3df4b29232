//! The three headers a signature needs, found among all others and parsed once.

use super::Rejection;
use crate::headers::{WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use crate::webhook_id::WebhookId;

/// The `webhook-*` headers of one request: each there once and well formed. Not yet verified.
#[derive(Debug, Clone, Copy)]
pub struct SignedHeaders<'a> {
    id: WebhookId<'a>,
    timestamp: i64,
    signature: &'a str,
}

impl<'a> SignedHeaders<'a> {
    /// The three values as they came.
    pub fn new(id: &'a str, timestamp: &str, signature: &'a str) -> Result<Self, Rejection> {
        Ok(Self {
            id: WebhookId::new(id).map_err(Rejection::MalformedId)?,
            timestamp: parse_timestamp(timestamp).ok_or(Rejection::MalformedTimestamp)?,
            signature,
        })
    }

    /// Finds them among all headers of a request, whatever the case of the names.
    ///
    /// With the `http` crate: `request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()))`.
    pub fn find_in<'n>(headers: impl IntoIterator<Item = (&'n str, &'a [u8])>) -> Result<Self, Rejection> {
        let mut id = Wanted::new(WEBHOOK_ID);
        let mut timestamp = Wanted::new(WEBHOOK_TIMESTAMP);
        let mut signature = Wanted::new(WEBHOOK_SIGNATURE);
        for (name, value) in headers {
            for wanted in [&mut id, &mut timestamp, &mut signature] {
                wanted.offer(name, value)?;
            }
        }
        Self::new(id.text()?, timestamp.text()?, signature.text()?)
    }

    /// The identity of the message, the same on every attempt; recognise duplicates by it once it is verified.
    #[must_use]
    pub const fn id(&self) -> WebhookId<'a> {
        self.id
    }

    /// When the attempt was signed, in unix seconds; never negative.
    #[must_use]
    pub const fn timestamp(&self) -> i64 {
        self.timestamp
    }

    pub(super) const fn signature(&self) -> &'a str {
        self.signature
    }
}

struct Wanted<'a> {
    name: &'static str,
    value: Option<&'a [u8]>,
}

impl<'a> Wanted<'a> {
    const fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn offer(&mut self, name: &str, value: &'a [u8]) -> Result<(), Rejection> {
        if name.eq_ignore_ascii_case(self.name) && self.value.replace(value).is_some() {
            return Err(Rejection::RepeatedHeader(self.name));
        }
        Ok(())
    }

    fn text(&self) -> Result<&'a str, Rejection> {
        let value = self.value.ok_or(Rejection::MissingHeader(self.name))?;
        let ascii = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
        ascii.ok_or(Rejection::NotText(self.name))
    }
}

/// Only the one form a sender writes, because the signed content holds this number in just that form.
fn parse_timestamp(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    plain.then(|| text.parse().ok())?
}
