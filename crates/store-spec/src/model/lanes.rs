//! Lanes, in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::frontier::Place;
use provider::lane::LaneState;
use provider::segment;
use store::{
    Due, Exception, ExceptionState, FanOut, FanOutState, FanOutWork, LaneWork, Lanes, LastFailure, Lease, Member,
    OPEN_FAN_OUTS_MAX, OutdatedReplay, Recipient, Retry, Room, Settled, Settlement, StoreError, StoreResult,
};
use wire::{AccountId, FanOutId, NodeId};

use super::Model;
use super::tables::{EndpointRow, EventRow, FanOutRow, Tables};

#[async_trait]
impl Lanes for Model {
    async fn claim(&self, _owner: NodeId, now: Timestamp, lease_for: Duration, room: Room) -> StoreResult<Vec<Lease>> {
        let mut tables = self.tables();
        let by = now - room.overdue_by;
        let mut due: Vec<_> = tables
            .endpoints
            .iter()
            .filter(|((account, _), _)| !room.full_accounts.contains(account))
            .filter(|(_, row)| row.lease_until.is_none_or(|until| until <= by))
            .filter_map(|(key, row)| Some((row.due_at.filter(|due_at| *due_at <= by)?, *key)))
            .collect();
        due.sort();
        due.truncate(room.lanes);
        let leases = due.into_iter().filter_map(|(_, (account, endpoint))| {
            let row = tables.endpoints.get_mut(&(account, endpoint))?;
            row.lease_until = Some(now + lease_for);
            row.epoch += 1;
            Some(Lease { account, endpoint, epoch: row.epoch })
        });
        Ok(leases.collect())
    }

    async fn renew(&self, lease: Lease, now: Timestamp, lease_for: Duration) -> StoreResult<()> {
        self.tables().leased(lease)?.lease_until = Some(now + lease_for);
        Ok(())
    }

    async fn release(&self, lease: Lease, now: Timestamp) -> StoreResult<()> {
        let mut tables = self.tables();
        tables.leased(lease)?;
        tables.align(lease.account, lease.endpoint, now);
        let due_at = tables.next_due(lease.account, lease.endpoint, now);
        let row = tables.leased(lease)?;
        (row.lease_until, row.due_at) = (None, due_at);
        Ok(())
    }

    async fn work(&self, lease: Lease) -> StoreResult<LaneWork> {
        let mut tables = self.tables();
        let row = tables.endpoints.get(&(lease.account, lease.endpoint)).ok_or(StoreError::Missing("the endpoint"))?;
        let (endpoint, signal) = (row.endpoint.clone(), row.signal);
        tables.leased(lease)?;
        let of_lane = tables.fan_outs_to(lease.account, lease.endpoint).filter(|(_, row)| row.is_running());
        let (mut open, mut paced): (Vec<_>, Vec<_>) = of_lane
            .map(|(id, row)| (row.position, id, row.event, row.rate().is_some()))
            .partition(|(.., is_paced)| !is_paced);
        open.sort();
        paced.sort();
        open.truncate(OPEN_FAN_OUTS_MAX);
        open.extend(paced.into_iter().take(1));
        for (.., event, _) in &open {
            if let Some(row) = tables.events.get_mut(&(lease.account, *event)) {
                row.detail.summary.audience = Some(row.audience.len() as u64);
            }
        }
        let fan_outs = open.into_iter().filter_map(|(_, id, ..)| tables.work_on(lease.account, id)).collect();
        Ok(LaneWork { endpoint, fan_outs, signal })
    }

    async fn fan_out(&self, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOut>> {
        let tables = self.tables();
        Ok(tables.with_event(account, id).map(|(row, event)| fan_out(id, row, event)))
    }

    async fn audience_page(
        &self,
        account: AccountId,
        fan_out: FanOutId,
        after: Place,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        let tables = self.tables();
        let (row, event) = tables.with_event(account, fan_out).ok_or(StoreError::Missing("the fan-out"))?;
        let audience = row.listed().map_or_else(|| event.audience.clone(), |only| vec![only]);
        let next = audience.iter().filter(|number| **number > after.participant).take(limit);
        Ok((after.index + 1..)
            .zip(next)
            .map(|(index, number)| {
                let place = Place { participant: *number, index };
                tables.recipient(account, place).map_or(Member::Erased(place), Member::ToTell)
            })
            .collect())
    }

    async fn due_retries(&self, lease: Lease, now: Timestamp, limit: usize) -> StoreResult<Due> {
        let mut tables = self.tables();
        let signal = tables.leased(lease)?.signal;
        let mut due: Vec<_> =
            tables.retries_to(lease.account, lease.endpoint).filter(|(due, ..)| *due <= now).collect();
        due.sort_by_key(|(due, fan_out, number, _)| (*due, *fan_out, *number));
        due.retain(|(_, fan_out, ..)| {
            let state = tables.fan_outs.get(&(lease.account, *fan_out)).map(|row| row.state);
            matches!(state, Some(FanOutState::Running | FanOutState::Swept))
        });
        let retries = due.into_iter().take(limit).filter_map(|(_, fan_out, _, exception)| {
            let recipient = tables.recipient(lease.account, exception.place)?;
            let ExceptionState::Retrying { attempt, charged, .. } = exception.state else { return None };
            let is_outdated = tables.has_newer(lease.account, fan_out, exception.place.participant);
            Some(Retry { fan_out, recipient, attempt, charged, is_outdated })
        });
        Ok(Due { retries: retries.collect(), signal })
    }

    async fn settle(&self, lease: Lease, settlement: Arc<Settlement>) -> StoreResult<Settled> {
        let mut tables = self.tables();
        let row = tables.leased(lease)?;
        if let Some(health) = settlement.health {
            row.endpoint.health = health;
            row.due_at = match health {
                LaneState::Gone { .. } | LaneState::Disabled { .. } => None,
                LaneState::Open { until, .. } => row.due_at.map(|due_at| due_at.max(until)),
                LaneState::Healthy { .. } | LaneState::SlowStart { .. } => row.due_at,
            };
        }
        if let Some(failed) = settlement.failures.last() {
            row.endpoint.last_failure =
                Some(LastFailure { at: failed.finished_at, reason: failed.detail.reason.clone() });
        }
        row.per_minute = settlement.per_minute.or(row.per_minute);
        let signal = row.signal;
        tables.settle(lease, &settlement)?;
        Ok(Settled { signal })
    }
}

impl Tables {
    fn leased(&mut self, lease: Lease) -> StoreResult<&mut EndpointRow> {
        let row = self.endpoints.get_mut(&(lease.account, lease.endpoint));
        row.filter(|row| row.epoch == lease.epoch && row.lease_until.is_some()).ok_or(StoreError::Fenced)
    }

    fn settle(&mut self, lease: Lease, settlement: &Settlement) -> StoreResult<()> {
        let Tables { fan_outs, people, replays, .. } = self;
        let mut change = |id: FanOutId, change: &mut dyn FnMut(&mut FanOutRow)| {
            if let Some(row) = fan_outs.get_mut(&(lease.account, id)) {
                change(row);
            }
        };
        for (id, segment) in &settlement.segments {
            let entries = segment::unpack(&segment.bytes).map_err(StoreError::broken)?;
            change(*id, &mut |row| row.entries.extend(&entries));
        }
        settlement.cursors.iter().for_each(|(id, place)| change(*id, &mut |row| row.cursor = *place));
        settlement.delivered.iter().for_each(|(id, count)| {
            change(*id, &mut |row| {
                row.delivered += count;
                row.is_logged = true;
            });
        });
        for id in &settlement.swept {
            change(*id, &mut |row| {
                if row.is_running() {
                    row.state = FanOutState::Swept;
                }
            });
        }
        for exception in &settlement.exceptions {
            let number = exception.place.participant;
            let state = match exception.state {
                // It was on its way while the person was erased.
                ExceptionState::Retrying { attempt, .. } if !people.contains_key(&(lease.account, number)) => {
                    ExceptionState::Erased { attempts: attempt - 1 }
                }
                state => state,
            };
            change(exception.fan_out, &mut |row| {
                let before = row.exceptions.get(&number).and_then(|before| before.last);
                let last = exception.last.or(before);
                row.exceptions.insert(number, Exception { state, last, ..exception.clone() });
                row.is_logged = true;
            });
        }
        for failed in &settlement.failures {
            let key = (failed.participant, failed.attempt, failed.finished_at);
            change(failed.fan_out, &mut |row| {
                row.failures.insert(key, failed.detail.clone());
            });
        }
        for (id, number) in &settlement.recovered {
            change(*id, &mut |row| {
                row.exceptions.remove(number);
                if let Some(replay) = row.revived.remove(number).and_then(|id| replays.get_mut(&(lease.account, id))) {
                    replay.delivered += 1;
                }
            });
        }
        if let Some(notice) = &settlement.notice {
            self.raise(lease.account, notice.clone())?;
        }
        let last_failure = settlement.exceptions.iter().filter_map(|exception| exception.last).map(|(_, at)| at).max();
        if let Some(now) = last_failure {
            self.align(lease.account, lease.endpoint, now);
        }
        Ok(())
    }

    /// Whether a person got a newer version of the series from the same endpoint.
    fn has_newer(&self, account: AccountId, fan_out: FanOutId, participant: u64) -> bool {
        let Some((row, event)) = self.with_event(account, fan_out) else { return false };
        let of_lane = self.fan_outs_to(account, row.endpoint).filter_map(|(id, _)| self.with_event(account, id));
        if row.repeats.as_ref().is_some_and(|repeats| repeats.outdated == OutdatedReplay::Allowed) {
            return false;
        }
        let own = &event.detail.summary;
        of_lane
            .map(|(row, event)| (row, &event.detail.summary))
            .filter(|(_, other)| other.series == own.series && other.version > own.version)
            .flat_map(|(row, _)| &row.entries)
            .any(|entry| entry.participant == participant && entry.outcome.is_delivered())
    }

    pub(super) fn with_event(&self, account: AccountId, id: FanOutId) -> Option<(&FanOutRow, &EventRow)> {
        let row = self.fan_outs.get(&(account, id))?;
        Some((row, self.events.get(&(account, row.event))?))
    }

    fn work_on(&self, account: AccountId, id: FanOutId) -> Option<FanOutWork> {
        let (row, event) = self.with_event(account, id)?;
        let tried = row.entries.iter().map(|entry| entry.participant).chain(row.exceptions.keys().copied());
        let mut finished_beyond: Vec<u64> = tried.filter(|number| *number > row.cursor.participant).collect();
        finished_beyond.sort_unstable();
        finished_beyond.dedup();
        Some(FanOutWork { fan_out: fan_out(id, row, event), cursor: row.cursor, finished_beyond })
    }

    fn recipient(&self, account: AccountId, place: Place) -> Option<Recipient> {
        let person = self.people.get(&(account, place.participant))?;
        Some(Recipient { place, participant: person.participant.clone() })
    }
}

fn fan_out(id: FanOutId, row: &FanOutRow, event: &EventRow) -> FanOut {
    let (detail, summary) = (&event.detail, &event.detail.summary);
    FanOut {
        id,
        origin: row.repeats.as_ref().map_or(id, |repeats| repeats.origin),
        replay: row.repeats.as_ref().map(|repeats| repeats.replay),
        rate: row.rate(),
        event: summary.id,
        event_type: summary.event,
        trigger: summary.trigger,
        series: summary.series,
        version: summary.version,
        series_part: detail.series_part.clone(),
        attendee_instant: detail.attendee_instant,
        audience: row.listed().map(|_| 1).or(summary.audience).unwrap_or(0),
    }
}
