//! What a message is recognised by when it comes again: its id, or without one its content.
//!
//! Keys hold only within one source: two senders may use the same ids.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use crate::KeptHeaders;
use crate::reading::{Reading, read_whole};

mod canonical_json;
mod meaning;

#[cfg(test)]
mod tests;

/// Ids up to here are kept as they are, so that a person can search for them. Nearly all are shorter than 40.
const RAW_ID_BYTES_MAX: usize = 64;
const KEY_BYTES_MAX: usize = 1 + RAW_ID_BYTES_MAX;

/// The first byte of a key, so that a key of one kind never equals one of another. Stored: never change one.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Tag {
    Id = b'i',
    HashOfId = b'h',
    HashOfJson = b'j',
    HashOfBody = b'b',
    HashOfMeaning = b'm',
}

/// What a message is recognised by, and where a store looks for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Of two messages of one source with one key the later is a repetition, if it finds the earlier in its slot.
    pub key: DedupeKey,
    /// Holds the newest message that fell into it. Messages of one subject share one, so that a state which was left
    /// and comes back is news.
    pub slot: u64,
}

/// Decides what a message is recognised by. With an id of its sender's the body is not looked at. Without one a webinar
/// payload is recognised by what it says, however it is written, and anything else by its content. `event` is the one
/// of the source's settings.
#[must_use]
pub fn identify(message_id: Option<&str>, headers: &KeptHeaders, body: &[u8], event: Option<&str>) -> Identity {
    if let Some(id) = message_id {
        let key = DedupeKey::of_message_id(id);
        return Identity { slot: key.slot(), key };
    }
    let (reading, is_whole) = read_whole(headers, body, event);
    let key = match &reading {
        Reading::Webinar(webinar) if is_whole => DedupeKey::new(Tag::HashOfMeaning, &meaning::hash(webinar)),
        // What could not be read may be all that changed, so then the letter counts.
        Reading::Webinar(_) | Reading::Other(_) => DedupeKey::of_content(body),
    };
    Identity { slot: reading.subject().map_or_else(|| key.slot(), |subject| subject.0), key }
}

/// What a message is recognised by within its source: 1 to 65 bytes, the first telling the kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DedupeKey {
    bytes: [u8; KEY_BYTES_MAX],
    len: u8,
}

impl DedupeKey {
    /// For a message with an id of its sender's: the id, or its SHA-256 if it is longer than 64 bytes.
    #[must_use]
    pub fn of_message_id(id: &str) -> Self {
        if id.len() <= RAW_ID_BYTES_MAX {
            Self::new(Tag::Id, id.as_bytes())
        } else {
            Self::new(Tag::HashOfId, &sha256(id.as_bytes()))
        }
    }

    /// For a message without an id: the SHA-256 of its body, for JSON without regard to the order of members and to
    /// insignificant space, which some senders change between attempts.
    #[must_use]
    pub fn of_content(body: &[u8]) -> Self {
        match canonical_json::canonical(body) {
            Some(json) => Self::new(Tag::HashOfJson, &sha256(&json)),
            None => Self::new(Tag::HashOfBody, &sha256(body)),
        }
    }

    /// Where a store looks for a message of this key: a hash of it. Of an id the last two characters stand as they are in
    /// the last 16 bits, since many senders count there: ids that follow each other are neighbours on the disk.
    #[must_use]
    pub fn slot(&self) -> u64 {
        match self.as_bytes() {
            [tag, start @ .., last_but_one, last] if *tag == Tag::Id as u8 => {
                let end = u64::from(u16::from_be_bytes([*last_but_one, *last]));
                first_of_hash(start) & !0xffff | end
            }
            other => first_of_hash(other),
        }
    }

    /// The key as stores keep it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn new(tag: Tag, value: &[u8]) -> Self {
        let mut bytes = [0; KEY_BYTES_MAX];
        bytes[0] = tag as u8;
        bytes[1..=value.len()].copy_from_slice(value);
        Self { bytes, len: value.len() as u8 + 1 }
    }
}

impl std::fmt::Debug for DedupeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DedupeKey({})", self.as_bytes().escape_ascii())
    }
}

/// The first half of the SHA-256 of a body as it came. A repetition under the same key with another digest is worth
/// a flag: the sender changed the body between attempts, or used an id twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDigest([u8; 16]);

impl ContentDigest {
    /// The digest of this body.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&sha256(body)[..16]);
        Self(half)
    }

    /// A digest back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The digest as stores keep it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn first_of_hash(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&sha256(bytes)[..8]);
    u64::from_be_bytes(first)
}

fn sha256(bytes: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}
