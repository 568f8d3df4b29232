//! The ledger: what became of runs since the last commit, and the commit under way. One at a time, and asked of the
//! store until it answers: what was done must be known, or it is done again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use store::{FailPoint, HandlerLease, MessageNumber, RunSettlement, Runs, SettledRun, StoreError, StoreResult};
use tokio::time::{Instant, sleep};

/// As many outcomes as make the cost of a commit small for each.
const WORTH_A_COMMIT: usize = 64;
/// Fewer wait this long for company.
const COMPANY_TIME: Duration = Duration::from_millis(10);
/// A cursor that moved only past messages that are not the handler's waits this long: losing it costs a look at them.
const CURSOR_COMPANY_TIME: Duration = Duration::from_secs(1);
/// After a store could not write.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

type Settling = Pin<Box<dyn Future<Output = StoreResult<()>> + Send>>;

/// Outcomes not yet on disk.
pub(super) struct Ledger {
    runs: Vec<SettledRun>,
    oldest: Option<Instant>,
    /// What the store knows.
    cursor: MessageNumber,
    moved_at: Option<Instant>,
    under_way: Option<Settling>,
    /// The messages in the commit under way.
    written: Vec<MessageNumber>,
    is_refused: Arc<AtomicBool>,
}

impl Ledger {
    pub(super) fn new(cursor: MessageNumber) -> Ledger {
        Ledger {
            runs: Vec::new(),
            oldest: None,
            cursor,
            moved_at: None,
            under_way: None,
            written: Vec::new(),
            is_refused: Arc::default(),
        }
    }

    pub(super) fn record(&mut self, run: SettledRun) {
        self.runs.push(run);
        self.oldest.get_or_insert_with(Instant::now);
    }

    /// Outcomes that a crash would lose.
    pub(super) fn len(&self) -> usize {
        self.runs.len() + self.written.len()
    }

    /// The store cannot write: whatever is done now may be done again.
    pub(super) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Everything is on disk, up to this cursor.
    pub(super) fn is_settled(&self, cursor: MessageNumber) -> bool {
        self.runs.is_empty() && self.under_way.is_none() && self.cursor >= cursor
    }

    /// Notes where the cursor could be.
    pub(super) fn note_cursor(&mut self, cursor: MessageNumber) {
        if cursor > self.cursor {
            self.moved_at.get_or_insert_with(Instant::now);
        }
    }

    /// When a commit is worth its cost; `None` where there is nothing to write, or one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.under_way.is_some() {
            return None;
        }
        let company = if self.runs.len() >= WORTH_A_COMMIT { Duration::ZERO } else { COMPANY_TIME };
        let outcomes = self.oldest.map(|oldest| oldest + company);
        let cursor = self.moved_at.map(|moved_at| moved_at + CURSOR_COMPANY_TIME);
        outcomes.into_iter().chain(cursor).min()
    }

    /// Begins to write all there is.
    pub(super) fn settle(
        &mut self,
        store: &Arc<dyn Runs>,
        lease: &HandlerLease,
        cursor: MessageNumber,
        now: Timestamp,
    ) {
        if self.under_way.is_some() || self.is_settled(cursor) {
            return;
        }
        let runs = std::mem::take(&mut self.runs);
        self.written = runs.iter().map(|run| run.number).collect();
        (self.oldest, self.moved_at) = (None, None);
        self.cursor = self.cursor.max(cursor);
        let settlement = RunSettlement { cursor: self.cursor, runs, now };
        let is_refused = self.is_refused.clone();
        self.under_way = Some(Box::pin(settle_surely(store.clone(), lease.clone(), settlement, is_refused)));
    }

    /// The writing itself, to be waited for.
    pub(super) fn under_way(&mut self) -> Option<&mut Settling> {
        self.under_way.as_mut()
    }

    /// Notes that it has ended; which messages it was about.
    pub(super) fn end(&mut self) -> Vec<MessageNumber> {
        self.under_way = None;
        std::mem::take(&mut self.written)
    }
}

async fn settle_surely(
    store: Arc<dyn Runs>,
    lease: HandlerLease,
    settlement: RunSettlement,
    is_refused: Arc<AtomicBool>,
) -> StoreResult<()> {
    loop {
        FailPoint::RunSettleBefore.pass();
        let settled = store.settle_runs(&lease, settlement.clone()).await;
        FailPoint::RunSettleAfter.pass();
        match settled {
            Ok(()) | Err(StoreError::Fenced) => {
                is_refused.store(false, Ordering::Relaxed);
                return settled;
            }
            Err(error) => {
                if !is_refused.swap(true, Ordering::Relaxed) {
                    tracing::error!(handler = lease.handler, %error, "outcomes cannot be saved; the handler waits for it");
                }
                sleep(AGAIN_AFTER).await;
            }
        }
    }
}
