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
impl Agendas for PostgresStore {
    async fn agendas(&self, account: AccountId, handler: &str, person: &str) -> StoreResult<Vec<Agenda>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn series_agenda(&self, account: AccountId, handler: &str, series: &str) -> StoreResult<Option<Agenda>> {
        Err(StoreError::broken("not built yet"))
    }

    async fn keep_agendas(&self, account: AccountId, handler: &str, agendas: Vec<Agenda>) -> StoreResult<()> {
        Err(StoreError::broken("not built yet"))
    }

    async fn calendar_token(
        &self,
        account: AccountId,
        handler: &str,
        of: CalendarOf,
        fresh: [u8; 20],
    ) -> StoreResult<[u8; 20]> {
        Err(StoreError::broken("not built yet"))
    }

    async fn calendar(&self, token: [u8; 20]) -> StoreResult<Option<Calendar>> {
        Err(StoreError::broken("not built yet"))
    }
}
