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
impl Roster for PostgresStore {
    async fn create_mango(&self, account: AccountId, mango: Mango) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn mangoes(
        &self,
        account: AccountId,
        after: Option<MangoId>,
        limit: usize,
    ) -> StoreResult<Page<(Mango, u64), MangoId>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn mangoes_named(&self, account: AccountId, ids: &[MangoId]) -> StoreResult<Vec<Mango>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn enrol(&self, account: AccountId, group: Group, members: Vec<NewMember>) -> StoreResult<Enrolled> {
        Err(StoreError::broken("not built yet"))
    }

    async fn register_late(&self, account: AccountId, late: LateRegistration) -> StoreResult<Enrolled> {
        Err(StoreError::broken("not built yet"))
    }

    async fn leave(&self, account: AccountId, group: Group, participant: u64) -> StoreResult<bool> {
        Err(StoreError::broken("not built yet"))
    }

    async fn participant(&self, account: AccountId, number: u64) -> StoreResult<Option<ParticipantRecord>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn participant_by_email(&self, account: AccountId, email: &str) -> StoreResult<Option<ParticipantRecord>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn preview(&self, account: AccountId, targets: Targets) -> StoreResult<(u64, Option<ParticipantRecord>)> {
        Err(StoreError::broken("not built yet"))
    }
}
