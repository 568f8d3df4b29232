//! Orders to what waits, in memory: everything is brought in line at once.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::settings::OlderVersions;
use store::{Backlog, ExceptionState, FanOutState, OutdatedReplay, Steer, Steered, StoreResult};
use wire::{AccountId, EndpointId, EventId, FanOutId};

use super::Model;
use super::tables::{FanOutRow, Tables};

#[async_trait]
impl Backlog for Model {
    async fn steer(
        &self,
        account: AccountId,
        event: EventId,
        endpoint: Option<EndpointId>,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        let mut tables = self.tables();
        if !tables.events.contains_key(&(account, event)) {
            return Ok(None);
        }
        let is_meant = |row: &FanOutRow| row.event == event && endpoint.is_none_or(|only| only == row.endpoint);
        Ok(Some(tables.order(account, is_meant, steer, now)))
    }

    async fn drop_backlog(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        let mut tables = self.tables();
        if !tables.endpoints.contains_key(&(account, endpoint)) {
            return Ok(None);
        }
        Ok(Some(tables.order(account, |row| row.endpoint == endpoint, Steer::Cancel, now)))
    }
}

impl Tables {
    pub(super) fn order(
        &mut self,
        account: AccountId,
        is_meant: impl Fn(&FanOutRow) -> bool,
        steer: Steer,
        now: Timestamp,
    ) -> Steered {
        let mut told: BTreeMap<EndpointId, u64> = BTreeMap::new();
        for ((owner, _), row) in &mut self.fan_outs {
            if *owner == account && is_meant(row) {
                let changed = told.entry(row.endpoint).or_default();
                if row.obeys(steer) {
                    row.state = match steer {
                        Steer::Pause => FanOutState::Paused,
                        Steer::Resume => FanOutState::Running,
                        Steer::Cancel => FanOutState::Skipped,
                    };
                    *changed += 1;
                }
            }
        }
        let fan_outs = told.values().sum();
        for (endpoint, changed) in told {
            if self.align(account, endpoint, now) || changed > 0 {
                self.signal(account, endpoint);
                let due_at = self.next_due(account, endpoint, now);
                if let Some(row) = self.endpoints.get_mut(&(account, endpoint)) {
                    row.due_at = due_at;
                }
            }
        }
        Steered { fan_outs, is_more: false }
    }

    /// Brings all rows of a lane in line with the states of their fan-outs; whether any were not.
    pub(super) fn align(&mut self, account: AccountId, endpoint: EndpointId, now: Timestamp) -> bool {
        let of_lane =
            self.fan_outs.iter_mut().filter(|((owner, _), row)| *owner == account && row.endpoint == endpoint);
        of_lane.filter_map(|(_, row)| row.align(now).then_some(())).count() > 0
    }

    pub(super) fn signal(&mut self, account: AccountId, endpoint: EndpointId) {
        if let Some(row) = self.endpoints.get_mut(&(account, endpoint)) {
            row.signal += 1;
        }
    }

    /// Ends fan-outs of older versions of a series to an endpoint that wants only the newest, and replays of them anywhere.
    pub(super) fn supersede(&mut self, account: AccountId, fan_out: FanOutId, now: Timestamp) {
        let Some((row, event)) = self.with_event(account, fan_out) else { return };
        let (endpoint, series, version) = (row.endpoint, event.detail.summary.series, event.detail.summary.version);
        let wish = self.endpoints.get(&(account, endpoint)).map(|row| row.endpoint.settings.older_versions);
        let is_meant = |row: &FanOutRow| match &row.repeats {
            _ if wish == Some(OlderVersions::Supersede) => true,
            Some(repeats) => repeats.outdated == OutdatedReplay::Refused,
            None => false,
        };
        let is_older = |event: EventId| {
            let summary = self.events.get(&(account, event)).map(|row| &row.detail.summary);
            summary.is_some_and(|summary| summary.series == series && summary.version < version)
        };
        let of_lane = self.fan_outs_to(account, endpoint);
        let older: Vec<_> = of_lane.filter(|(_, row)| is_older(row.event) && is_meant(row)).collect();
        let ended: Vec<_> = older.into_iter().filter(|(_, row)| row.obeys(Steer::Cancel)).map(|(id, _)| id).collect();
        for id in &ended {
            if let Some(row) = self.fan_outs.get_mut(&(account, *id)) {
                row.state = FanOutState::Superseded;
            }
        }
        if !ended.is_empty() {
            self.align(account, endpoint, now);
            self.signal(account, endpoint);
        }
    }
}

impl FanOutRow {
    /// Whether an order changes anything.
    fn obeys(&self, steer: Steer) -> bool {
        let is_open = |state| matches!(state, ExceptionState::Retrying { .. } | ExceptionState::Held { .. });
        let is_unfinished = match self.state {
            FanOutState::Running | FanOutState::Paused => true,
            FanOutState::Swept => self.exceptions.values().any(|exception| is_open(exception.state)),
            FanOutState::Superseded | FanOutState::Skipped => false,
        };
        match steer {
            Steer::Pause => is_unfinished && self.state != FanOutState::Paused,
            Steer::Resume => self.state == FanOutState::Paused,
            Steer::Cancel => is_unfinished,
        }
    }

    /// Brings the rows in line with the state; whether any were not.
    fn align(&mut self, now: Timestamp) -> bool {
        let mut is_any = false;
        for exception in self.exceptions.values_mut() {
            let aligned = in_line(self.state, exception.state, now);
            is_any |= aligned != exception.state;
            exception.state = aligned;
        }
        is_any
    }
}

fn in_line(fan_out: FanOutState, row: ExceptionState, now: Timestamp) -> ExceptionState {
    let (attempt, charged) = match row {
        ExceptionState::Retrying { attempt, charged, .. } | ExceptionState::Held { attempt, charged } => {
            (attempt, charged)
        }
        ExceptionState::Abandoned { .. }
        | ExceptionState::Superseded { .. }
        | ExceptionState::Skipped { .. }
        | ExceptionState::Erased { .. } => return row,
    };
    match (fan_out, row) {
        (FanOutState::Running | FanOutState::Swept, ExceptionState::Held { .. }) => {
            ExceptionState::Retrying { due: now, attempt, charged }
        }
        (FanOutState::Running | FanOutState::Swept, _) => row,
        (FanOutState::Paused, _) => ExceptionState::Held { attempt, charged },
        (FanOutState::Superseded, _) => ExceptionState::Superseded { attempts: attempt - 1 },
        (FanOutState::Skipped, _) => ExceptionState::Skipped { attempts: attempt - 1 },
    }
}
