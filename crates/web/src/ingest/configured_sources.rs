//! Sources of the settings file by their path: read once, at the start, so that a request finds its own without the store
//! and without a lock.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use receiver::Source;

use super::pace::Pace;
use super::telling::Telling;

/// The sources of the settings file, none by default. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredSources {
    by_path: Arc<HashMap<String, ConfiguredSource>>,
}

/// A source with what is known of its last requests.
#[derive(Debug)]
pub(super) struct ConfiguredSource {
    pub(super) source: Source,
    pace: Option<Pace>,
    telling: Mutex<Telling>,
}

/// Two sources would be reached at one path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source {one:?} and source {other:?} have one path; give one of them another")]
pub struct SamePath {
    /// The name of one.
    pub one: String,
    /// The name of the other.
    pub other: String,
}

impl ConfiguredSources {
    /// These sources, each at a path of its own.
    pub fn new(sources: impl IntoIterator<Item = Source>) -> Result<ConfiguredSources, SamePath> {
        let mut by_path = HashMap::new();
        for source in sources {
            match by_path.entry(source.path().as_str().to_owned()) {
                Entry::Vacant(place) => place.insert(ConfiguredSource::new(source)),
                Entry::Occupied(taken) => {
                    let one: &ConfiguredSource = taken.get();
                    return Err(SamePath { one: one.source.name().to_owned(), other: source.name().to_owned() });
                }
            };
        }
        Ok(ConfiguredSources { by_path: Arc::new(by_path) })
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.by_path.values().map(|configured| &configured.source)
    }

    pub(super) fn at(&self, path: &str) -> Option<&ConfiguredSource> {
        self.by_path.get(path)
    }
}

impl ConfiguredSource {
    fn new(source: Source) -> ConfiguredSource {
        ConfiguredSource { pace: source.rate().map(Pace::new), source, telling: Mutex::default() }
    }

    /// Whether one more webhook is within the source's rate; else how long until one is.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        self.pace.as_ref().map_or(Ok(()), Pace::admit)
    }

    /// Whether a rejection is to be logged, and how many were not since the last one that was.
    pub(super) fn may_tell(&self) -> Option<u64> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner).may_tell()
    }
}
