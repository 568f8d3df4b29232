//! A raw request becomes a [`Verified`] message or is rejected; nothing else can make one, so the inbox holds
//! nothing else. Runs for each request that reaches a source: two hashes of the body and two small allocations.

use bytes::Bytes;
use jiff::Timestamp;
use wire::{AccountId, KeyRing, Match, Rejection, SignedHeaders, SourceId};

use crate::dedupe::{ContentDigest, DedupeKey, Identity, identify};
use crate::kept_headers::KeptHeaders;
use crate::source::{Scheme, Source};

#[cfg(test)]
mod tests;

/// A request as it came. By value, because it is judged once.
///
/// `headers` are pairs of name and value; with the `http` crate
/// `map.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))`, which allocates nothing.
#[derive(Debug, Clone)]
pub struct RawRequest<H> {
    /// All headers, read once and in order.
    pub headers: H,
    /// The body exactly as it came, already within the size limit.
    pub body: Bytes,
}

/// A webhook that is from the sender it claims to be from, unchanged and fresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    source: SourceId,
    account: AccountId,
    received_at: Timestamp,
    message_id: Option<String>,
    dedupe_key: DedupeKey,
    dedupe_slot: u64,
    content_digest: ContentDigest,
    matched: Match,
    headers: KeptHeaders,
    body: Bytes,
}

/// Decides whether a request to this source is believed at `now`.
///
/// Whatever the rejection, the sender is told the same; the text is for the log of the source's owner.
pub fn verify<'n, 'v, H>(source: &Source, request: RawRequest<H>, now: Timestamp) -> Result<Verified, Rejection>
where
    H: IntoIterator<Item = (&'n str, &'v [u8])>,
{
    match source.scheme() {
        Scheme::StandardWebhooks(keys) => verify_standard(source, keys, request, now),
    }
}

fn verify_standard<'n, 'v, H>(
    source: &Source,
    keys: &KeyRing,
    request: RawRequest<H>,
    now: Timestamp,
) -> Result<Verified, Rejection>
where
    H: IntoIterator<Item = (&'n str, &'v [u8])>,
{
    let mut headers = KeptHeaders::default();
    let seen = request.headers.into_iter().inspect(|(name, value)| headers.offer(name, value));
    let signed = SignedHeaders::find_in(seen)?;
    let matched = keys.verify(&signed, &request.body, now.as_second())?;
    let message_id = signed.id().as_str();
    let Identity { key, slot } = identify(Some(message_id), &headers, &request.body, None);
    Ok(Verified {
        source: source.id(),
        account: source.account(),
        received_at: now,
        message_id: Some(message_id.to_owned()),
        dedupe_key: key,
        dedupe_slot: slot,
        content_digest: ContentDigest::of(&request.body),
        matched,
        headers,
        body: request.body,
    })
}

impl Verified {
    /// The source it came to.
    #[must_use]
    pub const fn source(&self) -> SourceId {
        self.source
    }

    /// The owner of that source.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// When it came.
    #[must_use]
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// The sender's id of the message, if its scheme has one.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }

    /// What a repetition of it is recognised by, within its source.
    #[must_use]
    pub const fn dedupe_key(&self) -> &DedupeKey {
        &self.dedupe_key
    }

    /// Where a repetition of it is looked for, within its source: the newest message of a slot is compared by its key.
    /// One with another key is no repetition and takes the slot over, so that a state that was left and comes back is
    /// news.
    #[must_use]
    pub const fn dedupe_slot(&self) -> u64 {
        self.dedupe_slot
    }

    /// What tells a repetition from another body under the same key.
    #[must_use]
    pub const fn content_digest(&self) -> ContentDigest {
        self.content_digest
    }

    /// Which of the source's keys verified it.
    #[must_use]
    pub const fn matched(&self) -> Match {
        self.matched
    }

    /// The headers kept for showing and searching; they are not signed.
    #[must_use]
    pub const fn headers(&self) -> &KeptHeaders {
        &self.headers
    }

    /// The body exactly as it came; a clone shares the bytes.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }
}
