//! Replays, in memory.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use provider::fan_out::replay_fan_out_id;
use provider::frontier::Place;
use store::{
    DueReplay, ExceptionState, FanOutState, Foreseen, NewReplay, OPEN_REPLAYS_MAX, OutdatedReplay, Page, Replay,
    ReplayScope, ReplayState, ReplayWay, Replays, Revived, Started, Steer, Steered, StoreResult,
};
use wire::{AccountId, DeliveryId, EndpointId, FanOutId, ParticipantNumber, ReplayId};

use super::Model;
use super::tables::{EndpointRow, FanOutRow, Forgotten, Repeats, Tables};

#[derive(Debug)]
pub(super) struct ReplayRow {
    new: NewReplay,
    state: ReplayState,
    begun: u64,
    pub(super) delivered: u64,
    cursor: Option<(FanOutId, u64)>,
    due_at: Timestamp,
}

#[async_trait]
impl Replays for Model {
    async fn foresee(&self, account: AccountId, scope: ReplayScope, now: Timestamp) -> StoreResult<Option<Foreseen>> {
        Ok(self.tables().foresee(account, scope, now))
    }

    async fn start_replay(&self, account: AccountId, new: NewReplay) -> StoreResult<Started> {
        let mut tables = self.tables();
        let of_account = tables.replays.keys().filter(|(owner, _)| *owner == account);
        let states = of_account.filter_map(|(_, id)| tables.shown(account, *id)).map(|replay| replay.state);
        if states.filter(|state| matches!(state, ReplayState::Running | ReplayState::Paused)).count()
            >= OPEN_REPLAYS_MAX
        {
            return Ok(Started::TooMany);
        }
        let newer = tables.newer_version(account, new.scope);
        if let (ReplayWay::Resend, OutdatedReplay::Refused, Some(newer)) = (new.way, new.outdated, newer) {
            return Ok(Started::Outdated { newer });
        }
        tables.require_account(account)?;
        if tables.replays.contains_key(&(account, new.id)) {
            return Err(store::StoreError::Exists("a replay with this id"));
        }
        let state = ReplayState::Running;
        let row = ReplayRow { new, state, begun: 0, delivered: 0, cursor: None, due_at: new.now };
        tables.replays.insert((account, new.id), row);
        if new.way == ReplayWay::Resend {
            tables.resend(account, &new);
        }
        Ok(Started::Replay(tables.shown(account, new.id).expect("it was just made")))
    }

    async fn replay(&self, account: AccountId, id: ReplayId) -> StoreResult<Option<Replay>> {
        Ok(self.tables().shown(account, id))
    }

    async fn replays(
        &self,
        account: AccountId,
        after: Option<ReplayId>,
        limit: usize,
    ) -> StoreResult<Page<Replay, ReplayId>> {
        let tables = self.tables();
        let ids =
            tables.replays.keys().rev().filter(|(owner, id)| *owner == account && after.is_none_or(|at| *id < at));
        let found = ids.take(limit + 1).filter_map(|(_, id)| tables.shown(account, *id)).collect();
        Ok(Page::cut(found, limit, |replay: &Replay| replay.id))
    }

    async fn steer_replay(
        &self,
        account: AccountId,
        id: ReplayId,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        let mut tables = self.tables();
        let Some(row) = tables.replays.get_mut(&(account, id)) else { return Ok(None) };
        match (steer, row.state) {
            (Steer::Pause, ReplayState::Running) => row.state = ReplayState::Paused,
            (Steer::Resume, ReplayState::Paused) => (row.state, row.due_at) = (ReplayState::Running, now),
            (Steer::Cancel, ReplayState::Running | ReplayState::Paused) => row.state = ReplayState::Cancelled,
            (Steer::Pause | Steer::Resume | Steer::Cancel, _) => {}
        }
        Ok(Some(match row.new.way {
            ReplayWay::Revive => Steered { fan_outs: 0, is_more: false },
            ReplayWay::Resend => tables.order(account, |row| row.is_of(id), steer, now),
        }))
    }

    async fn due_replays(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<DueReplay>> {
        let tables = self.tables();
        let is_due = |row: &ReplayRow| {
            row.state == ReplayState::Running && row.new.way == ReplayWay::Revive && row.due_at <= now
        };
        let mut due: Vec<_> = tables.replays.iter().filter(|(_, row)| is_due(row)).collect();
        due.sort_by_key(|(key, row)| (row.due_at, **key));
        Ok(due
            .into_iter()
            .take(limit)
            .map(|((account, id), row)| DueReplay {
                account: *account,
                id: *id,
                rate: row.new.rate,
                waiting: tables.waiting(*account, *id),
                begun: row.begun,
                due_at: row.due_at,
            })
            .collect())
    }

    async fn revive(&self, due: DueReplay, turn: provider::replay::Turn, now: Timestamp) -> StoreResult<Revived> {
        let mut tables = self.tables();
        let Some(row) = tables.replays.get(&(due.account, due.id)) else {
            return Ok(Revived { deliveries: 0, state: ReplayState::Cancelled });
        };
        if row.state != ReplayState::Running || row.begun != due.begun || row.due_at != due.due_at {
            return Ok(Revived { deliveries: 0, state: row.state });
        }
        let rest = tables.failed(due.account, row.new.scope, (row.new.now, now), Some(due.id));
        let rest = rest.into_iter().filter(|at| row.cursor.is_none_or(|cursor| *at > cursor));
        let chunk: Vec<_> = rest.take(turn.deliveries as usize).collect();
        let is_last = turn.deliveries > 0 && (chunk.len() as u64) < turn.deliveries;
        tables.put_into_queue(due, &chunk, now);
        let row = tables.replays.get_mut(&(due.account, due.id)).expect("found above");
        row.begun += chunk.len() as u64;
        row.cursor = chunk.last().copied().or(row.cursor);
        row.due_at = turn.next_at;
        row.state = if is_last { ReplayState::Done } else { ReplayState::Running };
        Ok(Revived { deliveries: chunk.len() as u64, state: row.state })
    }
}

impl Tables {
    fn foresee(&self, account: AccountId, scope: ReplayScope, now: Timestamp) -> Option<Foreseen> {
        let log = self.log(account);
        let standing = |id: DeliveryId| log.iter().map(|(_, delivery)| delivery).find(|one| one.id == id).cloned();
        let has_endpoint = |id: Option<EndpointId>| id.is_none_or(|id| self.endpoints.contains_key(&(account, id)));
        let exists = match scope {
            ReplayScope::Delivery(id) => standing(id).is_some(),
            ReplayScope::Failed { event, endpoint, .. } => {
                event.is_none_or(|event| self.events.contains_key(&(account, event))) && has_endpoint(endpoint)
            }
            ReplayScope::Event { event, endpoint } => {
                self.events.contains_key(&(account, event)) && has_endpoint(endpoint)
            }
        };
        if !exists {
            return None;
        }
        let failed = match scope {
            ReplayScope::Event { .. } => Vec::new(),
            ReplayScope::Delivery(_) | ReplayScope::Failed { .. } => self.failed(account, scope, (now, now), None),
        };
        if !failed.is_empty() || matches!(scope, ReplayScope::Failed { .. }) {
            let example = failed.first().and_then(|(fan_out, number)| standing(delivery(*fan_out, *number)));
            return Some(Foreseen { deliveries: failed.len() as u64, example, way: ReplayWay::Revive, newer: None });
        }
        let (deliveries, example) = match scope {
            ReplayScope::Delivery(id) => (u64::from(!self.has_its_turn(account, id)), standing(id)),
            ReplayScope::Failed { .. } => (0, None),
            ReplayScope::Event { event, .. } => {
                let repeated = self.repeated(account, scope);
                let audience = &self.events[&(account, event)].audience;
                let first = repeated.first().zip(audience.first());
                let example = first.and_then(|((fan_out, _), number)| standing(delivery(*fan_out, *number)));
                ((audience.len() * repeated.len()) as u64, example)
            }
        };
        let newer = self.newer_version(account, scope);
        Some(Foreseen { deliveries, example, way: ReplayWay::Resend, newer })
    }

    fn has_its_turn(&self, account: AccountId, id: DeliveryId) -> bool {
        let row = self.fan_outs.get(&(account, id.fan_out()));
        row.and_then(|row| row.exceptions.get(&id.participant().get())).is_some_and(|exception| {
            matches!(exception.state, ExceptionState::Retrying { .. } | ExceptionState::Held { .. })
        })
    }

    /// What has failed and waits for nothing near, in order; only what had failed by a time, as of now.
    fn failed(
        &self,
        account: AccountId,
        scope: ReplayScope,
        (until, now): (Timestamp, Timestamp),
        by: Option<ReplayId>,
    ) -> Vec<(FanOutId, u64)> {
        let is_meant = |id: FanOutId, row: &FanOutRow, number: u64| match scope {
            ReplayScope::Delivery(only) => only.fan_out() == id && only.participant().get() == number,
            ReplayScope::Failed { event, endpoint, .. } => {
                event.is_none_or(|event| event == row.event) && endpoint.is_none_or(|endpoint| endpoint == row.endpoint)
            }
            ReplayScope::Event { .. } => false,
        };
        let since = match scope {
            ReplayScope::Failed { since, .. } => since,
            ReplayScope::Delivery(_) | ReplayScope::Event { .. } => None,
        };
        let mut found = Vec::new();
        for ((_, id), row) in self.fan_outs.iter().filter(|((owner, _), _)| *owner == account) {
            if !matches!(row.state, FanOutState::Running | FanOutState::Swept) {
                continue;
            }
            for (number, exception) in row.exceptions.iter().filter(|(number, _)| is_meant(*id, row, **number)) {
                let has_failed = match exception.state {
                    ExceptionState::Abandoned { .. } => true,
                    ExceptionState::Retrying { due, charged, .. } => charged > 0 && due > now,
                    ExceptionState::Held { .. }
                    | ExceptionState::Superseded { .. }
                    | ExceptionState::Skipped { .. }
                    | ExceptionState::Erased { .. } => false,
                };
                let last = exception.last.map_or(Timestamp::UNIX_EPOCH, |(_, at)| at);
                let is_in_time = since.is_none_or(|since| last >= since) && last <= until;
                let was_had = by.is_some() && row.revived.get(number) == by.as_ref();
                let is_known = self.people.contains_key(&(account, *number));
                if has_failed && is_in_time && is_known && !was_had {
                    found.push((*id, *number));
                }
            }
        }
        found
    }

    fn put_into_queue(&mut self, due: DueReplay, chunk: &[(FanOutId, u64)], now: Timestamp) {
        let mut endpoints = BTreeSet::new();
        for (fan_out, number) in chunk {
            let Some(row) = self.fan_outs.get_mut(&(due.account, *fan_out)) else { continue };
            endpoints.insert(row.endpoint);
            row.revived.insert(*number, due.id);
            if let Some(exception) = row.exceptions.get_mut(number) {
                let attempt = match exception.state {
                    ExceptionState::Abandoned { attempts } => attempts + 1,
                    ExceptionState::Retrying { attempt, .. } => attempt,
                    other => unreachable!("{other:?} has not failed"),
                };
                exception.state = ExceptionState::Retrying { due: now, attempt, charged: 0 };
            }
        }
        endpoints.into_iter().for_each(|endpoint| self.wake(due.account, endpoint, now));
    }

    fn wake(&mut self, account: AccountId, endpoint: EndpointId, now: Timestamp) {
        let due_at = self.next_due(account, endpoint, now);
        if let Some(row) = self.endpoints.get_mut(&(account, endpoint)) {
            row.due_at = due_at.map(|due_at| row.due_at.map_or(due_at, |earlier| earlier.min(due_at)));
        }
    }

    fn waiting(&self, account: AccountId, id: ReplayId) -> u64 {
        let rows = self.fan_outs.iter().filter(|((owner, _), row)| {
            *owner == account && self.endpoints.get(&(account, row.endpoint)).is_some_and(EndpointRow::is_at_work)
        });
        let revived = rows.flat_map(|(_, row)| {
            let mine = row.revived.iter().filter(move |(_, by)| **by == id);
            mine.filter_map(|(number, _)| row.exceptions.get(number))
        });
        let untried = revived.filter(|exception| {
            matches!(
                exception.state,
                ExceptionState::Retrying { charged: 0, .. } | ExceptionState::Held { charged: 0, .. }
            )
        });
        untried.count() as u64
    }

    fn repeated(&self, account: AccountId, scope: ReplayScope) -> Vec<(FanOutId, EndpointId)> {
        let of_account = self.fan_outs.iter().filter(|((owner, _), _)| *owner == account);
        let meant = of_account.filter(|((_, id), row)| match scope {
            ReplayScope::Delivery(only) => only.fan_out() == *id,
            ReplayScope::Event { event, endpoint } => {
                row.repeats.is_none() && row.event == event && endpoint.is_none_or(|only| only == row.endpoint)
            }
            ReplayScope::Failed { .. } => false,
        });
        let mut found: Vec<_> = meant.map(|((_, id), row)| (*id, row.endpoint)).collect();
        found.sort_by_key(|(_, endpoint)| *endpoint);
        found
    }

    fn newer_version(&self, account: AccountId, scope: ReplayScope) -> Option<u32> {
        let repeated = self.repeated(account, scope).into_iter();
        let newest = repeated.filter_map(|(id, endpoint)| {
            let own = &self.with_event(account, id)?.1.detail.summary;
            let of_lane = self.fan_outs_to(account, endpoint).filter_map(|(id, _)| self.with_event(account, id));
            let newer = of_lane.filter(|(row, event)| {
                let other = &event.detail.summary;
                let was_told = row.delivered > 0 || matches!(row.state, FanOutState::Running | FanOutState::Paused);
                other.series == own.series && other.version > own.version && was_told
            });
            newer.map(|(_, event)| event.detail.summary.version).max()
        });
        newest.max()
    }

    fn resend(&mut self, account: AccountId, new: &NewReplay) {
        self.events_ever += 1;
        let listed = match new.scope {
            ReplayScope::Delivery(id) => Some(id.participant().get()),
            ReplayScope::Failed { .. } | ReplayScope::Event { .. } => None,
        };
        for (repeated, endpoint) in self.repeated(account, new.scope) {
            let row = &self.fan_outs[&(account, repeated)];
            let origin = row.repeats.as_ref().map_or(repeated, |repeats| repeats.origin);
            let repeats =
                Repeats { replay: new.id, origin, listed, rate: new.rate, outdated: new.outdated, created_at: new.now };
            let row = FanOutRow {
                event: row.event,
                endpoint,
                repeats: Some(repeats),
                revived: BTreeMap::new(),
                position: self.events_ever,
                state: FanOutState::Running,
                cursor: Place::default(),
                delivered: 0,
                entries: Vec::new(),
                failures: BTreeMap::new(),
                is_logged: true,
                forgotten: Forgotten::default(),
                exceptions: BTreeMap::new(),
            };
            self.fan_outs.insert((account, replay_fan_out_id(new.id, endpoint)), row);
            self.wake(account, endpoint, new.now);
        }
    }

    fn shown(&self, account: AccountId, id: ReplayId) -> Option<Replay> {
        let row = self.replays.get(&(account, id))?;
        let fan_outs = || self.fan_outs.iter().filter(|((owner, _), _)| *owner == account).map(|(_, row)| row);
        let own = || fan_outs().filter(|row| row.is_of(id));
        let states: Vec<_> = match row.new.way {
            ReplayWay::Resend => own().flat_map(|row| row.exceptions.values().map(|one| one.state)).collect(),
            ReplayWay::Revive => fan_outs()
                .flat_map(|row| row.exceptions.iter().filter(|(number, _)| row.revived.get(number) == Some(&id)))
                .map(|(_, one)| one.state)
                .collect(),
        };
        let count =
            |is_meant: fn(&ExceptionState) -> bool| states.iter().filter(|state| is_meant(state)).count() as u64;
        let is_open = own().any(|row| matches!(row.state, FanOutState::Running | FanOutState::Paused));
        let resent: u64 = own().map(|row| row.delivered).sum();
        // What is counted only, since its log is no longer kept.
        let forgotten = |count: fn(&Forgotten) -> u64| own().map(|row| count(&row.forgotten)).sum::<u64>();
        let ended = states.len() as u64 + forgotten(|of| of.abandoned + of.called_off + of.erased);
        let (begun, delivered, state) = match (row.new.way, row.state) {
            (ReplayWay::Revive, state) => (row.begun, row.delivered, state),
            (ReplayWay::Resend, ReplayState::Running) if !is_open => (resent + ended, resent, ReplayState::Done),
            (ReplayWay::Resend, state) => (resent + ended, resent, state),
        };
        Some(Replay {
            id,
            scope: row.new.scope,
            way: row.new.way,
            state,
            rate: row.new.rate,
            counted: row.new.deliveries,
            begun,
            delivered,
            waiting: count(|state| matches!(state, ExceptionState::Retrying { .. } | ExceptionState::Held { .. })),
            abandoned: count(|state| matches!(state, ExceptionState::Abandoned { .. })) + forgotten(|of| of.abandoned),
            called_off: count(|state| {
                matches!(state, ExceptionState::Superseded { .. } | ExceptionState::Skipped { .. })
            }) + forgotten(|of| of.called_off),
            created_at: row.new.now,
        })
    }
}

fn delivery(fan_out: FanOutId, participant: u64) -> DeliveryId {
    DeliveryId::new(fan_out, ParticipantNumber::new(participant).expect("participants are numbered from one"))
}
