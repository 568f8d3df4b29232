//! One lane at work: it keeps a window of requests in flight, judges what comes back, and commits outcomes in segments.
//! Everything about its endpoint (order, pace, breaker) is decided here, by its one owner, without locks.

mod commit;
mod health;
pub(crate) mod hold;
mod ledger;
mod plan;
pub(crate) mod sender;
mod share;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{FutureExt, OptionFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use provider::concurrency::Concurrency;
use provider::eta::Speed;
use provider::judge::{Attempt, AttemptKind, Jitter, RetryPolicy, judge, sign_of};
use provider::lane::LaneState;
use provider::pace::Pace;
use provider::settings::EndpointSettings;
use store::{EndpointSwitch, FailPoint, LaneWork, Lease, NewNotice, Settled, StoreError, StoreResult};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};

use crate::{Context, Turn};
use commit::Commit;
use hold::{Hold, Moment};
use ledger::Ledger;
use plan::{Fetched, Plan};
use sender::{Attempting, Done, Sender};
use share::Share;
pub(crate) use share::{Flight, Paces};

/// Outcomes are looked at this often, and committed if there are enough of them to be worth an fsync.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);
/// Renewing, and looking for what has become due.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(1);
/// Outcomes that may wait for the disk. Beyond it the lane sends nothing new: a bound on what a crash repeats.
const UNSETTLED_MAX: usize = 4_096;
/// How long a lane may keep its place while others wait for one.
const TURN_MAX: Duration = Duration::from_secs(60);

/// What a lane has in common with the others of its process.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Holds `true` once the process is to stop.
    pub(crate) stop: watch::Receiver<bool>,
    /// All places are taken, and other lanes are due.
    pub(crate) is_crowded: Arc<AtomicBool>,
    /// This lane is to go to another node.
    pub(crate) is_given_back: Arc<AtomicBool>,
    pub(crate) flight: Arc<Flight>,
    pub(crate) paces: Arc<Paces>,
}

/// A leased lane.
pub(crate) struct Lane {
    context: Context,
    lease: Lease,
    hold: Hold,
    shared: Shared,
    share: Share,
    retries: RetryPolicy,
    settings: EndpointSettings,
    concurrency: Concurrency,
    pace: Pace,
    speed: Speed,
    /// The owner's orders that we know of.
    signal: u64,
    health: LaneState,
    /// What the owner is to be told with the next commit.
    notice: Option<NewNotice>,
    /// The health that the store knows.
    stored_health: LaneState,
    is_paused: bool,
    /// Why the lane cannot go on reading: it finishes what is in flight, commits, and ends.
    leaving: Option<StoreError>,
    plan: Plan,
    in_flight: FuturesUnordered<Attempting>,
    ledger: Ledger,
    commit: Commit,
    opened_at: Instant,
    has_worked: bool,
}

impl Lane {
    /// The lane was claimed by what was asked at `asked`.
    pub(crate) fn new(context: Context, lease: Lease, asked: Moment, shared: Shared) -> Lane {
        let settings = EndpointSettings::default();
        Lane {
            plan: Plan::new(context.lanes.clone(), lease),
            hold: Hold::new(context.lanes.clone(), lease, asked),
            context,
            lease,
            share: Share::new(shared.flight.clone()),
            pace: shared.paces.take((lease.account, lease.endpoint)),
            speed: Speed::unknown(shared.paces.now()),
            shared,
            retries: RetryPolicy::default(),
            settings,
            concurrency: Concurrency::new(settings.concurrency_max),
            signal: 0,
            health: LaneState::default(),
            notice: None,
            stored_health: LaneState::default(),
            is_paused: false,
            leaving: None,
            in_flight: FuturesUnordered::new(),
            ledger: Ledger::default(),
            commit: Commit::default(),
            opened_at: Instant::now(),
            has_worked: false,
        }
    }

    /// Works until there is nothing that may be sent now, then gives the lane back; `Idle` where there was nothing to do at
    /// all. It ends at once where another has it, or nobody knows what became of a commit: what is in flight then belongs
    /// to the next owner, who reads what is there.
    pub(crate) async fn run(mut self) -> StoreResult<Turn> {
        let worked = match self.work().await {
            Ok(()) => self.finish().await,
            Err(error) => Err(error),
        };
        self.shared.paces.keep((self.lease.account, self.lease.endpoint), self.pace);
        if let Err(error) = &worked {
            self.tell(error);
        }
        worked.map(|()| if self.has_worked { Turn::Worked } else { Turn::Idle })
    }

    async fn work(&mut self) -> StoreResult<()> {
        let mut sender = self.open().await?;
        let mut flush = steady(FLUSH_INTERVAL);
        let mut housekeeping = steady_from(self.housekeeping_begins(), HOUSEKEEPING_INTERVAL);
        loop {
            let next_slot = self.fill(&sender);
            if self.in_flight.is_empty() && self.may_settle() {
                self.settle();
            }
            if self.is_done() {
                break;
            }
            tokio::select! {
                // Answers come without end under load, so what serves them is looked at first; each costs little.
                biased;
                Some(fetched) = OptionFuture::from(self.plan.fetching()) => self.take_in(fetched, &mut sender)?,
                Some(settled) = OptionFuture::from(self.commit.under_way()) => self.take_settled(settled?),
                Some(renewed) = OptionFuture::from(self.hold.renewing()) => self.hold.take_renewed(renewed)?,
                _ = flush.tick(), if self.may_settle() => self.settle_if_worth_it(),
                _ = housekeeping.tick() => self.keep_house(),
                Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => self.note_all(done),
                Some(()) = OptionFuture::from(next_slot.map(sleep)) => {}
                Ok(()) = self.shared.stop.changed() => {}
            }
        }
        Ok(())
    }

    /// Lanes that open together, as those of one save do, do not all ask the store in the same moment.
    fn housekeeping_begins(&self) -> Instant {
        let [.., last] = *self.lease.endpoint.as_bytes();
        self.opened_at + HOUSEKEEPING_INTERVAL * u32::from(last) / 256
    }

    async fn open(&mut self) -> StoreResult<Sender> {
        let work = self.context.lanes.work(self.lease).await?;
        self.health = work.endpoint.health;
        self.stored_health = work.endpoint.health;
        let sender = Sender::new(&self.context, &work.endpoint)?;
        self.obey(&work);
        self.plan.open(work.fan_outs, self.shared.paces.now());
        self.plan.want_retries(self.context.clock.now());
        Ok(sender)
    }

    /// Takes over what the owner wishes.
    fn obey(&mut self, work: &LaneWork) {
        self.signal = work.signal;
        self.is_paused = work.endpoint.switch == EndpointSwitch::Paused;
        self.settings = work.endpoint.settings;
        self.concurrency.set_max(self.settings.concurrency_max);
        if let Some(rate) = self.settings.rate {
            self.pace.fit(rate, self.shared.paces.now());
        }
    }

    /// Starts attempts as far as window, pace and the share of the process reach. Where the pace holds it up, says for
    /// how long.
    fn fill(&mut self, sender: &Sender) -> Option<Duration> {
        let mut next_slot = None;
        self.plan.note_quiet();
        let now = self.context.clock.now();
        if self.may_send() && self.hold.is_sure(now) {
            let window = self.health.window(self.concurrency.limit(), now) as usize;
            self.plan.read_for(window, self.settings.rate);
            let kind = match self.health {
                LaneState::Open { .. } => AttemptKind::Probe,
                LaneState::Healthy { .. }
                | LaneState::SlowStart { .. }
                | LaneState::Gone { .. }
                | LaneState::Disabled { .. } => AttemptKind::Ordinary,
            };
            while self.in_flight.len() < window && self.share.has_room() && self.may_leave_more_unsettled() {
                next_slot = self.wait_for_pace();
                if next_slot.is_some() {
                    break;
                }
                let Some(errand) = self.plan.next(self.shared.paces.now()) else {
                    next_slot = self.plan.wait(self.shared.paces.now());
                    break;
                };
                self.share.take();
                if let Some(rate) = self.settings.rate {
                    self.pace.note(rate, self.shared.paces.now());
                }
                self.in_flight.push(sender.send(errand, kind));
                self.has_worked = true;
            }
            for (fan_out, place) in self.plan.take_erased() {
                self.ledger.record_erased(fan_out, place);
            }
        } else {
            // Counting a large audience may have taken more than the lease, too.
            self.hold.renew_if_due(now);
        }
        if self.leaving.is_none() {
            self.plan.fetch_ahead();
        }
        next_slot
    }

    fn may_leave_more_unsettled(&self) -> bool {
        self.ledger.len() + self.commit.outcomes() < UNSETTLED_MAX
    }

    fn wait_for_pace(&self) -> Option<Duration> {
        let wait = self.pace.wait(self.settings.rate?, self.shared.paces.now());
        Some(wait).filter(|wait| !wait.is_zero())
    }

    fn may_send(&self) -> bool {
        let turn_is_over = self.shared.is_crowded.load(Ordering::Relaxed) && self.opened_at.elapsed() > TURN_MAX;
        let is_leaving = turn_is_over || self.shared.is_given_back.load(Ordering::Relaxed);
        let is_called_off = self.is_paused || is_leaving || *self.shared.stop.borrow();
        !is_called_off && self.leaving.is_none() && !self.commit.is_refused()
    }

    /// Nothing is under way, and nothing may be sent before somebody else calls us again.
    fn is_done(&self) -> bool {
        let is_quiet = self.in_flight.is_empty() && !self.commit.is_under_way() && self.ledger.is_empty();
        let is_closed = !self.may_send() || self.health.window(self.concurrency.limit(), self.context.clock.now()) == 0;
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
        self.share.give_back();
        self.note_health(&done, sign_of(&attempt), now, jitter);
        let row = self.plan.finish(&done.errand);
        self.ledger.record(&done, verdict, row, now);
    }

    fn random_bits(&self) -> u64 {
        u64::from_ne_bytes(self.context.chance.bytes())
    }

    fn take_in(&mut self, fetched: StoreResult<Fetched>, sender: &mut Sender) -> StoreResult<()> {
        match fetched {
            Ok(Fetched::Work(work)) => {
                if work.signal != self.signal {
                    sender.renew_secrets(&work.endpoint)?;
                    self.take_over_health(work.endpoint.health);
                }
                // It may be this very query that brings the order.
                self.hear(work.signal);
                self.obey(&work);
                self.plan.take_in(Fetched::Work(work), self.shared.paces.now());
            }
            Ok(fetched) => {
                let signal = match &fetched {
                    Fetched::Retries { signal, .. } => *signal,
                    Fetched::Work(_) | Fetched::Page { .. } => self.signal,
                };
                self.plan.take_in(fetched, self.shared.paces.now());
                self.hear(signal);
            }
            Err(StoreError::Fenced) => return Err(StoreError::Fenced),
            Err(error) => {
                self.plan.stop_reading();
                self.leaving = Some(error);
            }
        }
        Ok(())
    }

    /// Looks again at everything where the owner has given an order.
    fn hear(&mut self, signal: u64) {
        if signal != self.signal {
            self.plan.look_again(self.context.clock.now());
        }
    }

    fn may_settle(&self) -> bool {
        !self.commit.is_under_way() && (!self.ledger.is_empty() || self.plan.has_ended_some())
    }

    fn settle_if_worth_it(&mut self) {
        if self.ledger.is_worth_a_commit() || self.plan.has_ended_some() {
            self.settle();
        }
    }

    /// Begins to commit what the ledger holds.
    fn settle(&mut self) {
        let outcomes = self.ledger.len();
        self.speed.note(self.ledger.first_attempts());
        let mut settlement = self.ledger.take();
        settlement.notice = self.notice.take();
        settlement.per_minute = self.speed.measured(self.shared.paces.now());
        self.plan.note_progress(&mut settlement, self.context.clock.now());
        if self.health != self.stored_health {
            settlement.health = Some(self.health);
            self.stored_health = self.health;
        }
        // A lane that is given back may have nothing left to tell.
        if !settlement.is_empty() {
            self.has_worked = true;
            self.commit.start(self.context.lanes.clone(), self.lease, settlement, outcomes);
        }
    }

    fn take_settled(&mut self, settled: Settled) {
        self.commit.end();
        self.plan.note_committed();
        self.hear(settled.signal);
    }

    fn keep_house(&mut self) {
        let now = self.context.clock.now();
        self.hold.renew_if_due(now);
        self.plan.want_retries(now);
        self.plan.want_work();
    }

    /// Commits what is left, such as fan-outs that ended with the last page, and gives the lane back.
    async fn finish(&mut self) -> StoreResult<()> {
        // What is still being read is of no use, and may hold what others wait for.
        self.plan.stop_reading();
        self.settle();
        if let Some(settling) = self.commit.under_way() {
            settling.await?;
            self.commit.end();
        }
        FailPoint::ReleaseBefore.pass();
        self.context.lanes.release(self.lease, self.context.clock.now()).await?;
        self.leaving.take().map_or(Ok(()), Err)
    }

    /// Tells once why the lane was left, and what that costs.
    fn tell(&self, error: &StoreError) {
        let (endpoint, in_flight) = (self.lease.endpoint, self.in_flight.len());
        let outcomes = self.ledger.len() + self.commit.outcomes();
        match error {
            StoreError::Fenced => tracing::warn!(
                %endpoint, outcomes, in_flight,
                "another owner has a lane; what was not saved is dropped, and may be sent again"
            ),
            StoreError::Unconfirmed(_) => tracing::warn!(
                %endpoint, outcomes, in_flight, %error,
                "a lane is left and read anew; what turns out not to be saved is sent again"
            ),
            _ => tracing::warn!(%endpoint, outcomes, %error, "a lane was left; it is taken up again when it is due"),
        }
    }
}

fn steady(period: Duration) -> Interval {
    steady_from(Instant::now(), period)
}

fn steady_from(start: Instant, period: Duration) -> Interval {
    let mut interval = interval_at(start, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
