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
impl Journal for PostgresStore {
    async fn deliveries(
        &self,
        account: AccountId,
        filter: DeliveryFilter,
        after: Option<DeliveryCursor>,
        limit: usize,
    ) -> StoreResult<Page<DeliverySummary, DeliveryCursor>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn delivery(&self, account: AccountId, id: DeliveryId) -> StoreResult<Option<DeliveryDetail>> {
        Err(StoreError::broken("not built yet"))
    }
}
