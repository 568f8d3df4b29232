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
impl Subscriptions for PostgresStore {
    async fn subscribe(&self, account: AccountId, new: NewSubscription) -> StoreResult<Subscribed> {
        Err(StoreError::broken("not built yet"))
    }

    async fn subscriptions(
        &self,
        account: AccountId,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> StoreResult<Page<SubscriptionRecord, SubscriptionId>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn subscription(&self, account: AccountId, id: SubscriptionId) -> StoreResult<Option<SubscriptionRecord>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId) -> StoreResult<bool> {
        Err(StoreError::broken("not built yet"))
    }

    async fn endpoints(
        &self,
        account: AccountId,
        after: Option<EndpointId>,
        limit: usize,
    ) -> StoreResult<Page<Endpoint, EndpointId>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn endpoint(&self, account: AccountId, id: EndpointId) -> StoreResult<Option<Endpoint>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn change_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        change: EndpointChange,
        now: Timestamp,
    ) -> StoreResult<Option<Endpoint>> {
        Err(StoreError::broken("not built yet"))
    }
}
