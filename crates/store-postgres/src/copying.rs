//! Moving house, in SQL: a database as what a copy is made of (`copying/from.rs`) and what it goes into (`copying/to.rs`),
//! and where this engine's tables are not as `store::COPIED_TABLES` has them. Each has a connection of its own, since
//! counting a large table takes longer than anything else that is asked of this store.

mod cells;
mod days;
mod from;
mod to;

use std::time::Duration;

use store::{CopiedTable, CopyRefusal, StoreResult};
use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use crate::columns::{broken, database_now, unreachable};
use crate::migrate::MIGRATIONS;
use crate::open::{APPLICATION, Address, OpenError};
use crate::session::Pool;

pub use from::{CopyFromPostgres, CopyOpenError};
pub use to::CopyToPostgres;

/// The number of the schema that this version of Fanfare writes.
pub const SCHEMA: usize = MIGRATIONS.len();

/// While a copy is incomplete, its target has this table, of one row.
const COPYING: &str = "create table copying (
    -- What it is a copy of, for people, and the state of that.
    origin text not null,
    mark text not null,
    -- Tables that are whole, the last key of the one after them, and rows in all.
    tables bigint not null,
    after_key text,
    rows_done bigint not null
)";
const HAS_BEGUN: &str = "select to_regclass('copying') is not null";
/// Nodes tell every few seconds that they are there; one not seen for so long has ended.
const NODE_GONE_AFTER_MS: i64 = 60_000;
const NODES: &str = concat!("select name from node where seen_at > ", database_now!(), " - $1 order by name");
/// What the server shows a copy's own connections as: others of ours are not to be there beside them.
const COPY_APPLICATION: &str = "fanfare copy";
/// Such as a server that has said it goes, and commits what was in flight.
const CONNECTED: &str = "select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and application_name in ($1, $2)";
/// A command that has just ended may be connected for a moment still, to the server.
const ENDING_TIME: Duration = Duration::from_secs(2);
const ENDING_LOOK: Duration = Duration::from_millis(50);
/// Longer than a page takes to be written by the other side.
const NO_TIME_LIMITS: &str = "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0";

/// Refuses a database that is an incomplete copy.
pub(crate) async fn refuse_incomplete(pool: &Pool, address: &Address) -> Result<(), OpenError> {
    let told = |source| OpenError::told(address, source);
    let session = pool.session().await.map_err(told)?;
    let begun = session.query(HAS_BEGUN, &[]).await.map_err(told)?;
    if !begun.first().is_some_and(|row| row.get(0)) {
        return Ok(());
    }
    let origins = session.query("select origin from copying", &[]).await.map_err(told)?;
    // Gone between the two: the copy is complete.
    let Some(origin) = origins.first() else { return Ok(()) };
    Err(OpenError::IncompleteCopy { database: address.to_string(), origin: origin.get(0) })
}

/// How a column is read. Leases are over in the copy, and so are their epochs; a day is a number of days.
fn expression(table: &CopiedTable, column: &str) -> String {
    match (table.name, column) {
        ("lane" | "handler", "epoch") => "epoch + 1".to_owned(),
        ("segment" | "attempt_failure", "day") => "(day - date '1970-01-01')::bigint".to_owned(),
        // Some of them are words of SQL.
        _ => quoted(column),
    }
}

fn quoted(column: &str) -> String {
    format!("\"{column}\"")
}

fn list(columns: &[&str]) -> String {
    columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}

async fn connect(address: &Address) -> StoreResult<Client> {
    let (client, connection) =
        address.named(COPY_APPLICATION).config().connect(address.tls()).await.map_err(|error| unreachable(&error))?;
    // It ends with the client; what goes wrong with it the client is told.
    tokio::spawn(connection);
    Ok(client)
}

/// Refuses a database on which a node was seen, or to which anybody but a copy is connected under our name or under that of
/// the address.
async fn refuse_served(client: &Client, address: &Address) -> Result<(), CopyRefusal> {
    let served_by = |nodes| CopyRefusal::Served { database: address.to_string(), nodes };
    let nodes = query(client, NODES, &[(&NODE_GONE_AFTER_MS, Type::INT8)]).await?;
    let nodes: Vec<String> = nodes.iter().map(|row| row.get(0)).collect();
    if !nodes.is_empty() {
        return Err(served_by(nodes.join(", ")));
    }
    let name = address.config().get_application_name().unwrap_or(APPLICATION).to_owned();
    let give_up_at = Instant::now() + ENDING_TIME;
    loop {
        let rows = query(client, CONNECTED, &[(&APPLICATION, Type::TEXT), (&name, Type::TEXT)]).await?;
        match rows.first().map_or(0, |row| row.get::<_, i64>(0)) {
            0 => return Ok(()),
            _ if Instant::now() < give_up_at => sleep(ENDING_LOOK).await,
            count => {
                return Err(served_by(format!(
                    "whoever has {count} connections to it as {name} (a server that is still stopping, a command, or a \
                     pooler that keeps what they had)"
                )));
            }
        }
    }
}

/// Rows of a query that is planned for its values, and prepared for nobody else.
async fn query(
    client: &Client,
    sql: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> StoreResult<Vec<tokio_postgres::Row>> {
    client.query_typed(sql, values).await.map_err(|error| broken(&error))
}

async fn count(client: &Client, table: &CopiedTable) -> StoreResult<u64> {
    let rows = query(client, &format!("select count(*) from {}", quoted(table.name)), &[]).await?;
    Ok(rows.first().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs()))
}
