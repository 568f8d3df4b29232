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
impl Runs for PostgresStore {
    async fn introduce_handler(&self, account: AccountId, handler: &str, start: HandlerStart) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn claim_handler(
        &self,
        account: AccountId,
        handler: &str,
        node: NodeId,
        now: Timestamp,
        lease_for: Duration,
    ) -> StoreResult<Option<HandlerLease>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn renew_handler(
        &self,
        lease: &HandlerLease,
        now: Timestamp,
        lease_for: Option<Duration>,
    ) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn due_runs(&self, lease: &HandlerLease, now: Timestamp, wanted: RunsWanted) -> StoreResult<Vec<DueRun>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn newest_handled(
        &self,
        lease: &HandlerLease,
        subjects: Vec<Subject>,
    ) -> StoreResult<Vec<Option<(u64, MessageNumber)>>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn settle_runs(&self, lease: &HandlerLease, settlement: RunSettlement) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn runs(
        &self,
        account: AccountId,
        filter: RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> StoreResult<Page<RunRecord, RunCursor>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn order_runs(
        &self,
        account: AccountId,
        scope: &RunScope,
        order: RunOrder,
        piece: RunPiece,
    ) -> StoreResult<Ordered> {
        Err(StoreError::broken("not built yet"))
    }

    async fn handlers(&self, account: AccountId) -> StoreResult<Vec<HandlerStanding>> {
        Err(StoreError::broken("not built yet"))
    }
}
