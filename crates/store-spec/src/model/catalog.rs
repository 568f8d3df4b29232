//! Series, sessions and events, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::fan_out::fan_out_id;
use provider::frontier::Place;
use provider::subscription::Announcement;
use store::{
    Catalog, Ending, EventDetail, EventSummary, ExceptionState, FanOutProgress, FanOutState, NewEvent, Page,
    SaveSeries, Saved, SeriesRecord, StoreError, StoreResult, Targets,
};
use webinar::{Announced, AnnouncedSession, Series, SeriesId, SessionId};
use wire::{AccountId, EndpointId, EventId, FanOutId};

use super::Model;
use super::tables::{EventRow, FanOutRow, Forgotten, SeriesRow, Tables, newest_first};

#[async_trait]
impl Catalog for Model {
    async fn save_series(&self, account: AccountId, save: SaveSeries) -> StoreResult<Saved> {
        let mut tables = self.tables();
        let version = tables.next_version(account, &save)?;
        tables.require_account(account)?;
        if tables.events.contains_key(&(account, save.event.id)) {
            return Err(StoreError::Exists("an event with this id"));
        }
        let former =
            tables.series.get(&(account, save.series.id())).map(|row| row.sessions.clone()).unwrap_or_default();
        tables.save_version(account, &save, version);
        let people = tables.people_of(account, &targets_of(&save.series));
        let announced =
            Announcing { series: &save.series, event: &save.event, version, is_for_everyone: true, now: save.now };
        let fan_outs = tables.announce(account, &announced, &former, people);
        Ok(Saved { version, fan_outs })
    }

    async fn series(&self, account: AccountId, id: SeriesId) -> StoreResult<Option<SeriesRecord>> {
        Ok(self.tables().series.get(&(account, id)).map(|row| row.record.clone()))
    }

    async fn series_list(
        &self,
        account: AccountId,
        after: Option<SeriesId>,
        limit: usize,
    ) -> StoreResult<Page<SeriesRecord, SeriesId>> {
        Ok(newest_first(&self.tables().series, account, after, limit, |row| row.record.clone()))
    }

    async fn series_of_session(&self, account: AccountId, session: SessionId) -> StoreResult<Option<SeriesId>> {
        let tables = self.tables();
        let mut of_account = tables.series.iter().filter(|((owner, _), _)| *owner == account);
        Ok(of_account.find(|(_, row)| row.sessions_ever.contains(&session)).map(|((_, id), _)| *id))
    }

    async fn events(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> StoreResult<Page<EventSummary, EventId>> {
        let tables = self.tables();
        Ok(newest_first(&tables.events, account, after, limit, |row| tables.with_progress(account, row).summary))
    }

    async fn event(&self, account: AccountId, id: EventId) -> StoreResult<Option<EventDetail>> {
        let tables = self.tables();
        Ok(tables.events.get(&(account, id)).map(|row| tables.with_progress(account, row)))
    }
}

/// A version to be announced.
pub(super) struct Announcing<'a> {
    pub(super) series: &'a Series,
    pub(super) event: &'a NewEvent,
    pub(super) version: u32,
    pub(super) is_for_everyone: bool,
    pub(super) now: Timestamp,
}

/// Whom a series concerns.
pub(super) fn targets_of(series: &Series) -> Targets {
    let (mangoes, excluded) = (series.mangoes().to_vec(), series.excluded_mangoes().to_vec());
    Targets { series: series.id(), mangoes, excluded }
}

impl Tables {
    fn next_version(&self, account: AccountId, save: &SaveSeries) -> StoreResult<u32> {
        let found = self.series.get(&(account, save.series.id())).map_or(0, |row| row.record.version);
        if found == save.from_version {
            return Ok(found + 1);
        }
        Err(StoreError::VersionConflict { expected: save.from_version, found })
    }

    /// Notes an event that concerns these people, and its fan-outs.
    pub(super) fn announce(
        &mut self,
        account: AccountId,
        announced: &Announcing<'_>,
        former_sessions: &[SessionId],
        people: Vec<u64>,
    ) -> Vec<(FanOutId, EndpointId)> {
        let event = announced.event.id;
        let told = self.told(account, announced, former_sessions);
        self.save_event(account, announced, people);
        let fan_outs: Vec<_> = told.into_iter().map(|endpoint| (fan_out_id(event, endpoint), endpoint)).collect();
        for (id, endpoint) in &fan_outs {
            let row = FanOutRow {
                event,
                endpoint: *endpoint,
                repeats: None,
                revived: BTreeMap::new(),
                position: self.events_ever,
                state: FanOutState::Running,
                cursor: Place::default(),
                delivered: 0,
                entries: Vec::new(),
                exceptions: BTreeMap::new(),
                failures: BTreeMap::new(),
                is_logged: true,
                forgotten: Forgotten::default(),
            };
            self.fan_outs.insert((account, *id), row);
            if announced.is_for_everyone {
                self.supersede(account, *id, announced.now);
            }
            let due_at = self.next_due(account, *endpoint, announced.now);
            if let Some(row) = self.endpoints.get_mut(&(account, *endpoint)) {
                // What has been due for longer stays so.
                row.due_at = due_at.map(|due_at| row.due_at.map_or(due_at, |earlier| earlier.min(due_at)));
            }
        }
        fan_outs
    }

    /// The endpoints to be told, in order.
    fn told(&self, account: AccountId, announced: &Announcing<'_>, former_sessions: &[SessionId]) -> Vec<EndpointId> {
        let after = announced.series.sessions().iter().map(|session| session.id);
        let sessions: Vec<SessionId> = after.chain(former_sessions.iter().copied()).collect();
        let event = announced.event.event;
        let announcement = Announcement { event, series: announced.series.id(), sessions: &sessions };
        let of_account = self.subscriptions.iter().filter(|((owner, _), _)| *owner == account);
        let concerned = of_account.filter(|(_, record)| record.subscription.concerns(&announcement));
        let mut told: Vec<EndpointId> = concerned.map(|(_, record)| record.subscription.endpoint).collect();
        told.sort();
        told.dedup();
        told
    }

    fn save_version(&mut self, account: AccountId, save: &SaveSeries, version: u32) {
        let id = save.series.id();
        let before = self.series.remove(&(account, id));
        let cancelled_before = before.as_ref().and_then(|row| row.record.cancelled_at);
        let sessions: Vec<SessionId> = save.series.sessions().iter().map(|session| session.id).collect();
        let record = SeriesRecord {
            id,
            version,
            draft: save.series.draft().clone(),
            cancelled_at: match save.ending {
                Ending::GoesOn => None,
                Ending::Cancelled => Some(cancelled_before.unwrap_or(save.now)),
            },
            created_at: before.as_ref().map_or(save.now, |row| row.record.created_at),
            saved_at: save.now,
        };
        let mut sessions_ever = before.map(|row| row.sessions_ever).unwrap_or_default();
        sessions_ever.extend(&sessions);
        let scheduled = || save.series.sessions().iter().filter(|session| session.is_scheduled());
        let mut begins: Vec<_> =
            scheduled().map(|session| AnnouncedSession { id: session.id, begin: session.begin }).collect();
        begins.sort_by_key(|session| session.id);
        let tzdb_version = save.event.tzdb_version.clone();
        let row = SeriesRow {
            record,
            sessions,
            sessions_ever,
            ends_at: scheduled().map(|session| session.end.instant).max().unwrap_or(Timestamp::UNIX_EPOCH),
            compared: tzdb_version.clone(),
            announced: Announced { version, tzdb_version, sessions: begins },
        };
        self.series.insert((account, id), row);
    }

    fn save_event(&mut self, account: AccountId, announced: &Announcing<'_>, audience: Vec<u64>) {
        let (event, series) = (announced.event, announced.series);
        let summary = EventSummary {
            id: event.id,
            event: event.event,
            trigger: event.trigger,
            series: series.id(),
            version: announced.version,
            title: series.title().to_owned(),
            tzdb_version: event.tzdb_version.clone(),
            created_at: announced.now,
            audience: None,
            fan_outs: Vec::new(),
        };
        let (series_part, attendee_instant) = (event.series_part.clone(), event.attendee_instant);
        let detail = EventDetail { summary, series_part, attendee_instant };
        self.events_ever += 1;
        self.events.insert((account, event.id), EventRow { detail, audience });
    }

    fn with_progress(&self, account: AccountId, row: &EventRow) -> EventDetail {
        let mut detail = row.detail.clone();
        let of_account = self.fan_outs.iter().filter(|((owner, _), _)| *owner == account);
        let of_event = of_account.filter(|(_, fan_out)| fan_out.event == detail.summary.id);
        detail.summary.fan_outs = of_event
            .map(|((_, id), fan_out)| {
                let count = |is_meant: fn(ExceptionState) -> bool| {
                    fan_out.exceptions.values().filter(|exception| is_meant(exception.state)).count() as u64
                };
                let lane = self.endpoints.get(&(account, fan_out.endpoint));
                FanOutProgress {
                    id: *id,
                    endpoint: fan_out.endpoint,
                    replay: fan_out.repeats.as_ref().map(|repeats| (repeats.replay, repeats.listed.map(|_| 1))),
                    state: fan_out.state,
                    delivered: fan_out.delivered,
                    retrying: count(|state| matches!(state, ExceptionState::Retrying { .. })),
                    held: count(|state| matches!(state, ExceptionState::Held { .. })),
                    abandoned: count(|state| matches!(state, ExceptionState::Abandoned { .. }))
                        + fan_out.forgotten.abandoned,
                    called_off: count(|state| {
                        matches!(state, ExceptionState::Superseded { .. } | ExceptionState::Skipped { .. })
                    }) + fan_out.forgotten.called_off,
                    erased: count(|state| matches!(state, ExceptionState::Erased { .. })) + fan_out.forgotten.erased,
                    ahead: self.ahead(account, fan_out),
                    per_minute: lane.and_then(|lane| lane.per_minute(fan_out.rate())),
                }
            })
            .collect();
        detail
    }

    /// Deliveries of earlier fan-outs to the same endpoint that have not begun.
    fn ahead(&self, account: AccountId, fan_out: &FanOutRow) -> u64 {
        let of_lane = self.fan_outs_to(account, fan_out.endpoint).map(|(_, row)| row);
        let earlier = of_lane.filter(|row| row.is_running() && row.position < fan_out.position && row.rate().is_none());
        let waiting = earlier.map(|row| {
            let event = self.events.get(&(account, row.event));
            let audience = row.listed().map(|_| 1).or(event.and_then(|event| event.detail.summary.audience));
            audience.map_or(0, |audience| audience - row.cursor.index)
        });
        if fan_out.is_running() { waiting.sum() } else { 0 }
    }
}
