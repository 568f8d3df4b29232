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
impl Rules for PostgresStore {
    async fn series_to_compare(
        &self,
        tzdb_version: &str,
        now: Timestamp,
        after: Option<ToCompare>,
        limit: usize,
    ) -> StoreResult<Page<ToCompare, ToCompare>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn announced(&self, account: AccountId, series: SeriesId) -> StoreResult<Option<Announced>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn note_compared(&self, tzdb_version: &str, compared: Vec<Compared>) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }
}
