//! The delivery log: every delivery and its attempts, read from segments and exception rows alike.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::attempt::{FailureDetail, Outcome};
use provider::segment::Entry;
use wire::{AccountId, DeliveryId, EndpointId, EventId, FanOutId, ParticipantNumber};

use crate::{Page, StoreError, StoreResult};

/// Which deliveries to list; all conditions hold together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this event.
    pub event: Option<EventId>,
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// For this participant.
    pub participant: Option<u64>,
    /// In this state.
    pub status: Option<DeliveryStatus>,
}

/// How a delivery stands. Those not yet tried are only counted, in the event's progress: nothing is stored for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// The receiver has it.
    Delivered,
    /// To be tried again.
    Retrying,
    /// To be tried again once its fan-out is no longer paused.
    Held,
    /// Given up.
    Abandoned,
    /// A newer version of the series took its place.
    Superseded,
    /// Its owner called it off.
    Skipped,
    /// Called off: the person was erased.
    Erased,
}

impl DeliveryStatus {
    /// Every one, in the order of a delivery's life.
    pub const ALL: [DeliveryStatus; 7] = [
        DeliveryStatus::Delivered,
        DeliveryStatus::Retrying,
        DeliveryStatus::Held,
        DeliveryStatus::Abandoned,
        DeliveryStatus::Superseded,
        DeliveryStatus::Skipped,
        DeliveryStatus::Erased,
    ];

    /// Its name, as stores and people know it.
    pub fn name(self) -> &'static str {
        match self {
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Retrying => "retrying",
            DeliveryStatus::Held => "held",
            DeliveryStatus::Abandoned => "abandoned",
            DeliveryStatus::Superseded => "superseded",
            DeliveryStatus::Skipped => "skipped",
            DeliveryStatus::Erased => "erased",
        }
    }

    /// The one of this name.
    pub fn of_name(name: &str) -> Option<DeliveryStatus> {
        DeliveryStatus::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Attempts made, where a row names this attempt: of what is to be tried again it is the next.
    pub fn attempts_made(self, attempt: u16) -> u16 {
        match self {
            DeliveryStatus::Retrying | DeliveryStatus::Held => attempt.saturating_sub(1),
            DeliveryStatus::Delivered
            | DeliveryStatus::Abandoned
            | DeliveryStatus::Superseded
            | DeliveryStatus::Skipped
            | DeliveryStatus::Erased => attempt,
        }
    }
}

/// A delivery in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySummary {
    /// Its id.
    pub id: DeliveryId,
    /// Which event.
    pub event: EventId,
    /// To whom it went.
    pub endpoint: EndpointId,
    /// The participant's number.
    pub participant: u64,
    /// The participant's name and e-mail of now; `None` where the person is no longer on the roster.
    pub person: Option<(String, String)>,
    /// How it stands.
    pub status: DeliveryStatus,
    /// Attempts made so far.
    pub attempts: u16,
    /// The last attempt, if one has ended.
    pub last: Option<AttemptRecord>,
    /// When it is tried again.
    pub next_attempt_at: Option<Timestamp>,
}

impl DeliverySummary {
    /// One that an entry of the log says was delivered, without its person.
    pub fn delivered(
        fan_out: FanOutId,
        event: EventId,
        endpoint: EndpointId,
        entry: &Entry,
    ) -> StoreResult<DeliverySummary> {
        Ok(DeliverySummary {
            id: delivery_id(fan_out, entry.participant)?,
            event,
            endpoint,
            participant: entry.participant,
            person: None,
            status: DeliveryStatus::Delivered,
            attempts: entry.attempt,
            last: AttemptRecord::of_entry(entry),
            next_attempt_at: None,
        })
    }
}

/// The id of a delivery whose participant was read from a store.
pub fn delivery_id(fan_out: FanOutId, participant: u64) -> StoreResult<DeliveryId> {
    Ok(DeliveryId::new(fan_out, ParticipantNumber::new(participant).map_err(StoreError::broken)?))
}

/// One finished attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// 1 for the first.
    pub number: u16,
    /// What it came to.
    pub outcome: Outcome,
    /// When it ended.
    pub finished_at: Timestamp,
    /// From its start to its end, in tenths of a millisecond; `None` where only the row of a retry is left.
    pub latency_tenth_ms: Option<u32>,
    /// Why it failed and where the time went; `None` for a success, and where it is no longer kept.
    pub failure: Option<FailureDetail>,
}

impl AttemptRecord {
    /// What an entry of the log says, which is all but why it failed. `None` where its time is none.
    pub fn of_entry(entry: &Entry) -> Option<AttemptRecord> {
        Some(AttemptRecord {
            number: entry.attempt,
            outcome: entry.outcome,
            finished_at: Timestamp::from_millisecond(entry.finished_ms).ok()?,
            latency_tenth_ms: Some(entry.latency_tenth_ms),
            failure: None,
        })
    }

    /// What it came to, in words: the reason where one is kept.
    pub fn in_words(&self) -> String {
        self.failure.as_ref().map_or_else(|| self.outcome.to_string(), |failure| failure.reason.to_string())
    }
}

/// A delivery with its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryDetail {
    /// As in the list.
    pub summary: DeliverySummary,
    /// All its attempts, first to last.
    pub attempts: Vec<AttemptRecord>,
}

/// Where a page of deliveries starts. Newest fan-outs come first; within one, what went wrong comes before what went
/// well, and each part in falling order of participants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryCursor {
    /// The fan-out reached.
    pub fan_out: FanOutId,
    /// Which part of it.
    pub part: DeliveryPart,
    /// The last participant given out.
    pub participant: u64,
}

/// The two parts of a fan-out's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryPart {
    /// Rows: retrying, abandoned and erased.
    Exceptions,
    /// Segments: delivered.
    Delivered,
}

/// The delivery log.
#[async_trait]
pub trait Journal: Send + Sync {
    /// A page of deliveries.
    async fn deliveries(
        &self,
        account: AccountId,
        filter: DeliveryFilter,
        after: Option<DeliveryCursor>,
        limit: usize,
    ) -> StoreResult<Page<DeliverySummary, DeliveryCursor>>;

    /// One delivery. `None` where the participant is not reached yet or the fan-out is not of this account.
    async fn delivery(&self, account: AccountId, id: DeliveryId) -> StoreResult<Option<DeliveryDetail>>;
}
