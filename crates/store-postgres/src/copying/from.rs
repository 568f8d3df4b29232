//! A database that a copy is made of. No node may serve from it meanwhile, and what is read is of one moment.

use async_trait::async_trait;
use store::{CHUNK_BYTES, CHUNK_ROWS_MAX, Cell, Chunk, CopiedTable, CopyFrom, CopyRefusal, StoreResult};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::cells::{Written, cells, type_of};
use super::{
    COPY_APPLICATION, NO_TIME_LIMITS, NODE_GONE_AFTER_MS, connect, count, expression, list, query, quoted,
    refuse_served,
};
use crate::columns::{broken, database_now};
use crate::open::{Address, OpenError};
use crate::session::Pool;
use crate::{copying, migrate};

/// What rises or falls with whatever is done: accounts and their keys, people, events, notes of acts, messages, work of lanes
/// and handlers, outcomes, notices, replays and erasures; and who is about to do something.
const MARK: &str = concat!(
    "select concat_ws('/',
    (select count(*) from node where seen_at > ",
    database_now!(),
    " - $1),
    (select count(*) || ',' || coalesce(sum(revision + participants + events + created_at), 0) from account),
    (select count(*) || ',' || coalesce(sum(created_at + coalesce(last_used_at, 0) + coalesce(revoked_at, 0)), 0)
     from api_key),
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('audit', 'entry')::regclass), 0),
    (select count(*) || ',' || coalesce(sum(newest), 0) from message_counter),
    (select count(*) || ',' || coalesce(sum(epoch + signal), 0) from lane),
    (select count(*) || ',' || coalesce(sum(epoch + cursor), 0) from handler),
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('segment', 'segment')::regclass), 0),
    (select count(*) || ',' || coalesce(sum(epoch + attempts), 0) from notice_delivery),
    (select count(*) || ',' || coalesce(sum(begun + delivered), 0) from replay),
    (select count(*) || ',' || coalesce(sum(searched + emptied + read_to), 0) from erasure))"
);
const NEWEST_MESSAGES: &str = "select account, newest from message_counter order by account";
const SHARED_NUMBER: &str = "select number from message group by number having count(*) > 1 limit 1";

/// See [`CopyFrom`].
pub struct CopyFromPostgres {
    /// In a transaction that lasts as long as this.
    reading: Client,
    address: Address,
}

impl CopyFromPostgres {
    /// Opens a database that no node serves from.
    pub async fn open(address: &Address) -> Result<CopyFromPostgres, CopyOpenError> {
        let pool = Pool::new(&address.named(COPY_APPLICATION), std::sync::Arc::default())?;
        migrate::check(&pool, address).await?;
        copying::refuse_incomplete(&pool, address).await?;
        let reading = connect(address).await?;
        refuse_served(&reading, address).await?;
        let begin = format!("begin transaction isolation level repeatable read, read only; {NO_TIME_LIMITS}");
        reading.batch_execute(&begin).await.map_err(|error| broken(&error))?;
        Ok(CopyFromPostgres { reading, address: address.clone() })
    }

    /// Refuses to be copied to an engine that has one number for the messages of all accounts, where these have not.
    pub async fn refuse_shared_numbers(&self) -> Result<(), CopyRefusal> {
        match query(&self.reading, SHARED_NUMBER, &[]).await?.is_empty() {
            true => Ok(()),
            false => Err(CopyRefusal::SharedNumbers { database: self.address.to_string() }),
        }
    }
}

/// Why a database is not opened for a copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyOpenError {
    /// As any database is refused.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// As a copy is.
    #[error(transparent)]
    Refused(#[from] CopyRefusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

#[async_trait]
impl CopyFrom for CopyFromPostgres {
    async fn mark(&mut self) -> StoreResult<String> {
        // A connection of its own sees what the transaction does not.
        let now = connect(&self.address).await?;
        let rows = query(&now, MARK, &[(&NODE_GONE_AFTER_MS, Type::INT8)]).await?;
        Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
    }

    async fn count(&mut self, table: &'static CopiedTable) -> StoreResult<u64> {
        count(&self.reading, table).await
    }

    async fn read(&mut self, table: &'static CopiedTable, after: Option<Vec<Cell>>) -> StoreResult<Chunk> {
        let (mut chunk, mut bytes) = (Chunk { rows: Vec::new(), next: after }, 0);
        while chunk.rows.len() < CHUNK_ROWS_MAX && bytes < CHUNK_BYTES {
            let page = read_page(&self.reading, table, chunk.next.as_deref()).await?;
            let is_last = page.len() < table.rows_at_once;
            for row in &page {
                let cells = cells(row)?;
                bytes += cells.iter().map(Cell::bytes).sum::<usize>();
                chunk.rows.push(cells);
            }
            if is_last {
                chunk.next = None;
                return Ok(chunk);
            }
            let last = chunk.rows.last();
            let column = |row: &store::CopiedRow, column: &&str| Some(row[table.position(column)?].clone());
            chunk.next = last.map(|row| table.key.iter().filter_map(|name| column(row, name)).collect());
        }
        Ok(chunk)
    }

    async fn newest_messages(&mut self) -> StoreResult<Vec<(i64, i64)>> {
        let rows = query(&self.reading, NEWEST_MESSAGES, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}

async fn read_page(
    client: &Client,
    table: &CopiedTable,
    after: Option<&[Cell]>,
) -> StoreResult<Vec<tokio_postgres::Row>> {
    let columns: Vec<String> = table.columns.iter().map(|column| expression(table, column)).collect();
    let (after, key) = (after.unwrap_or_default(), list(table.key));
    let behind = match after.is_empty() {
        true => String::new(),
        false => {
            let values: Vec<String> = (1..=after.len()).map(|nth| format!("${nth}")).collect();
            format!(" where ({key}) > ({})", values.join(", "))
        }
    };
    let (name, limit) = (quoted(table.name), table.rows_at_once);
    let sql = format!("select {} from {name}{behind} order by {key} limit {limit}", columns.join(", "));
    let written: Vec<Written<'_>> = after.iter().map(Written).collect();
    let values: Vec<(&(dyn ToSql + Sync), Type)> =
        written.iter().map(|cell| (cell as &(dyn ToSql + Sync), type_of(cell.0))).collect();
    query(client, &sql, &values).await
}
