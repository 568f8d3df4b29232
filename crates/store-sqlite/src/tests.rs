//! Tests of the store: the contract every store owes, and what is SQLite's own.

mod contract;
mod damage;
mod erasing;
mod opening;
mod plans;
mod writing;

use std::path::{Path, PathBuf};

use rusqlite::Connection;
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
        SqliteStore::open(&self.path(), Zones::bundled()).unwrap()
    }

    fn world(&self) -> World<SqliteStore> {
        World::new(self.open())
    }

    /// A connection of somebody else's.
    fn other(&self) -> Connection {
        other(&self.path())
    }
}

fn other(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

fn log_bytes(disk: &Disk) -> u64 {
    std::fs::metadata(disk.path().with_extension("db-wal")).map_or(0, |file| file.len())
}
