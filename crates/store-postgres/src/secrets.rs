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
impl Secrets for PostgresStore {
    async fn rotate_secret(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        rotation: Rotation,
    ) -> StoreResult<Option<Rotated>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn remove_expired_secrets(&self, now: Timestamp) -> StoreResult<u64> {
        Err(StoreError::broken("not built yet"))
    }
}
