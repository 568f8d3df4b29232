//! Series, sessions and events, in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use provider::fan_out::fan_out_id;
use provider::frontier::Place;
use provider::subscription::Announcement;
use store::{
    Catalog, Ending, EventDetail, EventSummary, ExceptionState, FanOutProgress, FanOutState, Page, SaveSeries, Saved,
    SeriesRecord, StoreError, StoreResult, Targets,
};
use webinar::{SeriesId, SessionId};
use wire::{AccountId, EndpointId, EventId};

use super::Model;
use super::tables::{EventRow, FanOutRow, SeriesRow, Tables, newest_first};

#[async_trait]
impl Catalog for Model {
    async fn save_series(&self, account: AccountId, save: SaveSeries) -> StoreResult<Saved> {
        let mut tables = self.tables();
        let version = tables.next_version(account, &save)?;
        tables.require_account(account)?;
        if tables.events.contains_key(&(account, save.event.id)) {
            return Err(StoreError::Exists("an event with this id"));
        }
        let told = tables.told(account, &save);
        tables.save_version(account, &save, version);
        tables.save_event(account, &save, version);
        let fan_outs = told.into_iter().map(|endpoint| (fan_out_id(save.event.id, endpoint), endpoint)).collect();
        let saved = Saved { version, fan_outs };
        for (id, endpoint) in &saved.fan_outs {
            let row = FanOutRow {
                event: save.event.id,
                endpoint: *endpoint,
                position: tables.events.len(),
                state: FanOutState::Running,
                cursor: Place::default(),
                delivered: 0,
                entries: Vec::new(),
                exceptions: BTreeMap::new(),
            };
            tables.fan_outs.insert((account, *id), row);
            let due_at = tables.next_due(account, *endpoint, save.now);
            if let Some(row) = tables.endpoints.get_mut(&(account, *endpoint)) {
                // What has been due for longer stays so.
                row.due_at = due_at.map(|due_at| row.due_at.map_or(due_at, |earlier| earlier.min(due_at)));
            }
        }
        Ok(saved)
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

impl Tables {
    fn next_version(&self, account: AccountId, save: &SaveSeries) -> StoreResult<u32> {
        let found = self.series.get(&(account, save.series.id())).map_or(0, |row| row.record.version);
        if found == save.from_version {
            return Ok(found + 1);
        }
        Err(StoreError::VersionConflict { expected: save.from_version, found })
    }

    /// The endpoints to be told, in order.
    fn told(&self, account: AccountId, save: &SaveSeries) -> Vec<EndpointId> {
        let before = self.series.get(&(account, save.series.id())).map(|row| row.sessions.clone()).unwrap_or_default();
        let after = save.series.sessions().iter().map(|session| session.id);
        let sessions: Vec<SessionId> = after.chain(before).collect();
        let announcement = Announcement { event: save.event.event, series: save.series.id(), sessions: &sessions };
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
        self.series.insert((account, id), SeriesRow { record, sessions, sessions_ever });
    }

    fn save_event(&mut self, account: AccountId, save: &SaveSeries, version: u32) {
        let (event, series) = (&save.event, &save.series);
        let targets = Targets {
            series: series.id(),
            mangoes: series.mangoes().to_vec(),
            excluded: series.excluded_mangoes().to_vec(),
        };
        let summary = EventSummary {
            id: event.id,
            event: event.event,
            trigger: event.trigger,
            series: series.id(),
            version,
            title: series.title().to_owned(),
            tzdb_version: event.tzdb_version.clone(),
            created_at: save.now,
            audience: None,
            fan_outs: Vec::new(),
        };
        let (series_part, attendee_instant) = (event.series_part.clone(), event.attendee_instant);
        let detail = EventDetail { summary, series_part, attendee_instant };
        let audience = self.people_of(account, &targets);
        self.events.insert((account, event.id), EventRow { detail, audience });
    }

    fn with_progress(&self, account: AccountId, row: &EventRow) -> EventDetail {
        let mut detail = row.detail.clone();
        let of_account = self.fan_outs.iter().filter(|((owner, _), _)| *owner == account);
        let of_event = of_account.filter(|(_, fan_out)| fan_out.event == detail.summary.id);
        detail.summary.fan_outs = of_event
            .map(|((_, id), fan_out)| {
                let is_retrying = |state| matches!(state, ExceptionState::Retrying { .. });
                let states = || fan_out.exceptions.values().map(|exception| exception.state);
                FanOutProgress {
                    id: *id,
                    endpoint: fan_out.endpoint,
                    state: fan_out.state,
                    delivered: fan_out.delivered,
                    retrying: states().filter(|state| is_retrying(*state)).count() as u64,
                    abandoned: states().filter(|state| !is_retrying(*state)).count() as u64,
                }
            })
            .collect();
        detail
    }
}
