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
impl Inbox for PostgresStore {
    async fn create_source(&self, source: SourceRecord) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn sources(&self, account: AccountId) -> StoreResult<Vec<SourceRecord>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn set_source_keys(&self, account: AccountId, id: SourceId, keys: Vec<SourceKey>) -> StoreResult<bool> {
        Err(StoreError::broken("not built yet"))
    }

    async fn source(&self, id: SourceId) -> StoreResult<Option<SourceRecord>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn accept(&self, message: Verified) -> StoreResult<Acceptance> {
        Err(StoreError::broken("not built yet"))
    }

    async fn messages(
        &self,
        account: AccountId,
        filter: MessageFilter,
        after: Option<MessageNumber>,
        limit: usize,
    ) -> StoreResult<Page<Message, MessageNumber>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn message(&self, account: AccountId, number: MessageNumber) -> StoreResult<Option<Message>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn message_counts(&self, account: AccountId) -> StoreResult<MessageCounts> {
        Err(StoreError::broken("not built yet"))
    }

    async fn arrivals(&self, account: AccountId, fan_out: FanOutId) -> StoreResult<Option<Arrivals>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn fan_outs_seen(&self, account: AccountId, limit: usize) -> StoreResult<Vec<(FanOutId, Arrivals)>> {
        Err(StoreError::broken("not built yet"))
    }
}
