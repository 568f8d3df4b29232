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
impl Upkeep for PostgresStore {
    async fn retention(&self, account: AccountId) -> StoreResult<Retention> {
        Err(StoreError::broken("not built yet"))
    }

    async fn set_retention(&self, account: AccountId, retention: Retention) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn prune(&self, account: AccountId, what: Prunable, before: Timestamp, limit: usize) -> StoreResult<usize> {
        Err(StoreError::broken("not built yet"))
    }

    fn dedupe_window(&self) -> DedupeWindow {
        self.window
    }

    async fn forget_keys(&self, now: Timestamp, limit: usize) -> StoreResult<usize> {
        Err(StoreError::broken("not built yet"))
    }
}
