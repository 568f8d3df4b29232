//! The audit log, in memory: whoever holds the tables with a note in hand leaves it if they differ afterwards.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, MutexGuard};

use async_trait::async_trait;
use store::{Audit, AuditNote, AuditNumber, AuditRecord, Page, Store, StoreResult};
use wire::AccountId;

use super::Model;
use super::tables::Tables;

/// The tables, held by one call.
pub(super) struct Noting<'a> {
    tables: MutexGuard<'a, Tables>,
    /// What is to be noted, and the tables as they were: as text, since secrets cannot be compared.
    note: Option<(&'a AuditNote, String)>,
}

impl<'a> Noting<'a> {
    pub(super) fn new(tables: MutexGuard<'a, Tables>, note: Option<&'a AuditNote>) -> Noting<'a> {
        let note = note.map(|note| (note, format!("{:?}", *tables)));
        Noting { tables, note }
    }
}

impl Deref for Noting<'_> {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.tables
    }
}

impl DerefMut for Noting<'_> {
    fn deref_mut(&mut self) -> &mut Tables {
        &mut self.tables
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        let Some((note, before)) = self.note.take() else { return };
        if before == format!("{:?}", *self.tables) {
            return;
        }
        let AuditNote { account, at, actor, from, act, object } = note.clone();
        let number = self.tables.audit.len() as u64 + 1;
        let record = AuditRecord { number, at, actor, from, act: act.as_str().to_owned(), object };
        self.tables.audit.push((account, record));
    }
}

#[async_trait]
impl Audit for Model {
    fn noting(&self, note: AuditNote) -> Arc<dyn Store> {
        Arc::new(Model { tables: self.tables.clone(), note: Some(note), window: self.window })
    }

    async fn audit_log(
        &self,
        account: AccountId,
        before: Option<AuditNumber>,
        limit: usize,
    ) -> StoreResult<Page<AuditRecord, AuditNumber>> {
        let tables = self.tables();
        let log = tables
            .audit
            .iter()
            .rev()
            .filter(|(owner, record)| *owner == account && before.is_none_or(|before| record.number < before));
        let found = log.take(limit + 1).map(|(_, record)| record.clone()).collect();
        Ok(Page::cut(found, limit, |record: &AuditRecord| record.number))
    }
}
