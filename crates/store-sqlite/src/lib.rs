//! The store in one SQLite file: WAL, `synchronous=FULL`, one writer thread with group commit. SQL lives here, decisions
//! do not. File names and migration numbers are the same as in the PostgreSQL store.

mod accounts;
mod agendas;
mod announce;
mod arrivals;
mod audience;
mod audit;
mod backlog;
mod backup;
mod catalog;
mod columns;
mod copying;
mod dedupe;
mod due;
mod erasures;
mod failures;
mod inbox;
mod journal;
mod lanes;
mod migrate;
mod nodes;
mod notices;
mod open;
mod readers;
mod replays;
mod roster;
mod rules;
mod runs;
mod sealing;
mod secrets;
mod settle;
mod subscriptions;
mod upkeep;
mod writer;

use std::path::Path;
use std::sync::Arc;

use nix::sys::statvfs::statvfs;
use rusqlite::Connection;
use store::{DedupeWindow, StoreError, StoreResult, Vault};
use tokio::sync::Mutex;
use webinar::Zones;

pub use backup::{BackupError, back_up};
pub use copying::{CopyFromSqlite, CopyToSqlite, SCHEMA};
pub use open::{OpenError, ServerLock, flush_late_for_a_test};
pub use sealing::sealing_keys;
pub use writer::CommitStats;

use readers::Readers;
use writer::Writer;

/// Bytes that must be left for a server to count as ready: the log of a busy second.
const SPACE_MIN: u64 = 8 * 1024 * 1024;

/// A database file, open. Cheap to clone; the writer thread ends with the last clone.
#[derive(Clone)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
    zones: Zones,
    /// Seals and opens the secrets in the file.
    vault: Vault,
    /// Held while an audience is counted.
    counting: Arc<Mutex<()>>,
    window: DedupeWindow,
}

impl SqliteStore {
    /// Opens `path`, creating and migrating it where needed. Any number of processes may; only one may serve
    /// (see [`ServerLock`]).
    pub fn open(path: &Path, zones: Zones, vault: Vault) -> Result<SqliteStore, OpenError> {
        SqliteStore::on(open::writable(path, None)?, path, zones, vault)
    }

    /// Opens `path` to serve from it. Leases of a server that died are void, since the lock proves that it has. From now
    /// on secrets may be sealed with the vault's first key.
    pub fn open_as_server(path: &Path, zones: Zones, vault: Vault) -> Result<(SqliteStore, ServerLock), OpenError> {
        let lock = ServerLock::take(path)?;
        let connection = open::writable(path, Some(&lock))?;
        open::renew_log(&connection, path)?;
        sealing::check_keys(&connection, &vault, path)?;
        due::void_leases(&connection).map_err(|source| open::told(path, source))?;
        sealing::introduce(&connection, vault.key_in_use()).map_err(|source| open::told(path, source))?;
        Ok((SqliteStore::on(connection, path, zones, vault)?, lock))
    }

    /// Opens `path` to look into it: creates and migrates nothing, and refuses every write. A key that is not given is
    /// missed only where a secret is read.
    pub fn open_to_read(path: &Path, zones: Zones, vault: Vault) -> Result<SqliteStore, OpenError> {
        open::readable_as_is(path)?;
        let (writer, readers) = (Writer::refusing(), Readers::new(path));
        Ok(SqliteStore { writer, readers, zones, vault, counting: Arc::default(), window: DedupeWindow::default() })
    }

    /// The same store that recognises repetitions for so long.
    #[must_use]
    pub fn with_dedupe_window(self, window: DedupeWindow) -> SqliteStore {
        SqliteStore { window, ..self }
    }

    fn on(connection: Connection, path: &Path, zones: Zones, vault: Vault) -> Result<SqliteStore, OpenError> {
        sealing::check_keys(&connection, &vault, path)?;
        let (writer, readers) = (Writer::start(connection)?, Readers::new(path));
        Ok(SqliteStore { writer, readers, zones, vault, counting: Arc::default(), window: DedupeWindow::default() })
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

    /// Rewrites the file, so that it is as short as what it holds; its bytes before and after. Writes wait meanwhile, so
    /// nobody else should be using it.
    pub async fn compact(&self) -> StoreResult<(u64, u64)> {
        let size = |connection: &Connection| {
            let sql = "select page_count * page_size from pragma_page_count, pragma_page_size";
            Ok(columns::find(connection, sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0).unsigned_abs())
        };
        let before = self.readers.read(size).await?;
        self.writer.rewrite().await?;
        Ok((before, self.readers.read(size).await?))
    }

    /// Whether the disk has refused or failed any write lately; asks nothing of it.
    pub fn check_standing(&self) -> StoreResult<()> {
        self.writer.check()
    }

    /// Proves that the store takes writes now, by one that reaches the disk: it is neither full nor failing, and no
    /// other process holds the file.
    pub async fn check_writable(&self) -> StoreResult<()> {
        self.check_standing()?;
        self.writer.write(rewrite_header).await
    }

    /// Whether the file system has space for what may come. A small write finds room on a disk that is as good as full.
    pub fn check_space(&self) -> StoreResult<()> {
        let of_disk = statvfs(self.readers.path()).map_err(|error| StoreError::broken(std::io::Error::from(error)))?;
        let left = of_disk.blocks_available() as u64 * of_disk.fragment_size() as u64;
        if left >= SPACE_MIN {
            return Ok(());
        }
        Err(StoreError::Unwritable(format!("the disk is full but for {} KiB", left / 1024)))
    }

    /// Completes, with the reason, once the disk has failed at a commit. What is acknowledged is safe, and nothing more
    /// is taken: end the process, and let a new one read what is there.
    pub async fn failed(&self) -> String {
        self.writer.stopped().await
    }
}

/// The smallest write there is: the schema's number again, into the file's first page.
fn rewrite_header(connection: &Connection) -> StoreResult<()> {
    let version: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(columns::broken)?;
    connection.pragma_update(None, "user_version", version).map_err(columns::broken)
}

#[cfg(test)]
mod tests;
