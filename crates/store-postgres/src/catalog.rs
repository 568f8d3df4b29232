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
impl Catalog for PostgresStore {
    async fn save_series(&self, account: AccountId, save: SaveSeries) -> StoreResult<Saved> {
        Err(StoreError::broken("not built yet"))
    }

    async fn series(&self, account: AccountId, id: SeriesId) -> StoreResult<Option<SeriesRecord>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn series_list(
        &self,
        account: AccountId,
        after: Option<SeriesId>,
        limit: usize,
    ) -> StoreResult<Page<SeriesRecord, SeriesId>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn series_of_session(&self, account: AccountId, session: SessionId) -> StoreResult<Option<SeriesId>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn events(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> StoreResult<Page<EventSummary, EventId>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn event(&self, account: AccountId, id: EventId) -> StoreResult<Option<EventDetail>> {
        Err(StoreError::broken("not built yet"))
    }
}
