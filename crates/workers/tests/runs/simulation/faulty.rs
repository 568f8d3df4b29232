//! The store as one process reaches it: late, busy, broken, or silent after it has done what it was asked.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use receiver::{HandlerStart, Subject};
use store::{
    DueRun, HandlerLease, HandlerStanding, MessageNumber, Ordered, Page, RunCursor, RunFilter, RunOrder, RunPiece,
    RunRecord, RunScope, RunSettlement, Runs, RunsWanted, StoreError, StoreResult,
};
use tokio::time::sleep;
use wire::{AccountId, NodeId};

use super::dice::Dice;
use super::oracle::Oracle;
use crate::memory::{Memory, Tables};

/// What goes wrong, for all processes.
pub(crate) struct Faults {
    dice: Mutex<Dice>,
    /// Of a hundred calls.
    percent: AtomicU64,
    refuses_reads: AtomicBool,
    refuses_writes: AtomicBool,
    calls: AtomicUsize,
}

pub(crate) struct FaultyRuns {
    store: Arc<Memory>,
    faults: Arc<Faults>,
    process: Option<(u64, Arc<AtomicBool>, Arc<Oracle>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Write,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults::of(0)
    }
}

impl Faults {
    pub(crate) fn of(seed: u64) -> Faults {
        Faults {
            dice: Mutex::new(Dice::new(seed)),
            percent: AtomicU64::new(0),
            refuses_reads: AtomicBool::new(false),
            refuses_writes: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
        }
    }

    /// From now on so many of a hundred calls are late, and as many fail.
    pub(crate) fn worsen(&self, percent: u64) {
        self.percent.store(percent, Ordering::SeqCst);
    }

    pub(crate) fn refuse_reads(&self, refuses: bool) {
        self.refuses_reads.store(refuses, Ordering::SeqCst);
    }

    pub(crate) fn refuse_writes(&self, refuses: bool) {
        self.refuses_writes.store(refuses, Ordering::SeqCst);
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn happens(&self) -> bool {
        let percent = self.percent.load(Ordering::SeqCst);
        self.dice.lock().unwrap_or_else(PoisonError::into_inner).below(100) < percent
    }

    fn delay(&self) -> Duration {
        let is_late = self.happens();
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_millis(if is_late { dice.below(15_000) } else { dice.below(3) })
    }
}

impl FaultyRuns {
    pub(crate) fn new(store: Arc<Memory>, faults: Arc<Faults>) -> FaultyRuns {
        FaultyRuns { store, faults, process: None }
    }

    pub(super) fn of_process(self, process: u64, is_alive: Arc<AtomicBool>, oracle: Arc<Oracle>) -> FaultyRuns {
        FaultyRuns { process: Some((process, is_alive, oracle)), ..self }
    }

    async fn call<T>(&self, call: Call, effect: impl FnOnce(&mut Tables) -> StoreResult<T>) -> StoreResult<T> {
        self.faults.calls.fetch_add(1, Ordering::SeqCst);
        let (refused, what) = match call {
            Call::Read => (&self.faults.refuses_reads, "a read refused"),
            Call::Write => (&self.faults.refuses_writes, "a write refused"),
        };
        pass(self.faults.delay()).await;
        self.live().await;
        if refused.load(Ordering::SeqCst) || self.faults.happens() {
            self.saw(what);
            return Err(StoreError::Unwritable("as the test says".to_owned()));
        }
        let done = effect(&mut self.store.tables());
        pass(self.faults.delay()).await;
        self.live().await;
        if call == Call::Write && done.is_ok() && self.faults.happens() {
            self.saw("an answer lost");
            return Err(StoreError::broken("the answer was lost"));
        }
        done
    }

    fn saw(&self, what: &'static str) {
        if let Some((_, _, oracle)) = &self.process {
            oracle.saw(what);
        }
    }

    /// The dead hear and do nothing.
    async fn live(&self) {
        if self.process.as_ref().is_some_and(|(_, is_alive, _)| !is_alive.load(Ordering::SeqCst)) {
            std::future::pending::<()>().await;
        }
    }
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

#[async_trait]
impl Runs for FaultyRuns {
    async fn introduce_handler(&self, _: AccountId, handler: &str, start: HandlerStart) -> StoreResult<()> {
        self.call(Call::Write, |tables| {
            tables.introduce(handler, start);
            Ok(())
        })
        .await
    }

    async fn claim_handler(
        &self,
        _: AccountId,
        handler: &str,
        node: NodeId,
        now: Timestamp,
        lease_for: Duration,
    ) -> StoreResult<Option<HandlerLease>> {
        self.call(Call::Write, |tables| {
            let lease = tables.claim(handler, node, now, lease_for);
            if let (Some((process, _, oracle)), Some(lease)) = (&self.process, &lease) {
                oracle.claimed(*process, handler, lease.epoch);
            }
            Ok(lease)
        })
        .await
    }

    async fn renew_handler(
        &self,
        lease: &HandlerLease,
        now: Timestamp,
        lease_for: Option<Duration>,
    ) -> StoreResult<()> {
        self.call(Call::Write, |tables| tables.renew(lease, now, lease_for)).await
    }

    async fn due_runs(&self, lease: &HandlerLease, now: Timestamp, wanted: RunsWanted) -> StoreResult<Vec<DueRun>> {
        let RunsWanted { after, busy, limit, bytes_max } = wanted;
        self.call(Call::Read, |tables| tables.due(lease, (now, after), &busy, (limit, bytes_max))).await
    }

    async fn newest_handled(
        &self,
        lease: &HandlerLease,
        subjects: Vec<Subject>,
    ) -> StoreResult<Vec<Option<(u64, MessageNumber)>>> {
        self.call(Call::Read, |tables| tables.newest(lease, &subjects)).await
    }

    async fn settle_runs(&self, lease: &HandlerLease, settlement: RunSettlement) -> StoreResult<()> {
        self.call(Call::Write, |tables| tables.settle(lease, settlement)).await
    }

    async fn runs(
        &self,
        account: AccountId,
        filter: RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> StoreResult<Page<RunRecord, RunCursor>> {
        self.store.runs(account, filter, after, limit).await
    }

    async fn order_runs(
        &self,
        account: AccountId,
        scope: &RunScope,
        order: RunOrder,
        piece: RunPiece,
    ) -> StoreResult<Ordered> {
        self.store.order_runs(account, scope, order, piece).await
    }

    async fn handlers(&self, account: AccountId) -> StoreResult<Vec<HandlerStanding>> {
        self.store.handlers(account).await
    }
}
