//! A raw request becomes a [`Verified`] message or is rejected; nothing else can make one, so the inbox holds
//! nothing else. Runs for each request that reaches a source: two hashes of the body and two small allocations.

use bytes::Bytes;
use jiff::Timestamp;
use wire::{AccountId, SourceId};

use crate::dedupe::{ContentDigest, DedupeKey, Identity, identify};
use crate::kept_headers::{Gathering, KeptHeaders};
use crate::scheme::Rejection;
use crate::source::Source;

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
    matched: Option<usize>,
    headers: KeptHeaders,
    body: Bytes,
}

/// Decides whether a request to this source is believed at `now`.
///
/// Whatever the rejection, the sender is told the same, and it costs a hash of the body; the text is for the log of the
/// source's owner.
pub fn verify<'n, 'v, H>(source: &Source, request: RawRequest<H>, now: Timestamp) -> Result<Verified, Rejection>
where
    H: IntoIterator<Item = (&'n str, &'v [u8])>,
{
    let RawRequest { headers, body } = request;
    let mut gathering = Gathering::new();
    let seen = headers.into_iter().inspect(|(name, value)| gathering.offer(name, value));
    let proof = source.scheme().check(seen, &body, now).inspect_err(|rejection| {
        // A source that is unknown, one that lacks a header and one with a wrong signature take the same time.
        if !rejection.has_hashed_the_body() {
            std::hint::black_box(ContentDigest::of(&body));
        }
    })?;
    let headers = gathering.finish(source.scheme().secret_header());
    let Identity { key, slot } = identify(proof.message_id.as_deref(), &headers, &body, source.event());
    Ok(Verified {
        source: source.id(),
        account: source.account(),
        received_at: now,
        message_id: proof.message_id,
        dedupe_key: key,
        dedupe_slot: slot,
        content_digest: ContentDigest::of(&body),
        matched: proof.key_index,
        headers,
        body,
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

    /// Which of the source's keys verified it, from 0; `None` where its path alone did.
    #[must_use]
    pub const fn matched(&self) -> Option<usize> {
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
