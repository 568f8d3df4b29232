//! A file that a copy goes into, chunk by chunk. Each transaction holds rows and how far the copy has come with them.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};
use store::{
    COPIED_TABLES, Cell, CopiedRow, CopiedTable, CopyPlace, CopyRefusal, CopyTo, FailPoint, StoreError, StoreResult,
};

use super::from::count;
use super::{COPYING, Shared, begun_from, has};
use crate::columns::{broken, change, find, run};
use crate::open::{self, OpenError, ServerLock, told};

/// Chunks between two checkpoints: the log grows to so many times as much.
const CHUNKS_BETWEEN_CHECKPOINTS: u64 = 16;

/// See [`CopyTo`].
pub struct CopyToSqlite {
    writing: Shared,
    path: PathBuf,
    chunks: u64,
    _lock: ServerLock,
}

impl CopyToSqlite {
    /// Opens a file that no server uses, making it where there is none, and keeps servers away from it as long as this lives.
    pub fn open(path: &Path) -> Result<CopyToSqlite, OpenError> {
        let lock = ServerLock::take(path)?;
        let writing = open::writable_as_is(path, Some(&lock))?;
        // Counts are copied with the rows that they are counts of.
        writing.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map_err(|source| told(path, source))?;
        Ok(CopyToSqlite { writing: Shared::new(writing), path: path.to_owned(), chunks: 0, _lock: lock })
    }
}

#[async_trait]
impl CopyTo for CopyToSqlite {
    async fn begin(&mut self, origin: &str, mark: &str) -> Result<CopyPlace, CopyRefusal> {
        let (origin, mark, target) = (origin.to_owned(), mark.to_owned(), self.path.display().to_string());
        let begun = self.writing.with(move |connection| {
            in_transaction(connection, || {
                begin(connection, &target, &origin, &mark).map(Ok).or_else(|refusal| match refusal {
                    CopyRefusal::Store(error) => Err(error),
                    refusal => Ok(Err(refusal)),
                })
            })
        });
        begun.await?
    }

    async fn write(&mut self, table: &'static CopiedTable, rows: Vec<CopiedRow>, place: &CopyPlace) -> StoreResult<()> {
        let place = place.clone();
        self.chunks += 1;
        let checkpoints = self.chunks.is_multiple_of(CHUNKS_BETWEEN_CHECKPOINTS);
        self.writing
            .with(move |connection| {
                in_transaction(connection, || {
                    insert(connection, table, &rows)?;
                    note(connection, &place)?;
                    FailPoint::BatchBeforeCommit.pass();
                    Ok(())
                })?;
                FailPoint::BatchAfterCommit.pass();
                if checkpoints { empty_log(connection) } else { Ok(()) }
            })
            .await
    }

    async fn count(&mut self, table: &'static CopiedTable) -> StoreResult<u64> {
        let sql = format!("select count(*) from {}", table.name);
        self.writing.with(move |connection| count(connection, &sql)).await
    }

    async fn complete(&mut self, newest_messages: &[(i64, i64)]) -> StoreResult<()> {
        let newest = newest_messages.iter().map(|(_, newest)| *newest).max().unwrap_or(0);
        self.writing
            .with(move |connection| {
                in_transaction(connection, || {
                    number_behind(connection, newest)?;
                    run(connection, "drop table copying", [])
                })?;
                empty_log(connection)
            })
            .await
    }
}

fn begin(connection: &Connection, target: &str, origin: &str, mark: &str) -> Result<CopyPlace, CopyRefusal> {
    if let Some(begun_from) = begun_from(connection).map_err(broken)? {
        return match begun(connection, mark)? {
            Some(place) => Ok(place),
            None => Err(CopyRefusal::OtherOrigin { target: target.to_owned(), origin: begun_from }),
        };
    }
    for table in COPIED_TABLES {
        if find(connection, &format!("select 1 from {} limit 1", table.name), [], |_| Ok(()))?.is_some() {
            return Err(CopyRefusal::NotEmpty { target: target.to_owned(), table: table.name });
        }
    }
    run(connection, COPYING, [])?;
    let sql = "insert into copying (origin, mark, tables, rows_done) values (?1, ?2, 0, 0)";
    run(connection, sql, (origin, mark))?;
    Ok(CopyPlace::default())
}

/// How far a copy of this state has come; `None` where it is of another.
fn begun(connection: &Connection, mark: &str) -> StoreResult<Option<CopyPlace>> {
    let sql = "select tables, after_key, rows_done from copying where mark = ?1";
    let found = find(connection, sql, [mark], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, i64>(2)?))
    })?;
    let Some((tables, after, rows)) = found else { return Ok(None) };
    let place = CopyPlace::read(tables, after.as_deref(), rows);
    place.map(Some).ok_or_else(|| StoreError::broken("the table copying does not hold what it should"))
}

fn note(connection: &Connection, place: &CopyPlace) -> StoreResult<()> {
    let sql = "update copying set tables = ?1, after_key = ?2, rows_done = ?3";
    let values = (place.tables as i64, place.after_in_text(), place.rows.cast_signed());
    match change(connection, sql, values)? {
        1 => Ok(()),
        _ => Err(StoreError::broken("the table copying was changed by somebody else")),
    }
}

fn insert(connection: &Connection, table: &CopiedTable, rows: &[CopiedRow]) -> StoreResult<()> {
    let kept: Vec<usize> = (0..table.columns.len()).filter(|at| has(table, table.columns[*at])).collect();
    let columns: Vec<&str> = kept.iter().map(|at| table.columns[*at]).collect();
    let values = vec!["?"; kept.len()];
    let sql = format!("insert into {} ({}) values ({})", table.name, columns.join(", "), values.join(", "));
    let mut statement = connection.prepare_cached(&sql).map_err(broken)?;
    for row in rows {
        statement.execute(params_from_iter(kept.iter().map(|at| value(&row[*at])))).map_err(broken)?;
    }
    Ok(())
}

/// No message is to get a number that another has had.
fn number_behind(connection: &Connection, newest: i64) -> StoreResult<()> {
    let sql = "update sqlite_sequence set seq = max(seq, ?1) where name = 'message'";
    if change(connection, sql, [newest])? > 0 || newest == 0 {
        return Ok(());
    }
    run(connection, "insert into sqlite_sequence (name, seq) values ('message', ?1)", [newest])
}

fn in_transaction<T>(connection: &Connection, work: impl FnOnce() -> StoreResult<T>) -> StoreResult<T> {
    run(connection, "begin immediate", [])?;
    let done = work();
    let ended = run(connection, if done.is_ok() { "commit" } else { "rollback" }, []);
    done.and_then(|done| ended.map(|()| done))
}

fn empty_log(connection: &Connection) -> StoreResult<()> {
    find(connection, "pragma wal_checkpoint(truncate)", [], |_| Ok(())).map(drop)
}

pub(super) fn value(cell: &Cell) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match cell {
        Cell::Null => ValueRef::Null,
        Cell::Number(number) => ValueRef::Integer(*number),
        Cell::Text(text) => ValueRef::Text(text.as_bytes()),
        Cell::Bytes(bytes) => ValueRef::Blob(bytes),
    })
}
