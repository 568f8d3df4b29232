//! A file that a copy is made of. Nobody serves from it meanwhile, and what is read is of one moment.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params_from_iter};
use store::{CHUNK_BYTES, CHUNK_ROWS_MAX, Cell, Chunk, CopiedRow, CopiedTable, CopyFrom, StoreResult};

use super::{Shared, expression, key, rows_of};
use crate::columns::{broken, find, list};
use crate::copying::to::value;
use crate::open::{self, OpenError, ServerLock, told};

/// What rises or falls with whatever is done: accounts and their keys, people, events, notes of acts, messages, work of lanes
/// and handlers, outcomes, notices, replays and erasures.
const MARK: &str = "select
    (select count(*) || ',' || coalesce(sum(revision + participants + events + created_at), 0) from account) || '/' ||
    (select count(*) || ',' || coalesce(sum(created_at + coalesce(last_used_at, 0) + coalesce(revoked_at, 0)), 0)
     from api_key) || '/' ||
    (select coalesce(max(entry), 0) from audit) || '/' ||
    (select coalesce(max(seq), 0) from sqlite_sequence where name = 'message') || '/' ||
    (select count(*) || ',' || coalesce(sum(epoch + signal), 0) from lane) || '/' ||
    (select count(*) || ',' || coalesce(sum(epoch + cursor), 0) from handler) || '/' ||
    (select coalesce(max(segment), 0) from segment) || '/' ||
    (select count(*) || ',' || coalesce(sum(epoch + attempts), 0) from notice_delivery) || '/' ||
    (select count(*) || ',' || coalesce(sum(begun + delivered), 0) from replay) || '/' ||
    (select count(*) || ',' || coalesce(sum(searched + emptied + read_to), 0) from erasure)";
const NEWEST_MESSAGES: &str =
    "select account, (select coalesce(max(seq), 0) from sqlite_sequence where name = 'message')
    from account order by account";

/// See [`CopyFrom`].
pub struct CopyFromSqlite {
    /// In a transaction that lasts as long as this.
    reading: Shared,
    path: PathBuf,
    _lock: ServerLock,
}

impl CopyFromSqlite {
    /// Opens a file that no server uses, and keeps servers away from it as long as this lives.
    pub fn open(path: &Path) -> Result<CopyFromSqlite, OpenError> {
        open::readable_as_is(path)?;
        let lock = ServerLock::take(path)?;
        let reading = open::readable(path).map_err(|source| told(path, source))?;
        reading.execute_batch("begin").map_err(|source| told(path, source))?;
        Ok(CopyFromSqlite { reading: Shared::new(reading), path: path.to_owned(), _lock: lock })
    }
}

#[async_trait]
impl CopyFrom for CopyFromSqlite {
    async fn mark(&mut self) -> StoreResult<String> {
        // A connection of its own sees what the transaction does not.
        let now = Shared::new(open::readable(&self.path).map_err(broken)?);
        let mark = now.with(|connection| find(connection, MARK, [], |row| row.get::<_, String>(0))).await?;
        Ok(mark.unwrap_or_default())
    }

    async fn count(&mut self, table: &'static CopiedTable) -> StoreResult<u64> {
        let sql = format!("select count(*) from {}", rows_of(table));
        self.reading.with(move |connection| count(connection, &sql)).await
    }

    async fn read(&mut self, table: &'static CopiedTable, after: Option<Vec<Cell>>) -> StoreResult<Chunk> {
        self.reading.with(move |connection| read(connection, table, after.as_deref())).await
    }

    async fn newest_messages(&mut self) -> StoreResult<Vec<(i64, i64)>> {
        self.reading
            .with(|connection| list(connection, NEWEST_MESSAGES, [], |row| Ok((row.get(0)?, row.get(1)?))))
            .await
    }
}

pub(super) fn count(connection: &Connection, sql: &str) -> StoreResult<u64> {
    Ok(find(connection, sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0).unsigned_abs())
}

fn read(connection: &Connection, table: &'static CopiedTable, after: Option<&[Cell]>) -> StoreResult<Chunk> {
    let key = key(table);
    let sql = select(table, key, after.is_some());
    let mut statement = connection.prepare_cached(&sql).map_err(broken)?;
    let mut rows = statement.query(params_from_iter(after.unwrap_or_default().iter().map(value))).map_err(broken)?;
    let (mut chunk, mut bytes) = (Chunk::default(), 0);
    while let Some(row) = rows.next().map_err(broken)? {
        let cells = cells(row, table.columns.len()).map_err(broken)?;
        bytes += cells.iter().map(Cell::bytes).sum::<usize>();
        chunk.rows.push(cells);
        if chunk.rows.len() >= CHUNK_ROWS_MAX || bytes >= CHUNK_BYTES {
            let last = chunk.rows.last();
            chunk.next =
                last.map(|row| key.iter().filter_map(|column| Some(row[table.position(column)?].clone())).collect());
            break;
        }
    }
    Ok(chunk)
}

fn select(table: &CopiedTable, key: &[&str], is_behind: bool) -> String {
    let columns: Vec<&str> = table.columns.iter().map(|column| expression(table, column)).collect();
    let behind = match is_behind {
        true => {
            let values: Vec<String> = (1..=key.len()).map(|nth| format!("?{nth}")).collect();
            format!(" where ({}) > ({})", key.join(", "), values.join(", "))
        }
        false => String::new(),
    };
    format!("select {} from {}{behind} order by {}", columns.join(", "), rows_of(table), key.join(", "))
}

fn cells(row: &Row<'_>, columns: usize) -> rusqlite::Result<CopiedRow> {
    (0..columns)
        .map(|at| {
            Ok(match row.get_ref(at)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Number(number),
                ValueRef::Text(_) => Cell::Text(row.get(at)?),
                ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
                ValueRef::Real(_) => {
                    return Err(rusqlite::Error::InvalidColumnType(
                        at,
                        row.as_ref().column_name(at)?.to_owned(),
                        rusqlite::types::Type::Real,
                    ));
                }
            })
        })
        .collect()
}
