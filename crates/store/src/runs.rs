//! Handlers and their runs. A handler's progress is a cursor over the inbox and rows for what it has begun, so that
//! accepting a message costs nothing for the handlers there are.

mod words;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use receiver::{HandlerStart, Subject};
use wire::{AccountId, NodeId, SourceId};

use crate::inbox::{Message, MessageNumber};
use crate::{Page, StoreResult};

/// The right to work for one handler, until its time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerLease {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub handler: String,
    /// Rises with each claim: who had it before changes nothing any more.
    pub epoch: u64,
    /// Everything up to here is settled or has a row.
    pub cursor: MessageNumber,
}

/// A run to begin or to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueRun {
    /// The message with its body. One whose content is gone is due, too: the worker skips it.
    pub message: Message,
    /// Attempts made in this generation.
    pub attempts: u32,
    /// How often the run was asked for anew; 0 for the first time.
    pub generation: u32,
}

/// Which runs a worker can take now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsWanted {
    /// Of the messages without a row, those after this one.
    pub after: MessageNumber,
    /// Not these, which are being worked on.
    pub busy: Vec<MessageNumber>,
    /// So many at most.
    pub limit: usize,
    /// No more bytes of bodies than this, after the first.
    pub bytes_max: usize,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Waits for another attempt.
    Waiting {
        /// When it is due.
        due: Timestamp,
        /// Why the last attempt failed; empty where none was made.
        reason: String,
    },
    /// Done.
    Done,
    /// Not done, because a newer version was handled, its content is gone, or an operator dropped it.
    Skipped(SkipReason),
    /// Given up, until an operator asks for it anew: a dead letter.
    Parked {
        /// Why the last attempt failed.
        reason: String,
    },
}

/// Why a run is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// A newer version about the same person and series was handled.
    Outdated,
    /// The message's content was erased or has expired.
    ContentGone,
    /// An operator dropped it.
    Dropped,
}

/// The end of an attempt, to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRun {
    /// Of which message.
    pub number: MessageNumber,
    /// Attempts made in this generation, with this one.
    pub attempts: u32,
    /// Of which generation; a run that was asked for anew meanwhile is left alone.
    pub generation: u32,
    /// What became of it.
    pub state: RunState,
    /// Where it is done: who and what it was about, and in which version, so that nothing older follows.
    pub handled: Option<(Subject, u64)>,
}

/// What is written at once for a handler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSettlement {
    /// The new cursor; never falls.
    pub cursor: MessageNumber,
    /// Attempts that ended.
    pub runs: Vec<SettledRun>,
    /// When.
    pub now: Timestamp,
}

/// A run as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// By which handler.
    pub handler: String,
    /// Of which message.
    pub number: MessageNumber,
    /// How it stands.
    pub state: RunState,
    /// Attempts made in this generation.
    pub attempts: u32,
    /// How often it was asked for anew.
    pub generation: u32,
    /// When it changed last.
    pub changed_at: Timestamp,
}

/// How a run stands, without the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStanding {
    /// Waits for another attempt.
    Waiting,
    /// Done.
    Done,
    /// Not done, on purpose.
    Skipped,
    /// Given up: a dead letter.
    Parked,
}

/// Which runs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// By this handler.
    pub handler: Option<String>,
    /// That stand so.
    pub standing: Option<RunStanding>,
    /// Of this message.
    pub message: Option<MessageNumber>,
}

/// Where a list of runs goes on: after this message's run by this handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCursor {
    /// The message.
    pub number: MessageNumber,
    /// The handler.
    pub handler: String,
}

/// Which messages an operator's order to one handler is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunScope {
    /// By which handler.
    pub handler: String,
    /// Of this message alone.
    pub message: Option<MessageNumber>,
    /// Of messages of this source.
    pub source: Option<SourceId>,
    /// Only runs that stand so. Without it also messages the handler never began or passed over.
    pub standing: Option<RunStanding>,
    /// Received at this time or later.
    pub from: Option<Timestamp>,
    /// Received before this time.
    pub to: Option<Timestamp>,
}

/// What to do with the runs of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOrder {
    /// Count them.
    Count,
    /// Count those that `Drop` would change.
    CountDrop,
    /// Run them (again): the first is due at `first`, each further one `spacing` later.
    Rerun {
        /// When the first is due.
        first: Timestamp,
        /// Between two.
        spacing: Duration,
    },
    /// Drop them: what waits or is parked is skipped.
    Drop,
}

impl RunScope {
    /// Whether it leaves out no message.
    pub fn is_everything(&self) -> bool {
        let RunScope { handler: _, message, source, standing, from, to } = self;
        message.is_none() && source.is_none() && standing.is_none() && from.is_none() && to.is_none()
    }
}

impl RunOrder {
    /// Whether it changes, or counts, the run of this message, which stands so where there is one, for a handler that has come
    /// to `cursor`.
    pub fn concerns(self, message: MessageNumber, standing: Option<RunStanding>, cursor: MessageNumber) -> bool {
        match (self, standing) {
            (RunOrder::Count | RunOrder::Rerun { .. }, Some(_)) => true,
            (RunOrder::Count | RunOrder::Rerun { .. }, None) => message <= cursor,
            (RunOrder::Drop | RunOrder::CountDrop, None) => message > cursor,
            (RunOrder::Drop | RunOrder::CountDrop, Some(RunStanding::Waiting | RunStanding::Parked)) => true,
            (RunOrder::Drop | RunOrder::CountDrop, Some(RunStanding::Done | RunStanding::Skipped)) => false,
        }
    }
}

/// One piece of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPiece {
    /// It begins after this message: 0 at first, then what the piece before came to.
    pub after: MessageNumber,
    /// Messages looked at, at most.
    pub limit: usize,
    /// When.
    pub now: Timestamp,
}

/// What a piece of an order came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ordered {
    /// Runs it was about.
    pub runs: u64,
    /// Where the next piece begins; `None` when all is done.
    pub next: Option<MessageNumber>,
}

/// How far a handler is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerStanding {
    /// Its name.
    pub handler: String,
    /// Everything up to here is settled or has a row.
    pub cursor: MessageNumber,
    /// Messages beyond the cursor without a row: not begun, or being handled.
    pub ahead: u64,
    /// When the oldest of them was received.
    pub oldest_ahead: Option<Timestamp>,
    /// Runs that wait for another attempt.
    pub waiting: u64,
    /// Dead letters.
    pub parked: u64,
    /// Runs that are done.
    pub done: u64,
    /// Runs skipped.
    pub skipped: u64,
}

/// Handlers and their runs.
#[async_trait]
pub trait Runs: Send + Sync {
    /// Makes the handler known, where it is not, beginning where `start` says. A known one keeps its place.
    async fn introduce_handler(&self, account: AccountId, handler: &str, start: HandlerStart) -> StoreResult<()>;

    /// Takes the handler for `lease_for`; `None` while another node has it. Asking anew with the lease's own node gives
    /// a new epoch. `Missing` where it was never introduced.
    async fn claim_handler(
        &self,
        account: AccountId,
        handler: &str,
        node: NodeId,
        now: Timestamp,
        lease_for: Duration,
    ) -> StoreResult<Option<HandlerLease>>;

    /// Holds the lease for `lease_for` from `now`, or gives it back where that is `None`. `Fenced` where another has it.
    async fn renew_handler(&self, lease: &HandlerLease, now: Timestamp, lease_for: Option<Duration>)
    -> StoreResult<()>;

    /// Runs to work on: first those that wait and are due, oldest due first, then messages after `after` without a row,
    /// in order; up to `limit`, and no more bytes of bodies than `bytes_max` after the first. Not those in `busy`, and no
    /// message up to the cursor that has no row. `Fenced` where another has the handler.
    async fn due_runs(&self, lease: &HandlerLease, now: Timestamp, wanted: RunsWanted) -> StoreResult<Vec<DueRun>>;

    /// The newest version handled for each subject, with its message's number; in the order asked for.
    async fn newest_handled(
        &self,
        lease: &HandlerLease,
        subjects: Vec<Subject>,
    ) -> StoreResult<Vec<Option<(u64, MessageNumber)>>>;

    /// Writes what became of runs, in ONE transaction. `Fenced` where another has the handler. A run that was asked for
    /// anew meanwhile stays as it is, one that was dropped is not tried again, one whose message is gone leaves no trace.
    async fn settle_runs(&self, lease: &HandlerLease, settlement: RunSettlement) -> StoreResult<()>;

    /// A page of runs, newest message first.
    async fn runs(
        &self,
        account: AccountId,
        filter: RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> StoreResult<Page<RunRecord, RunCursor>>;

    /// One piece of an operator's order, in ONE transaction. It is about messages up to the handler's cursor and about
    /// whatever has a row; those beyond come anyway. `Drop` without a standing is also about those beyond, and changes
    /// only what waits, is parked or is yet to come. An attempt under way may still end as it does. `Missing` where there is
    /// no such handler.
    async fn order_runs(
        &self,
        account: AccountId,
        scope: &RunScope,
        order: RunOrder,
        piece: RunPiece,
    ) -> StoreResult<Ordered>;

    /// How far each handler of an account is.
    async fn handlers(&self, account: AccountId) -> StoreResult<Vec<HandlerStanding>>;
}
