//! The audit log, in SQL. A note is written by the transaction of the act that it tells of.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row};
use store::{Actor, Audit, AuditNote, AuditNumber, AuditRecord, Page, Store, StoreResult};
use wire::AccountId;

use crate::SqliteStore;
use crate::columns::{Millis, limit_and_one, list, millis, number, run};

pub(crate) const LOG: &str = "select entry, at, actor, source_address, act, object from audit
    where account = ?1 and entry < ?2 order by entry desc limit ?3";

#[async_trait]
impl Audit for SqliteStore {
    fn noting(&self, note: AuditNote) -> Arc<dyn Store> {
        Arc::new(SqliteStore { writer: self.writer.noting(note), ..self.clone() })
    }

    async fn audit_log(
        &self,
        account: AccountId,
        before: Option<AuditNumber>,
        limit: usize,
    ) -> StoreResult<Page<AuditRecord, AuditNumber>> {
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        self.readers
            .read(move |connection| {
                let found = list(connection, LOG, (number(account), before, limit_and_one(limit)), read_record)?;
                Ok(Page::cut(found, limit, |record| record.number))
            })
            .await
    }
}

/// Does a write and, where it changed anything, keeps the note beside it.
pub(crate) fn noted<T>(
    connection: &Connection,
    note: Option<&AuditNote>,
    write: impl FnOnce(&Connection) -> StoreResult<T>,
) -> StoreResult<T> {
    let before = connection.total_changes();
    let done = write(connection)?;
    match note {
        Some(note) if connection.total_changes() > before => insert(connection, note).map(|()| done),
        _ => Ok(done),
    }
}

fn insert(connection: &Connection, note: &AuditNote) -> StoreResult<()> {
    run(
        connection,
        "insert into audit (account, at, actor, source_address, act, object) values (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            number(note.account),
            millis(note.at),
            note.actor.as_str(),
            note.from.map(|address| address.to_string()),
            note.act.as_str(),
            &note.object,
        ),
    )
}

fn read_record(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    let from: Option<String> = row.get(3)?;
    Ok(AuditRecord {
        number: row.get::<_, i64>(0)?.unsigned_abs(),
        at: row.get::<_, Millis>(1)?.0,
        actor: Actor::from_name(row.get(2)?),
        from: from.and_then(|text| text.parse().ok()),
        act: row.get(4)?,
        object: row.get(5)?,
    })
}
