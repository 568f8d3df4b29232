//! Sources by id, remembered for a second: a request of the hot path reads none from the store. Unknown ids are
//! remembered, too, and get a decoy, so that they cost and take what known ones do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use receiver::{Preset, Scheme, Source};
use store::{SourceRecord, Store, StoreError, StoreResult};
use tokio::time::Instant;
use wire::{AccountId, SigningSecret, SourceId};

use super::telling::Telling;

/// A new key, or the end of one, holds after this time.
const REMEMBERED_FOR: Duration = Duration::from_secs(1);
/// Ids remembered at once. A stranger may make up any number; beyond this all are forgotten and read again.
const REMEMBERED_MAX: usize = 4_096;

/// What a request is verified against.
#[derive(Clone)]
pub(super) struct KnownSource {
    /// The decoy where the id is unknown or has no keys.
    pub(super) source: Arc<Source>,
    pub(super) standing: Standing,
}

/// How an id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Ready,
    /// Its owner has not given it a key yet.
    WithoutKeys(SourceId),
    Unknown,
}

pub(super) struct KnownSources {
    remembered: Mutex<HashMap<SourceId, Remembered>>,
    decoy: Arc<Source>,
}

struct Remembered {
    known: KnownSource,
    read_at: Instant,
    telling: Telling,
}

impl KnownSources {
    /// Knows nothing yet; the decoy's key is made of `chance`.
    pub(super) fn new(chance: [u8; 32]) -> KnownSources {
        let key = SigningSecret::from_random(chance).reveal();
        let decoy = Scheme::standard_webhooks([key.as_str()])
            .and_then(|scheme| Source::new(SourceId::from_bytes([0; 16]), AccountId::from_u32(0), "decoy", scheme));
        // The key has just been made in the form that is read here.
        let decoy = Arc::new(decoy.expect("a decoy of our own making"));
        KnownSources { remembered: Mutex::default(), decoy }
    }

    /// The source with this id, or the decoy.
    pub(super) async fn find(&self, store: &dyn Store, id: Option<SourceId>) -> StoreResult<KnownSource> {
        let Some(id) = id else { return Ok(self.decoy(Standing::Unknown)) };
        if let Some(known) = self.recall(id) {
            return Ok(known);
        }
        let known = match store.source(id).await? {
            None => self.decoy(Standing::Unknown),
            Some(record) if record.keys.is_empty() => self.decoy(Standing::WithoutKeys(id)),
            Some(record) => KnownSource { source: Arc::new(prepare(&record)?), standing: Standing::Ready },
        };
        self.remember(id, known.clone());
        Ok(known)
    }

    /// Whether a rejection at this source is to be logged, and how many were not since the last one that was.
    pub(super) fn may_tell(&self, id: SourceId) -> Option<u64> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get_mut(&id)?.telling.may_tell()
    }

    fn recall(&self, id: SourceId) -> Option<KnownSource> {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = remembered.get_mut(&id)?;
        let now = Instant::now();
        if now.duration_since(entry.read_at) >= REMEMBERED_FOR {
            // One request reads it again; the others go on with what is known.
            entry.read_at = now;
            return None;
        }
        Some(entry.known.clone())
    }

    fn remember(&self, id: SourceId, known: KnownSource) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        let telling = remembered.get(&id).map(|entry| entry.telling).unwrap_or_default();
        remembered.insert(id, Remembered { known, read_at: Instant::now(), telling });
    }

    fn decoy(&self, standing: Standing) -> KnownSource {
        KnownSource { source: self.decoy.clone(), standing }
    }
}

fn prepare(record: &SourceRecord) -> StoreResult<Source> {
    let preset: Preset = record.preset.parse().map_err(StoreError::broken)?;
    let scheme = Scheme::of_keys(preset, record.keys.iter().map(|key| key.as_str()));
    scheme.and_then(|scheme| Source::new(record.id, record.account, &record.name, scheme)).map_err(StoreError::broken)
}
