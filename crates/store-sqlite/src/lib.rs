//! The store in one SQLite file: WAL, `synchronous=FULL`, one writer thread with group commit. SQL lives here, decisions
//! do not. File names and migration numbers are the same as in the PostgreSQL store.

mod accounts;
mod announce;
mod audience;
mod backlog;
mod catalog;
mod columns;
mod due;
mod inbox;
mod journal;
mod lanes;
mod migrate;
mod notices;
mod open;
mod readers;
mod roster;
mod rules;
mod settle;
mod subscriptions;
mod writer;

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use store::StoreResult;
use tokio::sync::Mutex;
use webinar::Zones;

pub use open::{OpenError, ServerLock};
pub use writer::CommitStats;

use readers::Readers;
use writer::Writer;

/// A database file, open. Cheap to clone; the writer thread ends with the last clone.
#[derive(Clone)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    zones: Zones,
    /// Held while an audience is counted.
    counting: Arc<Mutex<()>>,
}

impl SqliteStore {
    /// Opens `path`, creating and migrating it where needed. Any number of processes may; only one may serve
    /// (see [`ServerLock`]).
    pub fn open(path: &Path, zones: Zones) -> Result<SqliteStore, OpenError> {
        SqliteStore::on(open::writable(path)?, path, zones)
    }

    /// Opens `path` to serve from it. Leases of a server that died are void, since the lock proves that it has.
    pub fn open_as_server(path: &Path, zones: Zones) -> Result<(SqliteStore, ServerLock), OpenError> {
        let lock = ServerLock::take(path)?;
        let connection = open::writable(path)?;
        due::void_leases(&connection).map_err(|source| open::told(path, source))?;
        Ok((SqliteStore::on(connection, path, zones)?, lock))
    }

    fn on(connection: Connection, path: &Path, zones: Zones) -> Result<SqliteStore, OpenError> {
        let (writer, readers) = (Writer::start(connection)?, Readers::new(path));
        Ok(SqliteStore { writer, readers, zones, counting: Arc::default() })
    }

    /// How often and how long the writer has committed.
    pub fn commit_stats(&self) -> CommitStats {
        self.writer.stats()
    }

    /// Moves the whole write-ahead log into the file and empties it. `Busy` where somebody reads for so long that it
    /// would hold up writes; ask again.
    pub async fn checkpoint(&self) -> StoreResult<()> {
        self.writer.checkpoint().await
    }

    /// Proves that the writer takes writes now: neither stopped by an I/O error nor locked out by another process.
    pub async fn check_writable(&self) -> StoreResult<()> {
        let nobody = "update account set name = name where account = -1";
        self.writer.write(move |connection| columns::run(connection, nobody, [])).await
    }
}

#[cfg(test)]
mod tests;
