//! The store in PostgreSQL, for any number of nodes. Each call is one transaction; what comes in floods (outcomes of lanes,
//! messages of the inbox) is gathered and written many at a time. SQL lives here, decisions do not. File names and migration
//! numbers are the same as in the SQLite store.
//!
//! Locks are taken in one order, so that no two transactions wait for each other: the account's row, then rows of lanes or
//! handlers in the order of their keys, then anything else. Whatever reads and then writes by what it has read holds the
//! first of these that covers it.

mod accounts;
mod agendas;
mod announce;
mod arrivals;
mod audience;
mod audit;
mod backlog;
mod catalog;
mod columns;
mod copying;
mod dedupe;
mod due;
mod erasures;
mod failures;
mod gather;
mod hints;
mod inbox;
mod journal;
mod lanes;
mod migrate;
mod nodes;
mod notices;
mod open;
mod outcome;
mod partitions;
mod replays;
mod replication;
mod roster;
mod rules;
mod runs;
mod scratch;
mod sealing;
mod secrets;
mod session;
mod settle;
mod subscriptions;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use store::{AuditNote, DedupeWindow, StoreResult, Vault};
use webinar::Zones;

pub use copying::{CopyFromPostgres, CopyOpenError, CopyToPostgres, SCHEMA};
pub use hints::{Hints, pass_hints_on};
pub use open::{Address, AddressError, OpenError};
pub use partitions::PartitionsKept;
pub use replication::{Finding, Severity};
pub use scratch::{ScratchDatabase, ServerFigures};
pub use sealing::sealing_keys;

use dedupe::Accepting;
use lanes::Together;
use session::{Pool, Session};

/// A database on a PostgreSQL server. Cheap to clone.
#[derive(Clone)]
pub struct PostgresStore {
    pool: Pool,
    zones: Zones,
    /// Seals and opens the secrets in the database.
    vault: Vault,
    window: DedupeWindow,
    accepting: Arc<Accepting>,
    /// What all its lanes do in one transaction.
    together: Arc<Together>,
    /// By which clock leases run.
    lease_clock: LeaseClock,
    /// What is kept beside each write that changes something.
    note: Option<Arc<AuditNote>>,
    statements: Arc<AtomicU64>,
}

/// By which clock leases run, and lanes are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseClock {
    /// The database's, which all nodes share.
    Database,
    /// The caller's: tests of the contract tell the time themselves.
    #[cfg(test)]
    Caller,
}

impl PostgresStore {
    /// Opens the database at `address`, making its tables where it has none. Older ones are refused.
    pub async fn open(address: &Address, zones: Zones, vault: Vault) -> Result<PostgresStore, OpenError> {
        migrate::make(&Pool::new(address, Arc::default())?, address).await?;
        PostgresStore::open_existing(address, zones, vault).await
    }

    /// Opens the database to change what is in it. One that has no tables, or older ones, is refused.
    pub async fn open_existing(address: &Address, zones: Zones, vault: Vault) -> Result<PostgresStore, OpenError> {
        let store = PostgresStore::on(address, zones, vault)?;
        migrate::check(&store.pool, address).await?;
        copying::refuse_incomplete(&store.pool, address).await?;
        sealing::check_keys(&store.pool, &store.vault, address).await?;
        Ok(store)
    }

    /// Opens the database to serve from it, beside any number of others. From now on secrets may be sealed with the vault's
    /// first key, and older tables are brought up to date.
    pub async fn open_as_server(address: &Address, zones: Zones, vault: Vault) -> Result<PostgresStore, OpenError> {
        let store = PostgresStore::on(address, zones, vault)?;
        migrate::run(&store.pool, address).await?;
        copying::refuse_incomplete(&store.pool, address).await?;
        sealing::introduce(&store.pool, &store.vault, address).await?;
        Ok(store)
    }

    /// The same, for a database that is only looked into: migrates nothing.
    pub async fn open_to_read(address: &Address, zones: Zones, vault: Vault) -> Result<PostgresStore, OpenError> {
        let store = PostgresStore::on(address, zones, vault)?;
        migrate::check(&store.pool, address).await?;
        copying::refuse_incomplete(&store.pool, address).await?;
        Ok(store)
    }

    /// The store of a database that is known to be migrated. Nothing is connected before the first call.
    fn on(address: &Address, zones: Zones, vault: Vault) -> Result<PostgresStore, OpenError> {
        let statements = Arc::new(AtomicU64::new(0));
        let pool = Pool::new(address, statements.clone())?;
        let accepting = Arc::new(Accepting::new(pool.clone()));
        let together = Arc::new(Together::new(&pool));
        let (window, lease_clock) = (DedupeWindow::default(), LeaseClock::Database);
        Ok(PostgresStore { pool, zones, vault, window, accepting, together, lease_clock, note: None, statements })
    }

    /// The same store that recognises repetitions for so long.
    #[must_use]
    pub fn with_dedupe_window(self, window: DedupeWindow) -> PostgresStore {
        PostgresStore { window, ..self }
    }

    /// SQL statements sent by this process so far, each of a transaction counted, its begin and commit too.
    pub fn statements(&self) -> u64 {
        self.statements.load(Ordering::Relaxed)
    }

    /// A connection for one read, or for one statement that is a transaction by itself.
    async fn session(&self) -> StoreResult<Session> {
        self.pool.session().await
    }

    /// A transaction. What it changes is noted in the audit log where this store was asked to.
    async fn begin(&self) -> StoreResult<Session> {
        let mut session = self.pool.session().await?;
        session.begin(self.note.clone());
        Ok(session)
    }

    /// A view of one moment, for reads of several queries.
    async fn look(&self) -> StoreResult<Session> {
        let mut session = self.pool.session().await?;
        session.begin_to_read();
        Ok(session)
    }

    /// `now` for the clock of leases: null where the database is to look at its own.
    fn lease_now(&self, now: Timestamp) -> Option<i64> {
        (self.lease_clock != LeaseClock::Database).then(|| columns::millis(now))
    }
}

/// How long a statement may take, and a connection may be waited for.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
