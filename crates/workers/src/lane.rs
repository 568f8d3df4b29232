//! One lane at work: it keeps a window of requests in flight, judges what comes back, and commits outcomes in segments.
//! Everything about its endpoint (order, pace, breaker) is decided here, by its one owner, without locks.

mod commit;
mod ledger;
mod plan;
pub(crate) mod sender;
mod share;

use std::mem::discriminant;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{FutureExt, OptionFuture};
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use provider::concurrency::Concurrency;
use provider::eta::Speed;
use provider::judge::{Attempt, AttemptKind, Jitter, RetryPolicy, Sign, judge, sign_of};
use provider::lane::{LanePolicy, LaneState};
use provider::pace::Pace;
use provider::settings::EndpointSettings;
use store::{DisabledBecause, EndpointSwitch, FailPoint, LaneWork, Lease, NewNotice, Settled, StoreError, StoreResult};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep};
use wire::NoticeId;

use crate::{Context, LEASE_FOR};
use commit::Commit;
use ledger::Ledger;
use plan::{Fetched, Plan};
use sender::{Attempting, Done, Sender};
pub(crate) use share::{Flight, Paces};
use share::{Share, Voice};

/// Outcomes are looked at this often, and committed if there are enough of them to be worth an fsync.
const FLUSH_INTERVAL: Duration = Duration::from_millis(5);
/// Renewing, and looking for what has become due.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(1);
/// Outcomes that may wait for the disk. Beyond it the lane sends nothing new: a bound on what a crash repeats.
const UNSETTLED_MAX: usize = 4_096;
/// How long a lane may keep its place while others wait for one.
const TURN_MAX: Duration = Duration::from_secs(60);

type Renewing = Pin<Box<dyn Future<Output = StoreResult<()>> + Send>>;

/// What a lane has in common with the others of its process.
#[derive(Clone)]
pub(crate) struct Shared {
    /// Holds `true` once the process is to stop.
    pub(crate) stop: watch::Receiver<bool>,
    /// All places are taken, and other lanes are due.
    pub(crate) is_crowded: Arc<AtomicBool>,
    pub(crate) flight: Arc<Flight>,
    pub(crate) paces: Arc<Paces>,
}

/// A leased lane.
pub(crate) struct Lane {
    context: Context,
    lease: Lease,
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
    renewing: Option<Renewing>,
    renewed_at: Instant,
    opened_at: Instant,
}

impl Lane {
    pub(crate) fn new(context: Context, lease: Lease, shared: Shared) -> Lane {
        let now = Instant::now();
        let settings = EndpointSettings::default();
        Lane {
            plan: Plan::new(context.lanes.clone(), lease),
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
            renewing: None,
            renewed_at: now,
            opened_at: now,
        }
    }

    /// Works until there is nothing that may be sent now, then gives the lane back. Only the loss of the lease ends it
    /// at once: what is in flight then belongs to the next owner.
    pub(crate) async fn run(mut self) -> StoreResult<()> {
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
                Some(renewed) = OptionFuture::from(self.renewing.as_mut()) => self.take_renewed(renewed)?,
                _ = flush.tick(), if self.may_settle() => self.settle_if_worth_it(),
                _ = housekeeping.tick() => self.keep_house(),
                Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => self.note_all(done),
                Some(()) = OptionFuture::from(next_slot.map(sleep)) => {}
                Ok(()) = self.shared.stop.changed() => {}
            }
        }
        self.finish().await
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
        let now = self.context.clock.now();
        self.plan.want_retries(now);
        // Counting a large audience may have taken a good part of the lease.
        if self.renewed_at.elapsed() > LEASE_FOR / 3 {
            self.context.lanes.renew(self.lease, now, LEASE_FOR).await?;
            self.renewed_at = Instant::now();
        }
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
        if self.may_send() {
            let now = self.context.clock.now();
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
            }
            for (fan_out, place) in self.plan.take_erased() {
                self.ledger.record_erased(fan_out, place);
            }
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
        let is_called_off = self.is_paused || turn_is_over || *self.shared.stop.borrow();
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

    fn note_health(&mut self, done: &Done, sign: Sign, now: Timestamp, jitter: Jitter) {
        match sign {
            Sign::Alive => {
                self.share.note(Voice::Answering);
                self.concurrency.note_answer(done.phases.total, self.in_flight.len() + 1);
            }
            Sign::Failing(_) => {
                self.share.note(Voice::Silent);
                self.concurrency.note_failure();
            }
            Sign::Throttling(_) | Sign::Gone => {}
        }
        let policy = LanePolicy { window: self.concurrency.limit(), disable_after: self.context.bounds.disable_after };
        let health = self.health.after(sign, policy, now, jitter);
        if discriminant(&health) != discriminant(&self.health) {
            tracing::info!(endpoint = %self.lease.endpoint, health = health.name(), after = %done.outcome, "an endpoint changed");
        }
        if let (LaneState::Open { .. }, LaneState::SlowStart { .. }) = (self.health, health) {
            // What it could bear before says little.
            self.concurrency = Concurrency::new(self.settings.concurrency_max);
        }
        if health.is_ended() && !self.health.is_ended() {
            self.notice = Some(self.given_up(health, now));
        }
        self.health = health;
    }

    /// Tells the owner that the endpoint gets nothing more.
    fn given_up(&self, health: LaneState, now: Timestamp) -> NewNotice {
        let id = NoticeId::from_bytes(self.context.chance.id_bytes(now));
        let because = match (self.health, health) {
            (LaneState::Open { since, .. }, LaneState::Disabled { .. }) => DisabledBecause::FailingSince(since),
            _ => DisabledBecause::Gone,
        };
        NewNotice::endpoint_disabled(id, self.lease.endpoint, because, now)
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

    /// The owner may have said that the endpoint is well again.
    fn take_over_health(&mut self, health: LaneState) {
        // What was read before our last commit says less than we know.
        let is_current = !self.commit.is_under_way() && self.plan.knows_all_commits();
        // Where the store knew of no failing, there was nothing to forgive: what we have learned since stands.
        let was_failing = !matches!(self.stored_health, LaneState::Healthy { .. });
        if health == LaneState::default() && was_failing && is_current {
            (self.health, self.stored_health) = (health, health);
            self.concurrency = Concurrency::new(self.settings.concurrency_max);
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
        if self.renewing.is_none() && self.renewed_at.elapsed() > LEASE_FOR / 3 {
            let (lanes, lease) = (self.context.lanes.clone(), self.lease);
            self.renewing = Some(Box::pin(async move { lanes.renew(lease, now, LEASE_FOR).await }));
        }
        self.plan.want_retries(now);
        self.plan.want_work();
    }

    fn take_renewed(&mut self, renewed: StoreResult<()>) -> StoreResult<()> {
        self.renewing = None;
        match renewed {
            Ok(()) => self.renewed_at = Instant::now(),
            Err(StoreError::Fenced) => return Err(StoreError::Fenced),
            // There is time for more tries before the lease ends, and until then it is ours.
            Err(error) => tracing::warn!(endpoint = %self.lease.endpoint, %error, "a lease could not be renewed yet"),
        }
        Ok(())
    }

    /// Commits what is left, such as fan-outs that ended with the last page, and gives the lane back.
    async fn finish(mut self) -> StoreResult<()> {
        // What is still being read is of no use, and may hold what others wait for.
        self.plan.stop_reading();
        self.settle();
        if let Some(settling) = self.commit.under_way() {
            settling.await?;
        }
        self.shared.paces.keep((self.lease.account, self.lease.endpoint), self.pace);
        FailPoint::ReleaseBefore.pass();
        self.context.lanes.release(self.lease, self.context.clock.now()).await?;
        self.leaving.map_or(Ok(()), Err)
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
