//! What an owner may do to work that waits: hold a fan-out, let it go on, call it off.

use async_trait::async_trait;
use jiff::Timestamp;
use wire::{AccountId, EndpointId, EventId};

use crate::StoreResult;

/// What becomes of a fan-out on its owner's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// Nothing of it leaves, everything is kept.
    Pause,
    /// It goes on where it stood.
    Resume,
    /// Nothing more of it leaves, ever: what has not arrived is skipped.
    Cancel,
}

/// How far an order has been carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steered {
    /// Fan-outs whose state changed.
    pub fan_outs: u64,
    /// Rows of deliveries are left to be brought in line: give the same order again. Nothing of them leaves meanwhile.
    pub is_more: bool,
}

/// Rows brought in line in one transaction: a few milliseconds, which the writer may be held.
pub const ROWS_ALIGNED_MAX: usize = 1_000;

/// Orders to fan-outs. All are safe to repeat.
#[async_trait]
pub trait Backlog: Send + Sync {
    /// Steers the fan-outs of an event, all or that to one endpoint. `None` where the event does not exist.
    async fn steer(
        &self,
        account: AccountId,
        event: EventId,
        endpoint: Option<EndpointId>,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>>;

    /// Skips everything that waits for an endpoint, and nothing that comes later. `None` where it does not exist.
    async fn drop_backlog(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>>;
}
