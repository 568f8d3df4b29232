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
impl Backlog for PostgresStore {
    async fn steer(
        &self,
        account: AccountId,
        event: EventId,
        endpoint: Option<EndpointId>,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn drop_backlog(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        Err(StoreError::broken("not built yet"))
    }
}
