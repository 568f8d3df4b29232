//! Keys that have opened, remembered by the hash of their whole text: a request with one of them reads nothing from
//! the store, and neither a guess nor a stranger's key ever meets what is remembered of another.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use store::KeyRecord;
use tokio::time::Instant;

/// How long a key is believed before it is read again: after a change in another process, such as a revocation by the
/// command line, it holds for at most this long. A change in this process holds at once.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(1);
/// Keys remembered at once; only good ones get here. Beyond it all are forgotten and read again.
const REMEMBERED_MAX: usize = 4_096;
/// The last use is kept to this: one write for each key in this time.
pub(super) const USE_KEPT_EVERY: Duration = Duration::from_secs(3_600);

/// SHA-256 of a key's text.
pub(super) type KeyHash = [u8; 32];

/// What is known of a key.
pub(super) enum Recalled {
    /// It opened a moment ago.
    Fresh(KeyRecord),
    /// It has opened since this process started, and is to be read again.
    Stale,
    Unknown,
}

/// A moment in the memory's life: what was read before a later `forget` is not to be believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation(u64);

#[derive(Default)]
pub(super) struct KnownKeys {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    by_hash: HashMap<KeyHash, Remembered>,
    generation: u64,
}

struct Remembered {
    record: KeyRecord,
    read_at: Instant,
}

impl KnownKeys {
    /// What is known of the key, and when that was.
    pub(super) fn recall(&self, hash: &KeyHash, now: Instant) -> (Recalled, Generation) {
        let mut memory = self.memory();
        let generation = Generation(memory.generation);
        let recalled = match memory.by_hash.get_mut(hash) {
            None => Recalled::Unknown,
            Some(known) if now.duration_since(known.read_at) < REMEMBERED_FOR => Recalled::Fresh(known.record.clone()),
            Some(known) => {
                // One request reads it again; the others go on with what is known.
                known.read_at = now;
                Recalled::Stale
            }
        };
        (recalled, generation)
    }

    /// Remembers a key that was read at `generation`, unless some have been forgotten since.
    pub(super) fn remember(&self, hash: KeyHash, record: KeyRecord, generation: Generation, now: Instant) {
        let mut memory = self.memory();
        if Generation(memory.generation) != generation {
            return;
        }
        if memory.by_hash.len() >= REMEMBERED_MAX && !memory.by_hash.contains_key(&hash) {
            memory.by_hash.clear();
        }
        memory.by_hash.insert(hash, Remembered { record, read_at: now });
    }

    /// Whether this use of a key is to be kept; true once in a while for each.
    pub(super) fn is_use_to_be_kept(&self, hash: &KeyHash, now: Timestamp) -> bool {
        let mut memory = self.memory();
        let Some(known) = memory.by_hash.get_mut(hash) else { return false };
        let is_recent = |last: Timestamp| now.duration_since(last) < USE_KEPT_EVERY.try_into().unwrap_or_default();
        if known.record.last_used_at.is_some_and(is_recent) {
            return false;
        }
        known.record.last_used_at = Some(now);
        true
    }

    /// Forgets one that does not open any more.
    pub(super) fn forget_hash(&self, hash: &KeyHash) {
        self.memory().by_hash.remove(hash);
    }

    /// Forgets a key whose record has been changed, and whatever is just being read.
    pub(super) fn forget(&self, public_id: &str) {
        let mut memory = self.memory();
        memory.generation += 1;
        memory.by_hash.retain(|_, known| known.record.key.public_id != public_id);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
