//! The oracle: hears of each attempt and each write at the moment it takes effect, and says what should not be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use handlers::Job;
use jiff::Timestamp;
use receiver::handling::{HandlerRules, is_outdated};
use receiver::{KeptHeaders, Subject};
use store::{MessageNumber, RunState, SkipReason};
use tokio::time::Instant;
use wire::NodeId;

use super::Counts;
use super::people::{HANDLERS, is_taken};
use crate::memory::Memory;
use crate::world::read;

pub(crate) struct Oracle {
    store: Arc<Memory>,
    start: Instant,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    tenures: BTreeMap<(u64, String), Tenure>,
    done: BTreeMap<(String, MessageNumber), u32>,
    counts: Counts,
    history: Vec<String>,
    violation: Option<String>,
}

/// The time one process has a handler by one lease.
#[derive(Default)]
struct Tenure {
    epoch: u64,
    in_flight: BTreeSet<MessageNumber>,
    subjects: BTreeSet<Subject>,
    done: BTreeSet<MessageNumber>,
    newest: BTreeMap<Subject, (u64, MessageNumber)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Failed,
}

/// An attempt under way; one that is dropped has come to nothing.
pub(super) struct UnderWay<'o> {
    oracle: &'o Oracle,
    key: (u64, String),
    epoch: u64,
    number: MessageNumber,
    subject: Option<Subject>,
    version: u64,
}

impl Oracle {
    pub(super) fn new(store: Arc<Memory>) -> Oracle {
        Oracle { store, start: Instant::now(), known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, what: String) {
        let line = format!("{:>8} ms  {what}", self.start.elapsed().as_millis());
        self.known().history.push(line);
    }

    pub(super) fn saw(&self, what: &'static str) {
        *self.known().counts.entry(what).or_default() += 1;
    }

    pub(super) fn counts(&self) -> Counts {
        self.known().counts.clone()
    }

    pub(super) fn history(&self) -> Vec<String> {
        self.known().history.clone()
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        self.known().violation.clone().map_or(Ok(()), Err)
    }

    fn break_promise(&self, what: String) {
        self.note(format!("BROKEN {what}"));
        self.known().violation.get_or_insert(what);
    }

    /// A process has claimed a handler.
    pub(super) fn claimed(&self, process: u64, handler: &str, epoch: u64) {
        self.note(format!("process {process} has {handler} by epoch {epoch}"));
        let tenure = Tenure { epoch, ..Tenure::default() };
        self.known().tenures.insert((process, handler.to_owned()), tenure);
    }

    /// Somebody else takes a handler for a moment.
    pub(super) fn fence(&self, now: &Timestamp, handler: usize) {
        let far = *now + Duration::from_secs(3_600);
        let node = NodeId::from_bytes([0xff; 16]);
        let mut tables = self.store.tables();
        if let Some(lease) = tables.claim(HANDLERS[handler], node, far, Duration::ZERO) {
            tables.renew(&lease, far, None).expect("just claimed");
            self.saw("a lease lost");
        }
    }

    pub(super) fn crash(&self) {
        let in_flight = self.known().tenures.values().any(|tenure| !tenure.in_flight.is_empty());
        self.note("a crash".to_owned());
        self.saw(if in_flight { "a crash with runs in flight" } else { "a crash" });
    }

    pub(super) fn end(&self, process: u64) {
        self.note(format!("process {process} has stopped"));
    }

    /// An attempt begins.
    pub(super) fn begin(&self, process: u64, job: &Job) -> UnderWay<'_> {
        let (number, handler) = (job.message.id.as_u64(), job.handler.to_string());
        let message = read(&job.message.headers, &job.message.body, None);
        let (subject, version) = (message.subject, message.version);
        self.note(format!("process {process} begins {handler} {number}, attempt {}", job.attempt));
        let key = (process, handler.clone());
        let held = self.may_begin(&key, job, (number, subject, version));
        if let Err(broken) = held {
            self.break_promise(format!("{handler} {number} in process {process}: {broken}"));
        }
        let mut known = self.known();
        let tenure = known.tenures.entry(key.clone()).or_default();
        tenure.in_flight.insert(number);
        tenure.subjects.extend(subject);
        let epoch = tenure.epoch;
        if known.done.contains_key(&(handler, number)) {
            *known.counts.entry("a run repeated").or_default() += 1;
        }
        UnderWay { oracle: self, key, epoch, number, subject, version }
    }

    fn may_begin(
        &self,
        key: &(u64, String),
        job: &Job,
        (number, subject, version): (MessageNumber, Option<Subject>, u64),
    ) -> Result<(), String> {
        let known = self.known();
        let tenure = known.tenures.get(key).ok_or("it was never claimed")?;
        let broken = |what: &str| Err(what.to_owned());
        if tenure.in_flight.contains(&number) {
            return broken("it is in flight already");
        }
        if tenure.done.contains(&number) {
            return broken("it was done already, and nothing was lost");
        }
        if subject.is_some_and(|subject| tenure.subjects.contains(&subject)) {
            return broken("another run about the same person is in flight");
        }
        let newest = subject.and_then(|subject| tenure.newest.get(&subject).copied());
        if is_outdated(newest, version, number) {
            return broken("a newer version was handled by this very process");
        }
        let tables = self.store.tables();
        if !is_taken(&tables.messages[&number]) {
            return broken("it is not the handler's");
        }
        let progress = &tables.handlers[&key.1];
        if progress.epoch() != tenure.epoch {
            // It does not know yet that another has the handler.
            return Ok(());
        }
        match progress.rows.get(&number) {
            None if number <= progress.cursor => broken("the cursor has passed it"),
            None => Ok(()),
            Some(row) if row.attempts + 1 != job.attempt => broken("its attempts are not counted right"),
            Some(row) if !matches!(row.state, RunState::Waiting { .. }) => broken("it is on disk that it has ended"),
            Some(_) => Ok(()),
        }?;
        match is_outdated(subject.and_then(|subject| progress.newest_of(subject)), version, number) {
            true => broken("a newer version is on disk as handled"),
            false => Ok(()),
        }
    }

    /// What of the handler is not finished.
    pub(super) fn unfinished(&self, handler: &str) -> Vec<MessageNumber> {
        let tables = self.store.tables();
        let Some(progress) = tables.handlers.get(handler) else { return vec![0] };
        let ended = |number: &MessageNumber| match progress.rows.get(number).map(|row| &row.state) {
            None | Some(RunState::Waiting { .. }) => false,
            Some(RunState::Done | RunState::Skipped(_) | RunState::Parked { .. }) => true,
        };
        let taken = tables.messages.values().filter(|message| is_taken(message)).map(|message| message.number);
        taken.filter(|number| !ended(number)).collect()
    }

    /// At the end: what is on disk is what happened.
    pub(super) fn agree(&self, rules: &[(HandlerRules, usize)]) -> Result<(), String> {
        let tables = self.store.tables();
        let mut known = self.known();
        for (handler, (rules, _)) in HANDLERS.iter().zip(rules) {
            let progress = &tables.handlers[*handler];
            for (number, row) in &progress.rows {
                let what = || format!("{handler} {number} is {row:?}");
                let was_done = known.done.contains_key(&((*handler).to_owned(), *number));
                let message = &tables.messages[number];
                let subject = read(&KeptHeaders::default(), &message.body, None).subject;
                let (seen, is_right) = match &row.state {
                    RunState::Waiting { .. } => ("a run waiting", false),
                    RunState::Done => ("a run done", was_done),
                    RunState::Skipped(SkipReason::Outdated) => ("a run outdated", subject.is_some()),
                    RunState::Skipped(_) => ("a run skipped", false),
                    RunState::Parked { .. } => ("a run parked", *handler == HANDLERS[0]),
                };
                if !is_right || !is_taken(message) || row.attempts as usize > rules.retry.len() + 1 {
                    return Err(what());
                }
                *known.counts.entry(seen).or_default() += 1;
            }
        }
        Ok(())
    }
}

impl UnderWay<'_> {
    pub(super) fn end(self, end: End) {
        let mut known = self.oracle.known();
        if end == End::Done {
            *known.done.entry((self.key.1.clone(), self.number)).or_default() += 1;
            if let Some(tenure) = known.tenures.get_mut(&self.key).filter(|tenure| tenure.epoch == self.epoch) {
                tenure.done.insert(self.number);
                if let Some(subject) = self.subject {
                    let newest = tenure.newest.entry(subject).or_default();
                    *newest = (self.version, self.number).max(*newest);
                }
            }
        }
        drop(known);
        self.oracle.note(format!("{} {} ends: {end:?}", self.key.1, self.number));
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut known = self.oracle.known();
        let tenure = known.tenures.get_mut(&self.key).filter(|tenure| tenure.epoch == self.epoch);
        if let Some(tenure) = tenure {
            tenure.in_flight.remove(&self.number);
            if let Some(subject) = self.subject {
                tenure.subjects.remove(&subject);
            }
        }
    }
}
