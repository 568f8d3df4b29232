//! What a server needs of its database beyond the store's traits, where SQLite and PostgreSQL differ: the right to serve,
//! whether it is ready, what ends the process, and what is left to do at the end.

mod shared;

use std::future::pending;
use std::sync::Arc;

use anyhow::Context;
use futures_util::future::BoxFuture;
use store::{DedupeWindow, Nodes, Store, StoreResult, Vault};
use store_postgres::Hints;
use store_sqlite::{ServerLock, SqliteStore};
use tokio::sync::watch;
use webinar::Zones;

use crate::database::Database;
use shared::SharedServer;

/// The database of a server.
#[derive(Clone)]
pub(crate) enum Engine {
    /// A file, which is this process's alone.
    Sqlite(SqliteStore),
    /// A PostgreSQL server, which any number of nodes share.
    Postgres(Box<SharedServer>),
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
                let server = SharedServer::open(address, zones, vault).await?;
                Ok((Engine::Postgres(Box::new(server)), None))
            }
        }
    }

    /// The store.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Engine::Sqlite(store) => Arc::new(store.clone()),
            Engine::Postgres(server) => Arc::new(server.store.clone()),
        }
    }

    /// The nodes that this process is one of, where there may be others.
    pub(crate) fn nodes(&self) -> Option<Arc<dyn Nodes>> {
        match self {
            Engine::Sqlite(_) => None,
            Engine::Postgres(server) => Some(Arc::new(server.store.clone())),
        }
    }

    /// The same, recognising repetitions for so long.
    #[must_use]
    pub(crate) fn with_dedupe_window(self, window: DedupeWindow) -> Engine {
        match self {
            Engine::Sqlite(store) => Engine::Sqlite(store.with_dedupe_window(window)),
            Engine::Postgres(server) => Engine::Postgres(Box::new(server.with_dedupe_window(window))),
        }
    }

    /// Whether any write has been refused lately, as far as that is known without asking the disk.
    pub(crate) fn check_standing(&self) -> StoreResult<()> {
        match self {
            Engine::Sqlite(store) => store.check_standing(),
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Proves that what is written now would be kept.
    pub(crate) async fn check(&self) -> StoreResult<()> {
        match self {
            Engine::Sqlite(store) => store.check_space().and(store.check_writable().await),
            Engine::Postgres(server) => server.check().await,
        }
    }

    /// Completes, with the reason, once nothing can be kept any more until another process has begun. A PostgreSQL server
    /// that is away may come back, so its nodes wait for it.
    pub(crate) async fn failed(&self) -> String {
        match self {
            Engine::Sqlite(store) => store.failed().await,
            Engine::Postgres(_) => pending().await,
        }
    }

    /// What is left to do once nobody writes any more.
    pub(crate) async fn finish(&self) -> anyhow::Result<()> {
        match self {
            Engine::Sqlite(store) => store.checkpoint().await.context("the log could not be emptied into the database"),
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Says in the log what an operator should know of the server before something is lost by it.
    pub(crate) async fn warn(&self) {
        if let Engine::Postgres(server) = self {
            server.warn().await;
        }
    }

    /// The hints of those who do work, for the hints of those who make it; and what is to run beside them on a database
    /// that others work on, too.
    pub(crate) fn attend(&self, asked: &Hints, stop: watch::Receiver<bool>) -> (Hints, Option<BoxFuture<'static, ()>>) {
        match self {
            Engine::Sqlite(_) => (asked.clone(), None),
            Engine::Postgres(server) => {
                let working = Hints::default();
                let attending = SharedServer::clone(server).attend(asked.clone(), working.clone(), stop);
                (working, Some(Box::pin(attending)))
            }
        }
    }
}
