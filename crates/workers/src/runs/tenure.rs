//! The time in which a handler is ours: it keeps runs under way, judges what comes back, and commits outcomes. Everything
//! about the handler (order, pace, rest) is decided here, by its one owner, without locks.

mod outcomes;

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::OptionFuture;
use store::{HandlerLease, RunState, RunsWanted, SettledRun, SkipReason, StoreError, StoreResult};
use tokio::time::{Instant, sleep_until};

use super::attempts::{Attempts, Manner};
use super::hand::{Hand, Next, Run, Wanted};
use super::intake::{Page, Question, What};
use super::is_stopped;
use super::ledger::Ledger;
use super::runner::{POLL_INTERVAL, Runner};
use super::term::{SURE_FOR, Term};
use crate::trouble::Trouble;
use crate::{LEASE_FOR, Turn};

/// Outcomes that may wait for the disk. Beyond it nothing begins: a bound on what a crash repeats.
const UNSETTLED_MAX: usize = 512;
/// Hints come with each commit of the inbox; a handler that has nothing to do need not look more often.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// After a store could not be read, or a lease not be renewed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

type Reading = Pin<Box<dyn Future<Output = StoreResult<Page>> + Send>>;
type Renewing = Pin<Box<dyn Future<Output = StoreResult<()>> + Send>>;

/// How long to work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// Until there is nothing to do now.
    Idle,
    /// Until told to stop, and then until what is in flight has ended, at most this much longer.
    Stopped {
        /// For what is in flight.
        drain: Duration,
    },
}

pub(super) struct Tenure<'r> {
    runner: &'r mut Runner,
    lease: HandlerLease,
    hand: Hand,
    attempts: Attempts,
    ledger: Ledger,
    reading: Option<Reading>,
    /// When to look for what is due.
    look_at: Instant,
    looked_at: Instant,
    renewing: Option<(Instant, Renewing)>,
    term: Term,
    renew_at: Instant,
    is_stopping: bool,
    /// When what is in flight is left.
    leave_at: Option<Instant>,
    has_worked: bool,
    of_reading: Trouble,
    of_renewing: Trouble,
}

impl<'r> Tenure<'r> {
    /// The handler was claimed by what was asked at `asked_at`.
    pub(super) fn begin(runner: &'r mut Runner, lease: HandlerLease, asked_at: Instant) -> Tenure<'r> {
        let of_reading = Trouble::with("messages could not be read yet").of(runner.name());
        let of_renewing = Trouble::with("the lease of a handler could not be renewed yet").of(runner.name());
        Tenure {
            runner,
            hand: Hand::new(lease.cursor),
            attempts: Attempts::default(),
            ledger: Ledger::new(lease.cursor),
            lease,
            reading: None,
            look_at: asked_at,
            looked_at: asked_at,
            renewing: None,
            term: Term::begin(asked_at),
            renew_at: asked_at + LEASE_FOR / 3,
            is_stopping: false,
            leave_at: None,
            has_worked: false,
            of_reading,
            of_renewing,
        }
    }

    /// Works and gives the handler back. `Fenced` where it was taken from us: then all is dropped, and what was in flight
    /// belongs to the next owner.
    pub(super) async fn work(mut self, until: Until) -> StoreResult<Turn> {
        let worked = self.work_on(until).await;
        self.attempts.abandon().await;
        worked?;
        let (store, now) = (self.runner.context.store.clone(), self.runner.context.clock.now());
        if let Err(error) = store.renew_handler(&self.lease, now, None).await {
            tracing::warn!(handler = self.runner.name(), %error, "a handler was not given back; its lease runs out");
        }
        Ok(if self.has_worked { Turn::Worked } else { Turn::Idle })
    }

    async fn work_on(&mut self, until: Until) -> StoreResult<()> {
        let mut stop = self.runner.stop.clone();
        let (hint, time_max) = (self.runner.hint.clone(), self.runner.handler.rules.timeout);
        loop {
            self.heed_time(until).await;
            let begins_again = self.begin_runs();
            self.look_if_due();
            self.settle_if_due(until);
            if self.is_done(until, begins_again) {
                return Ok(());
            }
            let wake_at = self.wake_at(begins_again);
            tokio::select! {
                // Ends of runs come without all end under load, so what serves them is looked at first.
                biased;
                Some(page) = OptionFuture::from(self.reading.as_mut()) => self.take_in(page)?,
                Some(settled) = OptionFuture::from(self.ledger.under_way()) => self.take_settled(settled)?,
                Some(renewed) = OptionFuture::from(self.renewing.as_mut().map(|(_, renewing)| renewing)) => {
                    self.take_renewed(renewed)?;
                }
                Some(ended) = self.attempts.next(time_max) => self.note_all(ended),
                _ = stop.changed(), if !self.is_stopping => {}
                () = hint.notified(), if !self.is_stopping => {
                    self.look_at = self.look_at.min(self.looked_at + LOOK_INTERVAL);
                }
                () = sleep_until(wake_at) => {}
            }
        }
    }

    /// What has to happen by now: stopping, renewing, letting go of what has become old.
    async fn heed_time(&mut self, until: Until) {
        let now = Instant::now();
        if !self.is_stopping && is_stopped(&self.runner.stop) {
            self.is_stopping = true;
            self.let_go();
            if let Until::Stopped { drain } = until {
                self.leave_at = Some(now + drain);
            }
        }
        if self.leave_at.is_some_and(|leave_at| leave_at <= now) && !self.attempts.is_empty() {
            let runs = self.attempts.abandon().await;
            let handler = self.runner.name();
            tracing::warn!(handler, runs, "stopped before all runs had ended; they will be done again");
        }
        if self.renewing.is_none() && self.renew_at <= now {
            let (store, lease) = (self.runner.context.store.clone(), self.lease.clone());
            let at = self.runner.context.clock.now();
            let renewing = async move { store.renew_handler(&lease, at, Some(LEASE_FOR)).await };
            self.renewing = Some((now, Box::pin(renewing)));
        }
        if self.hand.stale_at().is_some_and(|stale_at| stale_at <= now) {
            self.let_go();
        }
    }

    /// Lets go of what was read and not begun. What is being read does not know of it.
    fn let_go(&mut self) {
        self.hand.let_go();
        self.reading = None;
        self.look_at = Instant::now();
    }

    fn may_begin(&self) -> bool {
        let is_full = self.ledger.len() >= UNSETTLED_MAX || self.ledger.is_refused();
        !self.is_stopping && !is_full && self.term.is_sure()
    }

    /// Begins runs as far as concurrency, pace and rest allow. Where it is time that holds them up, says until when.
    fn begin_runs(&mut self) -> Option<Instant> {
        while self.may_begin() {
            let health = &self.runner.health;
            let now = health.now();
            let window = health.rest.window(self.runner.handler.rules.concurrency, now);
            if window == 0 {
                return Some(Instant::now() + health.rest.wait(now));
            }
            let wait = health.paces.wait(now);
            if self.attempts.len() >= window || !self.hand.has_ready() {
                break;
            }
            if !wait.is_zero() {
                return Some(Instant::now() + wait);
            }
            let batch = self.next_batch();
            if batch.is_empty() {
                break;
            }
            let handler = &self.runner.handler;
            let at = self.runner.context.clock.now();
            let how = Manner { handler: &handler.handler, time_max: handler.rules.timeout, term: &self.term };
            self.attempts.begin(batch, how, at);
        }
        None
    }

    /// The runs of one attempt: one, or several of which none has failed before.
    fn next_batch(&mut self) -> Vec<Run> {
        let health = &mut self.runner.health;
        let batch_max = if health.rest.is_resting() { 1 } else { self.runner.handler.handler.batch_max().max(1) };
        let mut wanted = if health.rest.is_resting() { Wanted::Probe } else { Wanted::Next };
        let mut batch = Vec::new();
        let now = health.now();
        while batch.len() < batch_max && health.paces.wait(now).is_zero() {
            match self.hand.next(wanted) {
                None => break,
                Some(Next::Outdated(run)) => {
                    let state = RunState::Skipped(SkipReason::Outdated);
                    self.ledger.record(run.settled(run.attempts, state));
                }
                Some(Next::Run(run)) => {
                    health.paces.note(now);
                    let is_alone = run.is_alone;
                    batch.push(run);
                    if is_alone {
                        break;
                    }
                    wanted = Wanted::Companion;
                }
            }
        }
        batch
    }

    /// Begins to read what is due, where there is room for it and it could begin.
    fn look_if_due(&mut self) {
        let now = Instant::now();
        if self.look_at > now || !self.may_look() {
            return;
        }
        let Some((limit, bytes_max)) = self.hand.room() else { return };
        let question = Question {
            lease: self.lease.clone(),
            now: self.runner.context.clock.now(),
            wanted: RunsWanted { after: self.hand.read_to(), busy: self.hand.busy(), limit, bytes_max },
        };
        self.looked_at = now;
        self.reading = Some(Box::pin(self.runner.intake.clone().read(question)));
    }

    fn may_look(&self) -> bool {
        let health = &self.runner.health;
        let rests = health.rest.window(1, health.now()) == 0;
        self.reading.is_none() && !rests && self.may_begin()
    }

    fn settle_if_due(&mut self, until: Until) {
        let cursor = self.hand.low_water();
        self.ledger.note_cursor(cursor);
        // Nobody will come to share the commit.
        let is_quiet = self.attempts.is_empty() && self.reading.is_none();
        let is_last = is_quiet && (self.is_stopping || matches!(until, Until::Idle));
        let is_due = self.ledger.due().is_some_and(|due| due <= Instant::now());
        if is_due || is_last || (is_quiet && self.ledger.len() > 0) {
            let now = self.runner.context.clock.now();
            self.ledger.settle(&self.runner.context.store, &self.lease, cursor, now);
        }
    }

    fn is_done(&self, until: Until, begins_again: Option<Instant>) -> bool {
        let is_quiet = self.attempts.is_empty() && self.ledger.is_settled(self.hand.low_water());
        let has_nothing_now = || {
            let waits = begins_again.is_some() || !self.hand.has_ready();
            self.reading.is_none() && waits && self.look_at > Instant::now()
        };
        match until {
            Until::Idle => is_quiet && (self.is_stopping || has_nothing_now() || begins_again.is_some()),
            Until::Stopped { .. } => is_quiet && self.is_stopping,
        }
    }

    fn wake_at(&self, begins_again: Option<Instant>) -> Instant {
        let may_look = self.may_look() && self.hand.room().is_some();
        let sure_until = self.term.renewed_at() + SURE_FOR;
        let renew_at =
            if self.renewing.is_none() { self.renew_at } else { sure_until.max(Instant::now() + AGAIN_AFTER) };
        [
            begins_again,
            may_look.then_some(self.look_at),
            self.ledger.due(),
            self.hand.stale_at(),
            self.leave_at.filter(|_| !self.attempts.is_empty()),
        ]
        .into_iter()
        .flatten()
        .fold(renew_at, Instant::min)
    }

    fn take_in(&mut self, page: StoreResult<Page>) -> StoreResult<()> {
        self.reading = None;
        if let Err(StoreError::Fenced) = page {
            return Err(StoreError::Fenced);
        }
        let Some(page) = self.of_reading.heed(page) else {
            self.look_at = Instant::now() + AGAIN_AFTER;
            return Ok(());
        };
        self.has_worked |= !page.found.is_empty();
        self.look_at = if page.found.is_empty() { self.looked_at + POLL_INTERVAL } else { Instant::now() };
        for (subject, newest) in page.newest {
            self.hand.note_newest(subject, newest);
        }
        for found in page.found {
            match found.what {
                What::Run(run) => self.hand.add(*run),
                What::PassedOver => self.hand.pass(found.number, found.origin),
                What::Ended(ended) => {
                    self.hand.pass(found.number, found.origin);
                    self.hand.note_unsettled(found.number);
                    self.ledger.record(ended);
                }
            }
        }
        self.hand.forget_newest();
        Ok(())
    }

    fn take_settled(&mut self, settled: StoreResult<()>) -> StoreResult<()> {
        settled?;
        let numbers = self.ledger.end();
        self.hand.note_settled(&numbers);
        Ok(())
    }

    fn take_renewed(&mut self, renewed: StoreResult<()>) -> StoreResult<()> {
        let Some((asked_at, _)) = self.renewing.take() else { return Ok(()) };
        if let Err(StoreError::Fenced) = renewed {
            return Err(StoreError::Fenced);
        }
        self.renew_at = match self.of_renewing.heed(renewed) {
            Some(()) => {
                self.term.renew(asked_at);
                asked_at + LEASE_FOR / 3
            }
            None => Instant::now() + AGAIN_AFTER,
        };
        Ok(())
    }
}

impl Run {
    fn settled(&self, attempts: u32, state: RunState) -> SettledRun {
        let (number, generation) = (self.number, self.job.generation);
        SettledRun { number, attempts, generation, state, handled: None }
    }
}
