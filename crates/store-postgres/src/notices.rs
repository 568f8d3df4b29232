//! Not built yet.
#![allow(unused_variables, unused_imports)]

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use provider::frontier::Place;
use receiver::*;
use std::sync::Arc;
use std::time::Duration;
use store::*;
use webinar::*;
use wire::*;

use crate::PostgresStore;

#[async_trait]
impl Notices for PostgresStore {
    async fn raise_notice(&self, account: AccountId, notice: NewNotice) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn notices(
        &self,
        account: AccountId,
        after: Option<NoticeId>,
        limit: usize,
    ) -> StoreResult<Page<NoticeRecord, NoticeId>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn notice(
        &self,
        account: AccountId,
        id: NoticeId,
    ) -> StoreResult<Option<(NoticeRecord, Vec<NoticeDelivery>)>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn latest_notice(
        &self,
        account: AccountId,
        kind: NoticeKind,
        subject: NoticeSubject,
    ) -> StoreResult<Option<NoticeRecord>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn unread_notices(&self, account: AccountId) -> StoreResult<u64> {
        Err(StoreError::broken("not built yet"))
    }

    async fn mark_notice_read(&self, account: AccountId, id: NoticeId, now: Timestamp) -> StoreResult<bool> {
        Err(StoreError::broken("not built yet"))
    }

    async fn claim_notices(&self, now: Timestamp, lease_for: Duration, limit: usize) -> StoreResult<Vec<NoticeErrand>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn settle_notice(&self, lease: NoticeLease, attempt: NoticeAttempt) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }
}
