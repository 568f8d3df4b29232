//! One lane at work: it keeps a window of requests in flight, judges what comes back, and commits outcomes in segments.
//! Everything about its endpoint (order, pace, breaker) is decided here, by its one owner, without locks.

mod ledger;
mod plan;
mod sender;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, OptionFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use provider::judge::{Attempt, AttemptKind, Jitter, RetryPolicy, judge, sign_of};
use provider::lane::LaneState;
use store::{FailPoint, Lease, Settled, Settlement, StoreError, StoreResult};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

use crate::{Context, LEASE_FOR};
use ledger::Ledger;
use plan::Plan;
use sender::{Done, Sender};

/// Outcomes are committed at least this often, so that a crash repeats little and readers see progress.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);
/// Renewing, and looking for retries that have become due.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(1);
/// Outcomes that may wait for the disk. Beyond it the lane sends nothing new: a bound on what a crash repeats.
const UNSETTLED_MAX: usize = 4_096;
/// After a failed commit.
const SETTLE_AGAIN_AFTER: Duration = Duration::from_secs(1);

type Settling = Pin<Box<dyn Future<Output = StoreResult<Settled>> + Send>>;
type Attempting = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A leased lane.
pub(crate) struct Lane {
    context: Context,
    lease: Lease,
    stop: watch::Receiver<bool>,
    retries: RetryPolicy,
    health: LaneState,
    /// The health that the store knows.
    stored_health: LaneState,
    is_paused: bool,
    plan: Plan,
    in_flight: FuturesUnordered<Attempting>,
    ledger: Ledger,
    settling: Option<Settling>,
    renewed_at: Instant,
}

impl Lane {
    pub(crate) fn new(context: Context, lease: Lease, stop: watch::Receiver<bool>) -> Lane {
        Lane {
            plan: Plan::new(context.lanes.clone(), lease),
            context,
            lease,
            stop,
            retries: RetryPolicy::default(),
            health: LaneState::default(),
            stored_health: LaneState::default(),
            is_paused: false,
            in_flight: FuturesUnordered::new(),
            ledger: Ledger::default(),
            settling: None,
            renewed_at: Instant::now(),
        }
    }

    /// Works until there is nothing that may be sent now, then gives the lane back.
    pub(crate) async fn run(mut self) -> StoreResult<()> {
        let sender = self.open().await?;
        let mut flush = steady(FLUSH_INTERVAL);
        let mut housekeeping = steady(HOUSEKEEPING_INTERVAL);
        loop {
            self.fill(&sender);
            if self.is_done() {
                break;
            }
            tokio::select! {
                // Answers come without end under load, so what serves them is looked at first; each costs little.
                biased;
                Some(fetched) = OptionFuture::from(self.plan.fetching()) => self.plan.take_in(fetched?),
                Some(settled) = OptionFuture::from(self.settling.as_mut()) => self.take_settled(settled?),
                _ = flush.tick(), if self.settling.is_none() && !self.ledger.is_empty() => self.settle(),
                _ = housekeeping.tick() => self.keep_house().await?,
                Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => self.note_all(done),
                Ok(()) = self.stop.changed() => {}
            }
        }
        self.finish().await
    }

    async fn open(&mut self) -> StoreResult<Arc<Sender>> {
        let work = self.context.lanes.work(self.lease).await?;
        self.health = work.endpoint.health;
        self.stored_health = work.endpoint.health;
        let sender = Sender::new(&self.context, &work.endpoint)?;
        self.plan.open(work.fan_outs);
        self.plan.want_retries(self.context.clock.now());
        Ok(Arc::new(sender))
    }

    /// Starts attempts as far as the window reaches.
    fn fill(&mut self, sender: &Arc<Sender>) {
        if self.may_send() {
            let now = self.context.clock.now();
            let window = self.health.window(self.context.window, now) as usize;
            let kind = match self.health {
                LaneState::Open { .. } => AttemptKind::Probe,
                LaneState::Healthy { .. } | LaneState::SlowStart { .. } | LaneState::Gone { .. } => {
                    AttemptKind::Ordinary
                }
            };
            while self.in_flight.len() < window && self.ledger.len() < UNSETTLED_MAX {
                let Some(errand) = self.plan.next() else { break };
                self.in_flight.push(Box::pin(sender.clone().send(errand, kind)));
            }
        }
        self.plan.fetch_ahead();
    }

    fn may_send(&self) -> bool {
        !self.is_paused && !*self.stop.borrow()
    }

    /// Nothing is under way, and nothing may be sent before somebody else calls us again.
    fn is_done(&self) -> bool {
        let is_quiet = self.in_flight.is_empty() && self.settling.is_none() && self.ledger.is_empty();
        let is_closed = !self.may_send() || self.health.window(self.context.window, self.context.clock.now()) == 0;
        is_quiet && (is_closed || self.plan.is_empty())
    }

    /// Notes a finished attempt and all others that have finished meanwhile, so that one wake-up serves many.
    fn note_all(&mut self, first: Done) {
        let now = self.context.clock.now();
        self.note(first, now);
        while let Some(Some(done)) = self.in_flight.next().now_or_never() {
            self.note(done, now);
        }
    }

    fn note(&mut self, done: Done, now: Timestamp) {
        let attempt = Attempt {
            charged: done.errand.charged,
            outcome: done.outcome,
            asked_wait: done.asked_wait,
            kind: done.kind,
        };
        // Most attempts succeed and need no chance.
        let jitter = Jitter::from_bits(if done.outcome.is_delivered() { 0 } else { self.random_bits() });
        let verdict = judge(&attempt, &self.retries, now, jitter);
        self.health = self.health.after(sign_of(&attempt), self.context.window, now, jitter);
        let row = self.plan.finish(&done.errand);
        self.ledger.record(&done, verdict, row, now);
    }

    fn random_bits(&self) -> u64 {
        u64::from_ne_bytes(self.context.chance.bytes())
    }

    /// Begins to commit what the ledger holds.
    fn settle(&mut self) {
        let mut settlement = self.ledger.take();
        self.plan.note_progress(&mut settlement, self.context.clock.now());
        if self.health != self.stored_health {
            settlement.health = Some(self.health);
            self.stored_health = self.health;
        }
        self.settling = Some(Box::pin(settle_surely(self.context.clone(), self.lease, Arc::new(settlement))));
    }

    fn take_settled(&mut self, settled: Settled) {
        self.settling = None;
        self.plan.note_committed();
        self.is_paused = settled.is_paused;
    }

    async fn keep_house(&mut self) -> StoreResult<()> {
        let now = self.context.clock.now();
        if self.renewed_at.elapsed() > LEASE_FOR / 3 {
            self.context.lanes.renew(self.lease, now, LEASE_FOR).await?;
            self.renewed_at = Instant::now();
        }
        self.plan.want_retries(now);
        Ok(())
    }

    /// Commits what is left, such as fan-outs that ended with the last page, and gives the lane back.
    async fn finish(mut self) -> StoreResult<()> {
        self.settle();
        if let Some(settling) = self.settling.take() {
            settling.await?;
        }
        FailPoint::ReleaseBefore.pass();
        self.context.lanes.release(self.lease, self.context.clock.now()).await
    }
}

/// What was delivered must be known, or it is delivered again: a store in trouble is asked until it answers.
async fn settle_surely(context: Context, lease: Lease, settlement: Arc<Settlement>) -> StoreResult<Settled> {
    loop {
        FailPoint::SettleBefore.pass();
        let settled = context.lanes.settle(lease, settlement.clone()).await;
        FailPoint::SettleAfter.pass();
        match settled {
            Err(error @ (StoreError::Busy(_) | StoreError::Unwritable(_))) => {
                tracing::warn!(endpoint = %lease.endpoint, %error, "outcomes could not be saved; trying again");
                sleep(SETTLE_AGAIN_AFTER).await;
            }
            result => return result,
        }
    }
}

fn steady(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
