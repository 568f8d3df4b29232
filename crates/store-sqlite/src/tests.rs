//! Tests of the store: the contract every store owes, and what is SQLite's own.

mod contract;
mod copying;
mod damage;
mod deduping;
mod erasing;
mod opening;
mod plans;
mod sealing;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use store::{Chance, SealingKey, Vault};
use store_spec::World;
use tempfile::TempDir;
use webinar::Zones;

use crate::SqliteStore;

/// A database in a directory of its own, which goes with it.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn new() -> Disk {
        Disk { directory: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("fanfare.db")
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), Zones::bundled(), vault(&[1])).unwrap()
    }

    fn world(&self) -> World<SqliteStore> {
        World::new(self.open())
    }

    /// A connection of somebody else's.
    fn other(&self) -> Connection {
        other(&self.path())
    }
}

/// A vault of these keys, the first in use.
pub(crate) fn vault(keys: &[u8]) -> Vault {
    let keys = keys.iter().map(|number| SealingKey::from_bytes([*number; 32]));
    Vault::new(keys, Arc::new(Counter::default())).unwrap()
}

/// Counts up: no nonce comes twice.
#[derive(Default)]
struct Counter(AtomicU64);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().zip(count.into_iter().cycle()).for_each(|(byte, count)| *byte = count);
    }
}

fn other(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

fn log_bytes(disk: &Disk) -> u64 {
    std::fs::metadata(disk.path().with_extension("db-wal")).map_or(0, |file| file.len())
}
