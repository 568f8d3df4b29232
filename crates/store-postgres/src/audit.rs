//! The audit log, in SQL. A note is written by the transaction of the act that it tells of.

use std::sync::Arc;

use async_trait::async_trait;
use store::{Actor, Audit, AuditNote, AuditNumber, AuditRecord, Page, Store, StoreResult};
use tokio_postgres::Row;
use wire::AccountId;

use crate::PostgresStore;
use crate::columns::{Columns, limit_and_one, list, millis, number, run, values};
use crate::session::Session;

pub(crate) const LOG: &str = "select entry, at, actor, source_address, act, object from audit
    where account = $1 and entry < $2 order by entry desc limit $3";

#[async_trait]
impl Audit for PostgresStore {
    fn noting(&self, note: AuditNote) -> Arc<dyn Store> {
        Arc::new(PostgresStore { note: Some(Arc::new(note)), ..self.clone() })
    }

    async fn audit_log(
        &self,
        account: AccountId,
        before: Option<AuditNumber>,
        limit: usize,
    ) -> StoreResult<Page<AuditRecord, AuditNumber>> {
        let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
        let session = self.session().await?;
        let found = list(&session, LOG, values![number(account), before, limit_and_one(limit)], read_record).await?;
        Ok(Page::cut(found, limit, |record| record.number))
    }
}

/// Writes a note; for the transaction of the act alone.
pub(crate) async fn insert(session: &Session, note: &AuditNote) -> StoreResult<()> {
    let from = note.from.map(|address| address.to_string());
    run(
        session,
        "insert into audit (account, at, actor, source_address, act, object) values ($1, $2, $3, $4, $5, $6)",
        values![number(note.account), millis(note.at), note.actor.as_str(), from, note.act.as_str(), note.object],
    )
    .await
}

fn read_record(row: &Row) -> StoreResult<AuditRecord> {
    let from: Option<&str> = row.value(3)?;
    Ok(AuditRecord {
        number: row.count(0)?,
        at: row.moment(1)?,
        actor: Actor::from_name(row.value(2)?),
        from: from.and_then(|text| text.parse().ok()),
        act: row.value(4)?,
        object: row.value(5)?,
    })
}
