//! Replays: deliveries that are sent again, under the message ids they have had since the first time.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::pace::Rate;
use wire::{AccountId, DeliveryId, EndpointId, EventId, ReplayId};

use crate::{DeliverySummary, Page, Steer, Steered, StoreResult};

/// Replays of one account that may be under way at a time: each is looked at several times a second.
pub const OPEN_REPLAYS_MAX: usize = 16;

/// What is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayScope {
    /// One delivery, whatever came of it.
    Delivery(DeliveryId),
    /// What has not arrived: deliveries given up, and those that wait for another attempt. All conditions hold
    /// together. Events that are paused or called off are left out.
    Failed {
        /// Of this event.
        event: Option<EventId>,
        /// To this endpoint.
        endpoint: Option<EndpointId>,
        /// Whose last attempt was at this time or later.
        since: Option<Timestamp>,
    },
    /// Everything of an event, also what has arrived.
    Event {
        /// Which.
        event: EventId,
        /// To this endpoint only.
        endpoint: Option<EndpointId>,
    },
}

/// How deliveries are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayWay {
    /// They go on as what they are, with another schedule of attempts, a chunk at a time.
    Revive,
    /// By fan-outs of the replay's own, one for each endpoint, through the same audience.
    Resend,
}

/// Whether a version may be sent although the endpoint was told of a newer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutdatedReplay {
    /// No.
    #[default]
    Refused,
    /// Yes, and no attempt at it is left out for that reason.
    Allowed,
}

/// What a replay would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreseen {
    /// Deliveries that would be sent again.
    pub deliveries: u64,
    /// One of them as it stands, where it has been tried.
    pub example: Option<DeliverySummary>,
    /// How it would be done.
    pub way: ReplayWay,
    /// The newest version of the series that the endpoint was told of since, where it is another.
    pub newer: Option<u32>,
}

/// A replay to be started.
#[derive(Clone, Copy, Debug)]
pub struct NewReplay {
    /// Its id.
    pub id: ReplayId,
    /// What is to be sent again.
    pub scope: ReplayScope,
    /// How, as foreseen.
    pub way: ReplayWay,
    /// How many, as foreseen.
    pub deliveries: u64,
    /// First attempts a minute, to each endpoint where it resends; `None` for as many as the endpoints take.
    pub rate: Option<Rate>,
    /// Whether it may send what is outdated.
    pub outdated: OutdatedReplay,
    /// When.
    pub now: Timestamp,
}

/// What starting a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// It is under way.
    Replay(Replay),
    /// The endpoint was told of this newer version.
    Outdated {
        /// Which.
        newer: u32,
    },
    /// [`OPEN_REPLAYS_MAX`] of the account are under way.
    TooMany,
}

/// A replay and how far it has got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Its id.
    pub id: ReplayId,
    /// What is sent again.
    pub scope: ReplayScope,
    /// How.
    pub way: ReplayWay,
    /// Where it is in its life.
    pub state: ReplayState,
    /// First attempts a minute.
    pub rate: Option<Rate>,
    /// Deliveries counted before it began.
    pub counted: u64,
    /// Deliveries put into the queue again so far, or tried.
    pub begun: u64,
    /// Those the receiver has accepted since.
    pub delivered: u64,
    /// Those waiting for an attempt.
    pub waiting: u64,
    /// Those given up once more.
    pub abandoned: u64,
    /// Those superseded or skipped since.
    pub called_off: u64,
    /// When it was started.
    pub created_at: Timestamp,
}

/// The life of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayState {
    /// Some deliveries have not had their turn.
    Running,
    /// Its owner holds it.
    Paused,
    /// Its owner called it off.
    Cancelled,
    /// All have had their turn; what failed again is with the retries.
    Done,
}

impl ReplayState {
    /// Its name, as stores and people know it.
    pub fn name(self) -> &'static str {
        match self {
            ReplayState::Running => "running",
            ReplayState::Paused => "paused",
            ReplayState::Cancelled => "cancelled",
            ReplayState::Done => "done",
        }
    }
}

/// A replay that revives and is due for a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueReplay {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub id: ReplayId,
    /// At which pace.
    pub rate: Option<Rate>,
    /// Of those it put into the queue, how many wait for their first attempt since.
    pub waiting: u64,
    /// Deliveries put into the queue so far: a turn counts only if nobody else had one meanwhile.
    pub begun: u64,
    /// Since when it is due.
    pub due_at: Timestamp,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revived {
    /// Deliveries put into the queue.
    pub deliveries: u64,
    /// Where the replay is now.
    pub state: ReplayState,
}

/// Replays.
#[async_trait]
pub trait Replays: Send + Sync {
    /// Counts what a replay would send. `None` where the scope names something that does not exist.
    async fn foresee(&self, account: AccountId, scope: ReplayScope, now: Timestamp) -> StoreResult<Option<Foreseen>>;

    /// Starts a replay. One that resends has its fan-outs from here on, in the order of the lanes after all that was
    /// announced before.
    async fn start_replay(&self, account: AccountId, new: NewReplay) -> StoreResult<Started>;

    /// One replay.
    async fn replay(&self, account: AccountId, id: ReplayId) -> StoreResult<Option<Replay>>;

    /// A page of replays, newest first.
    async fn replays(
        &self,
        account: AccountId,
        after: Option<ReplayId>,
        limit: usize,
    ) -> StoreResult<Page<Replay, ReplayId>>;

    /// Pauses, resumes or cancels a replay; safe to repeat. What is in the queue again has its turn, except in fan-outs of
    /// the replay's own, which are held or called off. `None` where it does not exist.
    async fn steer_replay(
        &self,
        account: AccountId,
        id: ReplayId,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>>;

    /// Up to `limit` replays of all accounts that revive and are due for a turn, longest due first.
    async fn due_replays(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<DueReplay>>;

    /// Gives a replay its turn in one transaction: puts up to `turn.deliveries` failed deliveries into the queue, due now,
    /// each with a new schedule, and notes how far it has got. Changes nothing where the replay is no longer running,
    /// or another has given it a turn since `due` was read.
    async fn revive(&self, due: DueReplay, turn: provider::replay::Turn, now: Timestamp) -> StoreResult<Revived>;
}
