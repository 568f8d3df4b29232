//! Moving house, in SQL: a file as what a copy is made of (`copying/from.rs`) and what it goes into (`copying/to.rs`), and
//! where this engine's tables are not as `store::COPIED_TABLES` has them.

mod from;
mod to;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use store::{CopiedTable, StoreError, StoreResult};

use crate::migrate::MIGRATIONS;
use crate::open::{OpenError, told};

pub use from::CopyFromSqlite;
pub use to::CopyToSqlite;

/// The number of the schema that this version of Fanfare writes.
pub const SCHEMA: usize = MIGRATIONS.len();

/// While a copy is incomplete, its target has this table, of one row.
const COPYING: &str = "create table copying (
    -- What it is a copy of, for people, and the state of that.
    origin text not null,
    mark text not null,
    -- Tables that are whole, the last key of the one after them, and rows in all.
    tables integer not null,
    after_key text,
    rows_done integer not null
) strict";

/// Refuses a file that is an incomplete copy.
pub(crate) fn refuse_incomplete(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match begun_from(connection).map_err(|source| told(path, source))? {
        Some(origin) => Err(OpenError::IncompleteCopy { path: path.to_owned(), origin }),
        None => Ok(()),
    }
}

/// What a file is an incomplete copy of, if it is one.
fn begun_from(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let find = "select exists (select 1 from sqlite_schema where type = 'table' and name = 'copying')";
    let has_begun: bool = connection.query_row(find, [], |row| row.get(0))?;
    has_begun.then(|| connection.query_row("select origin from copying", [], |row| row.get(0))).transpose()
}

/// The columns by which this engine orders a table: the common ones, but for tables that have one number for all accounts.
fn key(table: &CopiedTable) -> &'static [&'static str] {
    match table.name {
        "audit" => &["entry"],
        "message" => &["number"],
        "message_seen" => &["fingerprint"],
        "segment" => &["segment"],
        _ => table.key,
    }
}

/// Whether this engine has a column: it lets go of rows instead of days, and knows repetitions of all accounts by one
/// fingerprint.
pub(crate) fn has(table: &CopiedTable, column: &str) -> bool {
    let others =
        [("segment", "day"), ("attempt_failure", "day"), ("fan_out", "logged_since"), ("message_seen", "account")];
    !others.contains(&(table.name, column))
}

/// How a column is read. Leases are over in the copy, and so are their epochs; days are the other engine's business.
fn expression(table: &CopiedTable, column: &'static str) -> &'static str {
    match (table.name, column) {
        ("lane" | "handler", "epoch") => "epoch + 1",
        ("segment" | "attempt_failure", "day") => "null",
        ("fan_out", "logged_since") => "0",
        _ => column,
    }
}

/// Where the rows of a table are read from. A fingerprint of which the message is gone recognises nothing any more.
fn rows_of(table: &CopiedTable) -> &'static str {
    match table.name {
        "message_seen" => {
            "(select m.account, s.fingerprint, s.number from message_seen as s join message as m on m.number = s.number)"
        }
        name => name,
    }
}

/// A connection that blocking threads use one after the other.
#[derive(Clone)]
struct Shared(Arc<Mutex<Connection>>);

impl Shared {
    fn new(connection: Connection) -> Shared {
        Shared(Arc::new(Mutex::new(connection)))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let shared = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&shared.lock().unwrap_or_else(PoisonError::into_inner)));
        done.await.map_err(StoreError::broken)?
    }
}
