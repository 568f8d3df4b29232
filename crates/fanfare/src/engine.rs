//! What a server needs of its database beyond the store's traits, where SQLite and PostgreSQL differ: the right to serve,
//! whether it is ready, what ends the process, and what is left to do at the end.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::BoxFuture;
use store::{DedupeWindow, Store, StoreError, StoreResult, Vault};
use store_postgres::{Address, Hints, PostgresStore, Severity};
use store_sqlite::{ServerLock, SqliteStore};
use tokio::sync::watch;
use tokio::time::timeout;
use webinar::Zones;

use crate::clock::SystemClock;
use crate::database::{Database, told_with_mend};

/// A server that does not answer sooner is as good as away; whoever asks for our readiness gives up soon, too.
const CHECK_TIME_MAX: Duration = Duration::from_secs(4);

/// The database of a server.
#[derive(Clone)]
pub(crate) enum Engine {
    /// A file, which is this process's alone.
    Sqlite(SqliteStore),
    /// A PostgreSQL server, which any number of nodes share.
    Postgres(PostgresStore, Address),
}

impl Engine {
    /// Opens a database to serve from it. The lock on a file is held for as long as that lasts.
    pub(crate) async fn open_as_server(
        database: &Database,
        zones: &Zones,
        vault: Vault,
    ) -> anyhow::Result<(Engine, Option<ServerLock>)> {
        match database {
            Database::Sqlite(path) => {
                let (store, lock) = SqliteStore::open_as_server(path, zones.clone(), vault)?;
                // SQLite opens a read-only file without a word; a server on one would refuse every request.
                store.check_writable().await.with_context(|| {
                    let path = path.display();
                    format!("cannot write {path}; check the owner and the permissions of the file and of its directory")
                })?;
                Ok((Engine::Sqlite(store), Some(lock)))
            }
            Database::Postgres(address) => {
                let opened = PostgresStore::open_as_server(address, zones.clone(), vault).await;
                let engine = Engine::Postgres(opened.map_err(told_with_mend)?, address.clone());
                engine.check().await.with_context(|| format!("cannot serve from {address}"))?;
                Ok((engine, None))
            }
        }
    }

    /// The store.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Engine::Sqlite(store) => Arc::new(store.clone()),
            Engine::Postgres(store, _) => Arc::new(store.clone()),
        }
    }

    /// The same, recognising repetitions for so long.
    #[must_use]
    pub(crate) fn with_dedupe_window(self, window: DedupeWindow) -> Engine {
        match self {
            Engine::Sqlite(store) => Engine::Sqlite(store.with_dedupe_window(window)),
            Engine::Postgres(store, address) => Engine::Postgres(store.with_dedupe_window(window), address),
        }
    }

    /// Whether any write has been refused lately, as far as that is known without asking the disk.
    pub(crate) fn check_standing(&self) -> StoreResult<()> {
        match self {
            Engine::Sqlite(store) => store.check_standing(),
            Engine::Postgres(..) => Ok(()),
        }
    }

    /// Proves that what is written now would be kept.
    pub(crate) async fn check(&self) -> StoreResult<()> {
        match self {
            Engine::Sqlite(store) => store.check_space().and(store.check_writable().await),
            Engine::Postgres(store, _) => timeout(CHECK_TIME_MAX, store.check_writable()).await.unwrap_or_else(|_| {
                let seconds = CHECK_TIME_MAX.as_secs();
                Err(StoreError::Unwritable(format!(
                    "PostgreSQL has not kept a write within {seconds} s; it is cut off, overloaded, or waits for a \
                     synchronous standby"
                )))
            }),
        }
    }

    /// Completes, with the reason, once nothing can be kept any more until another process has begun. A PostgreSQL server
    /// that is away may come back, so its nodes wait for it.
    pub(crate) async fn failed(&self) -> String {
        match self {
            Engine::Sqlite(store) => store.failed().await,
            Engine::Postgres(..) => pending().await,
        }
    }

    /// What is left to do once nobody writes any more.
    pub(crate) async fn finish(&self) -> anyhow::Result<()> {
        match self {
            Engine::Sqlite(store) => store.checkpoint().await.context("the log could not be emptied into the database"),
            Engine::Postgres(..) => Ok(()),
        }
    }

    /// Says in the log what an operator should know of the server before something is lost by it.
    pub(crate) async fn warn(&self) {
        let Engine::Postgres(store, _) = self else { return };
        let findings = match store.examine_server(&SystemClock).await {
            Ok(findings) => findings,
            Err(error) => return tracing::warn!(%error, "the settings of the PostgreSQL server could not be looked at"),
        };
        for finding in findings {
            match finding.severity {
                Severity::Warning => tracing::warn!("{}", finding.text),
                Severity::Remark => tracing::info!("{}", finding.text),
            }
        }
    }

    /// The hints of those who do work, for the hints of those who make it; and what passes them on to other nodes, where
    /// there may be any.
    pub(crate) fn hints(&self, asked: &Hints, stop: watch::Receiver<bool>) -> (Hints, Option<BoxFuture<'static, ()>>) {
        match self {
            Engine::Sqlite(_) => (asked.clone(), None),
            Engine::Postgres(_, address) => {
                let working = Hints::default();
                let passing = store_postgres::pass_hints_on(address.clone(), asked.clone(), working.clone(), stop);
                (working, Some(Box::pin(passing)))
            }
        }
    }
}
