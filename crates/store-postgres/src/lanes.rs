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
impl Lanes for PostgresStore {
    async fn claim(&self, owner: NodeId, now: Timestamp, lease_for: Duration, room: Room) -> StoreResult<Vec<Lease>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn renew(&self, lease: Lease, now: Timestamp, lease_for: Duration) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn release(&self, lease: Lease, now: Timestamp) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn work(&self, lease: Lease) -> StoreResult<LaneWork> {
        Err(StoreError::broken("not built yet"))
    }

    async fn fan_out(&self, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOut>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn audience_page(
        &self,
        account: AccountId,
        fan_out: FanOutId,
        after: Place,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn due_retries(&self, lease: Lease, now: Timestamp, limit: usize) -> StoreResult<Due> {
        Err(StoreError::broken("not built yet"))
    }

    async fn settle(&self, lease: Lease, settlement: Arc<Settlement>) -> StoreResult<Settled> {
        Err(StoreError::broken("not built yet"))
    }
}
