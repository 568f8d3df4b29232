//! Sources by id, remembered for a second: a request of the hot path reads none from the store. Unknown ids are
//! remembered, too, and get a decoy, so that they cost and take what known ones do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use receiver::{Scheme, Source};
use store::{SourceRecord, Store, StoreError, StoreResult};
use tokio::time::Instant;
use wire::{AccountId, SigningSecret, SourceId};

/// A new key, or the end of one, holds after this time.
const REMEMBERED_FOR: Duration = Duration::from_secs(1);
/// Ids remembered at once. A stranger may make up any number; beyond this all are forgotten and read again.
const REMEMBERED_MAX: usize = 4_096;

/// What a request is verified against.
#[derive(Clone)]
pub(super) struct KnownSource {
    pub(super) source: Arc<Source>,
    /// False for the decoy.
    pub(super) is_real: bool,
}

pub(super) struct KnownSources {
    remembered: Mutex<HashMap<SourceId, Remembered>>,
    decoy: Arc<Source>,
}

struct Remembered {
    /// None for an id that is unknown.
    source: Option<Arc<Source>>,
    read_at: Instant,
    /// Whether a rejection has been logged since it was read.
    is_told: bool,
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
        let Some(id) = id else { return Ok(self.known(None)) };
        if let Some(known) = self.recall(id) {
            return Ok(known);
        }
        let source = match store.source(id).await? {
            Some(record) => Some(Arc::new(prepare(&record)?)),
            None => None,
        };
        self.remember(id, source.clone());
        Ok(self.known(source))
    }

    /// Whether a rejection at this source is to be logged: one a second tells its owner enough, and a stranger
    /// cannot fill the disk.
    pub(super) fn may_tell(&self, id: SourceId) -> bool {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get_mut(&id).is_some_and(|entry| !std::mem::replace(&mut entry.is_told, true))
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
        Some(self.known(entry.source.clone()))
    }

    fn remember(&self, id: SourceId, source: Option<Arc<Source>>) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(id, Remembered { source, read_at: Instant::now(), is_told: false });
    }

    fn known(&self, source: Option<Arc<Source>>) -> KnownSource {
        match source {
            Some(source) => KnownSource { source, is_real: true },
            None => KnownSource { source: self.decoy.clone(), is_real: false },
        }
    }
}

fn prepare(record: &SourceRecord) -> StoreResult<Source> {
    let scheme = Scheme::standard_webhooks(record.keys.iter().map(String::as_str));
    scheme.and_then(|scheme| Source::new(record.id, record.account, &record.name, scheme)).map_err(StoreError::broken)
}
