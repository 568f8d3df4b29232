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
impl Erasures for PostgresStore {
    async fn erase(&self, account: AccountId, erase: Erase) -> StoreResult<Option<Erasure>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn erasure(&self, account: AccountId, id: ErasureId) -> StoreResult<Option<Erasure>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn searches(&self, limit: usize) -> StoreResult<Vec<Search>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn messages_to_search(&self, search: &Search, limit: usize) -> StoreResult<Vec<Message>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn note_search(&self, search: Search, searched: Searched) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn seal(&self, now: Timestamp) -> StoreResult<usize> {
        Err(StoreError::broken("not built yet"))
    }
}
