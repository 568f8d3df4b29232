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
impl Replays for PostgresStore {
    async fn foresee(&self, account: AccountId, scope: ReplayScope, now: Timestamp) -> StoreResult<Option<Foreseen>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn start_replay(&self, account: AccountId, new: NewReplay) -> StoreResult<Started> {
        Err(StoreError::broken("not built yet"))
    }

    async fn replay(&self, account: AccountId, id: ReplayId) -> StoreResult<Option<Replay>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn replays(
        &self,
        account: AccountId,
        after: Option<ReplayId>,
        limit: usize,
    ) -> StoreResult<Page<Replay, ReplayId>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn steer_replay(
        &self,
        account: AccountId,
        id: ReplayId,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn due_replays(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<DueReplay>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn revive(&self, due: DueReplay, turn: provider::replay::Turn, now: Timestamp) -> StoreResult<Revived> {
        Err(StoreError::broken("not built yet"))
    }
}
