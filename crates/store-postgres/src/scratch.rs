//! A database for measuring, made and dropped again, and what its server knows about the work it was given.

use store::StoreResult;

use crate::columns::{Columns, find, values};
use crate::open::{Address, AddressError, OpenError};
use crate::{Pool, PostgresStore};

/// A new database beside the one of an address, on the same server. Whoever makes it drops it.
#[derive(Debug)]
pub struct ScratchDatabase {
    beside: Address,
    name: String,
    url: String,
}

impl ScratchDatabase {
    /// Makes it under this name: letters, digits and `_`.
    pub async fn create(url: &str, name: &str) -> Result<ScratchDatabase, OpenError> {
        let settings = |error: AddressError| OpenError::Settings(error.to_string());
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if name.is_empty() || !name.chars().all(is_plain) {
            return Err(OpenError::Settings(format!("{name} is no plain name for a database")));
        }
        let beside: Address = url.parse().map_err(settings)?;
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let server = base.rsplit_once('/').map_or(base, |(server, _)| server);
        let ending = if query.is_empty() { String::new() } else { format!("?{query}") };
        let scratch = ScratchDatabase { beside, name: name.to_owned(), url: format!("{server}/{name}{ending}") };
        scratch.order(&format!("create database {name}")).await?;
        Ok(scratch)
    }

    /// Its address, with whatever the other one says besides.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Drops it, whoever may still be connected.
    pub async fn drop_it(self) -> Result<(), OpenError> {
        self.order(&format!("drop database if exists {} with (force)", self.name)).await
    }

    async fn order(&self, sql: &str) -> Result<(), OpenError> {
        let told = |source| OpenError::told(&self.beside, source);
        let pool = Pool::new(&self.beside, std::sync::Arc::default())?;
        let session = pool.session().await.map_err(told)?;
        session.execute_all(sql).await.map_err(told)
    }
}

/// What a server tells of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerFigures {
    /// The process at the other end of one connection; its parent is the server's first process.
    pub backend: u32,
    /// Bytes of the database on disk.
    pub bytes: u64,
    /// Bytes written to the log of the whole server since it was set up.
    pub log_bytes: u64,
    /// Row versions that nobody sees any more and that wait for a vacuum, in all tables.
    pub dead_rows: u64,
}

impl PostgresStore {
    /// What the server tells now. Counts of rows are told by connections when they have been idle for a moment.
    pub async fn server_figures(&self) -> StoreResult<ServerFigures> {
        let sql = "select pg_backend_pid()::bigint, pg_database_size(current_database()),
                       (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint,
                       (select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables)";
        let session = self.session().await?;
        let figures = find(&session, sql, values![], |row| {
            Ok(ServerFigures {
                backend: row.small(0)?,
                bytes: row.count(1)?,
                log_bytes: row.count(2)?,
                dead_rows: row.count(3)?,
            })
        });
        figures.await?.ok_or_else(|| store::StoreError::broken("the server told nothing"))
    }

    /// Moves what is in memory to the tables, so that it is not charged to what is measured next; and has them counted, so
    /// that statements are planned as they will be in the long run.
    pub async fn settle_down(&self) -> StoreResult<()> {
        let session = self.session().await?;
        session.execute_all("analyze").await?;
        // A role that may only make databases may not do this one, and then measures a little more.
        let _ = session.execute_all("checkpoint").await;
        Ok(())
    }
}
