//! Series, their versions and sessions, and the events that announce them.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use webinar::{EventType, Series, SeriesDraft, SeriesId, SessionId, Trigger};
use wire::{AccountId, EndpointId, EventId, FanOutId, ReplayId};

use crate::{Page, StoreResult};

/// A series as stored: its newest version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRecord {
    /// Its id.
    pub id: SeriesId,
    /// 1 for the first; every save that changes something is a new one.
    pub version: u32,
    /// As the user gave it: wall times and zone, never frozen instants.
    pub draft: SeriesDraft,
    /// Since when it is cancelled as a whole.
    pub cancelled_at: Option<Timestamp>,
    /// When the first version was saved.
    pub created_at: Timestamp,
    /// When this version was saved.
    pub saved_at: Timestamp,
}

/// One save of a series: the version, and the event that announces it.
#[derive(Clone, Debug)]
pub struct SaveSeries {
    /// The series to be, parsed.
    pub series: Series,
    /// The version it was made from; 0 for a new series.
    pub from_version: u32,
    /// Whether this save cancels the whole series.
    pub ending: Ending,
    /// What to announce.
    pub event: NewEvent,
    /// When.
    pub now: Timestamp,
}

/// Whether a series goes on after a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It does.
    GoesOn,
    /// The whole series is cancelled by this save.
    Cancelled,
}

/// An event to be announced, with the snapshot it announces.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id.
    pub id: EventId,
    /// What kind of fact.
    pub event: EventType,
    /// Created or updated.
    pub trigger: Trigger,
    /// The part of the body that all participants share, rendered.
    pub series_part: Bytes,
    /// The instant at which attendees' offsets are taken.
    pub attendee_instant: Option<Timestamp>,
    /// The tz database that gave the instants, such as `2026f`.
    pub tzdb_version: String,
}

/// What a save came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The version now.
    pub version: u32,
    /// One fan-out for each endpoint that matched.
    pub fan_outs: Vec<(FanOutId, EndpointId)>,
}

/// An event in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSummary {
    /// Its id.
    pub id: EventId,
    /// What kind of fact.
    pub event: EventType,
    /// Created or updated.
    pub trigger: Trigger,
    /// Which series.
    pub series: SeriesId,
    /// Which version of it.
    pub version: u32,
    /// The title of that version.
    pub title: String,
    /// The tz database that gave the instants.
    pub tzdb_version: String,
    /// When it happened.
    pub created_at: Timestamp,
    /// Size of the frozen audience; `None` until the first lane has counted it.
    pub audience: Option<u64>,
    /// How far it has got, endpoint by endpoint.
    pub fan_outs: Vec<FanOutProgress>,
}

/// An event with its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDetail {
    /// As in the list.
    pub summary: EventSummary,
    /// The part of the body that all participants share, as it is sent.
    pub series_part: Bytes,
    /// The instant at which attendees' offsets are taken.
    pub attendee_instant: Option<Timestamp>,
}

/// How far one fan-out has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOutProgress {
    /// Its id.
    pub id: FanOutId,
    /// To whom.
    pub endpoint: EndpointId,
    /// The replay it belongs to, and how many people that is for where it is not everyone.
    pub replay: Option<(ReplayId, Option<u64>)>,
    /// Where it is in its life.
    pub state: FanOutState,
    /// Deliveries the receiver has.
    pub delivered: u64,
    /// Deliveries waiting for another attempt.
    pub retrying: u64,
    /// Deliveries waiting until it is no longer paused.
    pub held: u64,
    /// Deliveries given up.
    pub abandoned: u64,
    /// Deliveries that were begun and then ended as superseded or skipped.
    pub called_off: u64,
    /// Deliveries called off because the person was erased.
    pub erased: u64,
    /// Deliveries of earlier fan-outs that the endpoint gets first.
    pub ahead: u64,
    /// First attempts a minute that the endpoint got lately, or else what its rate allows; `None` where neither is known
    /// or nothing leaves now.
    pub per_minute: Option<u32>,
}

impl FanOutProgress {
    /// How many of the audience have not been tried, and are in no row.
    pub fn untold(&self, audience: u64) -> u64 {
        let audience = self.replay.and_then(|(_, people)| people).unwrap_or(audience);
        let begun = self.delivered + self.retrying + self.held + self.abandoned + self.called_off + self.erased;
        audience.saturating_sub(begun)
    }
}

/// The life of a fan-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanOutState {
    /// Some of the audience have not been tried yet.
    Running,
    /// Its owner holds it.
    Paused,
    /// Everyone has been tried; what failed is with the retries.
    Swept,
    /// A newer version of the series took its place; who had not got it by then gets the newer one.
    Superseded,
    /// Its owner called it off, alone or with all that waited for its endpoint.
    Skipped,
}

impl FanOutState {
    /// Its name, as stores and people know it.
    pub fn name(self) -> &'static str {
        match self {
            FanOutState::Running => "running",
            FanOutState::Paused => "paused",
            FanOutState::Swept => "swept",
            FanOutState::Superseded => "superseded",
            FanOutState::Skipped => "skipped",
        }
    }
}

/// Series and events.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Saves a version, its sessions, its event and one fan-out for each matching endpoint in ONE transaction, at a
    /// cost that does not depend on the audience, which is frozen here. `VersionConflict` where `from_version` is
    /// no longer the newest.
    async fn save_series(&self, account: AccountId, save: SaveSeries) -> StoreResult<Saved>;

    /// The newest version of a series.
    async fn series(&self, account: AccountId, id: SeriesId) -> StoreResult<Option<SeriesRecord>>;

    /// A page of series, newest first.
    async fn series_list(
        &self,
        account: AccountId,
        after: Option<SeriesId>,
        limit: usize,
    ) -> StoreResult<Page<SeriesRecord, SeriesId>>;

    /// The series that has or had a session with this id.
    async fn series_of_session(&self, account: AccountId, session: SessionId) -> StoreResult<Option<SeriesId>>;

    /// A page of events, newest first.
    async fn events(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> StoreResult<Page<EventSummary, EventId>>;

    /// One event.
    async fn event(&self, account: AccountId, id: EventId) -> StoreResult<Option<EventDetail>>;
}
