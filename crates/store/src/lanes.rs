//! The queues: one lane for each endpoint, leased by one owner at a time, its outcomes committed in segments.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use provider::attempt::{FailureDetail, Outcome};
use provider::frontier::Place;
use provider::lane::LaneState;
use provider::pace::Rate;
use provider::segment::Segment;
use webinar::{EventType, Participant, SeriesId, Trigger};
use wire::{AccountId, EndpointId, EventId, FanOutId, NodeId, ReplayId};

use crate::{Endpoint, NewNotice, StoreResult};

/// Lanes one node works on at a time: together with their windows this bounds its memory and its open sockets. Each has one
/// settlement, one renewal and one look under way.
pub const LANES_OF_NODE_MAX: usize = 4_096;
/// Fan-outs of one lane that are opened at a time. Each may carry 400 KB of payload; the others wait their turn.
pub const OPEN_FAN_OUTS_MAX: usize = 4;
/// Fan-outs with a pace of their own that are opened beside them: they must hold up nobody.
pub const PACED_FAN_OUTS_MAX: usize = 1;

/// The right to work on a lane. Every write carries its epoch; a stale one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose endpoint.
    pub account: AccountId,
    /// Which lane.
    pub endpoint: EndpointId,
    /// The fencing token: one higher with each owner.
    pub epoch: u64,
}

/// What there is to do in a lane.
#[derive(Clone, Debug)]
pub struct LaneWork {
    /// Where to deliver, with what.
    pub endpoint: Endpoint,
    /// Fan-outs of which some of the audience have not been tried, in the order of their events; at most
    /// [`OPEN_FAN_OUTS_MAX`], and after them the first of those with a pace of their own.
    pub fan_outs: Vec<FanOutWork>,
    /// Rises with every order that concerns the lane, and while it is leased with every erasure: one that differs is a
    /// reason to ask for the work again, and to read again who is to be told.
    pub signal: u64,
}

/// How many lanes a node has room for, and which.
#[derive(Clone, Debug)]
pub struct Room {
    /// Of all.
    pub lanes: usize,
    /// Accounts that have their share already.
    pub full_accounts: Vec<AccountId>,
    /// Only lanes that could have been claimed for so long: that were due by then, and free. A node with much to do leaves
    /// the others to those with less.
    pub overdue_by: Duration,
}

impl Room {
    /// Room for so many lanes of whatever account.
    pub fn of(lanes: usize) -> Room {
        Room { lanes, full_accounts: Vec::new(), overdue_by: Duration::ZERO }
    }
}

/// A fan-out to be worked on: where it stands.
#[derive(Clone, Debug)]
pub struct FanOutWork {
    /// What is sent.
    pub fan_out: FanOut,
    /// Everyone up to here is finished.
    pub cursor: Place,
    /// Participants beyond the cursor who are finished too, in rising order: what a crash left behind it.
    pub finished_beyond: Vec<u64>,
}

/// What every delivery of a fan-out shares.
#[derive(Clone, Debug)]
pub struct FanOut {
    /// Its id.
    pub id: FanOutId,
    /// The fan-out that its message ids are made from: its own, or the one it repeats.
    pub origin: FanOutId,
    /// The replay it belongs to.
    pub replay: Option<ReplayId>,
    /// First attempts a minute, where a replay is to be no faster.
    pub rate: Option<Rate>,
    /// The event announced.
    pub event: EventId,
    /// What kind of fact.
    pub event_type: EventType,
    /// Created or updated.
    pub trigger: Trigger,
    /// Which series.
    pub series: SeriesId,
    /// Which version of it.
    pub version: u32,
    /// The rest of the body after the participant.
    pub series_part: Bytes,
    /// The instant at which attendees' offsets are taken.
    pub attendee_instant: Option<Timestamp>,
    /// Size of the frozen audience.
    pub audience: u64,
}

/// A participant to be told, with the contact data of now.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Number and rank.
    pub place: Place,
    /// Name, e-mail, phone, zone.
    pub participant: Participant,
}

/// One place of a frozen audience. Who has been erased since keeps theirs, so that ranks and counts stay as announced.
#[derive(Clone, Debug)]
pub enum Member {
    /// Somebody to be told.
    ToTell(Recipient),
    /// Nobody any more.
    Erased(Place),
}

impl Member {
    /// Number and rank.
    pub fn place(&self) -> Place {
        match self {
            Member::ToTell(recipient) => recipient.place,
            Member::Erased(place) => *place,
        }
    }
}

/// A delivery that is due again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Of which fan-out.
    pub fan_out: FanOutId,
    /// Whom.
    pub recipient: Recipient,
    /// Number of the attempt to come.
    pub attempt: u16,
    /// How many attempts have counted against its schedule.
    pub charged: u16,
    /// The person has a newer version of the series from this endpoint already: this one must not follow it.
    pub is_outdated: bool,
}

/// What is due again.
#[derive(Clone, Debug)]
pub struct Due {
    /// Longest due first.
    pub retries: Vec<Retry>,
    /// As in [`LaneWork`].
    pub signal: u64,
}

/// A delivery that did not simply succeed: the only deliveries that are rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Of which fan-out.
    pub fan_out: FanOutId,
    /// Whom.
    pub place: Place,
    /// What becomes of it.
    pub state: ExceptionState,
    /// The last attempt's end; `None` while the first is still on its way.
    pub last: Option<(Outcome, Timestamp)>,
}

/// The life of a delivery that did not simply succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionState {
    /// To be tried again.
    Retrying {
        /// When.
        due: Timestamp,
        /// Number of the attempt to come.
        attempt: u16,
        /// How many attempts have counted against its schedule: not those that its endpoint was to blame for.
        charged: u16,
    },
    /// To be tried again once its fan-out is no longer paused.
    Held {
        /// Number of the attempt to come.
        attempt: u16,
        /// How many attempts have counted against its schedule.
        charged: u16,
    },
    /// Given up.
    Abandoned {
        /// How many attempts were made.
        attempts: u16,
    },
    /// A newer version of the series took its place.
    Superseded {
        /// How many attempts were made.
        attempts: u16,
    },
    /// Called off because the person was erased.
    Erased {
        /// How many attempts were made.
        attempts: u16,
    },
    /// Its owner called it off.
    Skipped {
        /// How many attempts were made.
        attempts: u16,
    },
}

/// An attempt that failed, as its segment tells it too, and what is kept of it besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Of which fan-out.
    pub fan_out: FanOutId,
    /// Whose delivery.
    pub participant: u64,
    /// 1 for the first.
    pub attempt: u16,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Why, and where the time went.
    pub detail: FailureDetail,
}

/// Everything one commit of a lane says.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    /// How the endpoint is doing now, where that has changed.
    pub health: Option<LaneState>,
    /// Finished attempts, one segment for each fan-out that had any.
    pub segments: Vec<(FanOutId, Segment)>,
    /// Cursors that moved.
    pub cursors: Vec<(FanOutId, Place)>,
    /// Fan-outs of which everyone has been tried.
    pub swept: Vec<FanOutId>,
    /// Deliveries that need a row, or whose row changes.
    pub exceptions: Vec<Exception>,
    /// Rows of deliveries that have succeeded since: they go.
    pub recovered: Vec<(FanOutId, u64)>,
    /// Details of the attempts that failed, in the order in which they ended. The last is the endpoint's last failure.
    pub failures: Vec<FailedAttempt>,
    /// Deliveries that reached the receiver with this commit, for the counts.
    pub delivered: Vec<(FanOutId, u64)>,
    /// First attempts a minute lately, where that has been measured anew.
    pub per_minute: Option<u32>,
    /// What the owner is told, where the endpoint is given up with this commit.
    pub notice: Option<NewNotice>,
}

impl Settlement {
    /// There is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Settlement {
            health,
            segments,
            cursors,
            swept,
            exceptions,
            recovered,
            delivered,
            failures,
            per_minute,
            notice,
        } = self;
        let is_quiet = health.is_none() && per_minute.is_none() && notice.is_none();
        let has_outcomes = !segments.is_empty() || !delivered.is_empty() || !failures.is_empty();
        let has_rows = !exceptions.is_empty() || !recovered.is_empty();
        is_quiet && !has_outcomes && !has_rows && cursors.is_empty() && swept.is_empty()
    }
}

/// What a lane learns when it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// As in [`LaneWork`].
    pub signal: u64,
}

/// The queues.
#[async_trait]
pub trait Lanes: Send + Sync {
    /// Leases as many lanes as there is room for, of those that have something due and no living owner; longest due
    /// first.
    async fn claim(&self, owner: NodeId, now: Timestamp, lease_for: Duration, room: Room) -> StoreResult<Vec<Lease>>;

    /// Holds a lane for longer. `Fenced` where it is no longer ours: another has it, or it was given back. A lease that
    /// has run out holds until another takes it.
    async fn renew(&self, lease: Lease, now: Timestamp, lease_for: Duration) -> StoreResult<()>;

    /// Gives a lane back; it is due again at its earliest work, not before what its health says.
    async fn release(&self, lease: Lease, now: Timestamp) -> StoreResult<()>;

    /// What there is to do. Counts the audience of events that have none counted yet. `Fenced` where the lane is no
    /// longer ours.
    async fn work(&self, lease: Lease) -> StoreResult<LaneWork>;

    /// The fan-out a retry belongs to.
    async fn fan_out(&self, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOut>>;

    /// The next `limit` places of a fan-out's frozen audience after `after`, in order; fewer only at its end.
    async fn audience_page(
        &self,
        account: AccountId,
        fan_out: FanOutId,
        after: Place,
        limit: usize,
    ) -> StoreResult<Vec<Member>>;

    /// Up to `limit` deliveries of the lane that are due again, and of which the fan-out is neither paused nor called
    /// off. `Fenced` where the lane is no longer ours.
    async fn due_retries(&self, lease: Lease, now: Timestamp, limit: usize) -> StoreResult<Due>;

    /// Commits outcomes. `Fenced` where the lane is no longer ours: then nothing is changed. What is to be tried again
    /// of a fan-out that was paused or called off meanwhile is held or ended with it, and what is for somebody erased
    /// ends. Shared, because a lane keeps it until the store has it.
    async fn settle(&self, lease: Lease, settlement: Arc<Settlement>) -> StoreResult<Settled>;
}
