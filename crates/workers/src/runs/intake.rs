//! Reads what is due for a handler: asks the store, reads each message, and sorts out what is not the handler's.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use handlers::{FilterError, Job, JobMessage};
use jiff::Timestamp;
use receiver::handling::takes;
use receiver::{KeptHeaders, Subject};
use store::{
    DueRun, HandlerLease, Message, MessageContent, MessageNumber, RunState, RunsWanted, SettledRun, SkipReason,
    StoreResult,
};
use wire::InboxMessageId;

use super::hand::{Origin, Run};
use super::{RunContext, RunHandler, SourceLabel};

/// What reads for one handler.
pub(super) struct Intake {
    context: Arc<RunContext>,
    handler: Arc<RunHandler>,
    name: Arc<str>,
}

/// What to ask for.
pub(super) struct Question {
    pub(super) lease: HandlerLease,
    pub(super) now: Timestamp,
    pub(super) wanted: RunsWanted,
}

/// What was due.
pub(super) struct Page {
    pub(super) found: Vec<Found>,
    /// The newest that was handled, of subjects among them.
    pub(super) newest: Vec<(Subject, (u64, MessageNumber))>,
}

/// A message that was due.
pub(super) struct Found {
    pub(super) number: MessageNumber,
    pub(super) origin: Origin,
    pub(super) what: What,
}

/// What it is to the handler.
pub(super) enum What {
    /// To be done.
    Run(Box<Run>),
    /// Nothing: it is not the handler's.
    PassedOver,
    /// Its outcome is known without an attempt.
    Ended(SettledRun),
}

impl Intake {
    pub(super) fn new(context: Arc<RunContext>, handler: Arc<RunHandler>) -> Intake {
        let name = handler.rules.name.as_str().into();
        Intake { context, handler, name }
    }

    pub(super) async fn read(self: Arc<Self>, question: Question) -> StoreResult<Page> {
        let Question { lease, now, wanted } = question;
        let (store, after) = (&self.context.store, wanted.after);
        let due = store.due_runs(&lease, now, wanted).await?;
        let found: Vec<Found> = due.into_iter().map(|due| self.sort_out(due, after, now)).collect();
        let subject = |found: &Found| match &found.what {
            What::Run(run) => run.subject,
            What::PassedOver | What::Ended(_) => None,
        };
        let subjects: BTreeSet<Subject> = found.iter().filter_map(subject).collect();
        if subjects.is_empty() {
            return Ok(Page { found, newest: Vec::new() });
        }
        let newest = store.newest_handled(&lease, subjects.iter().copied().collect()).await?;
        let newest = subjects.into_iter().zip(newest).filter_map(|(subject, newest)| Some((subject, newest?)));
        Ok(Page { found, newest: newest.collect() })
    }

    fn sort_out(&self, due: DueRun, after: MessageNumber, now: Timestamp) -> Found {
        let number = due.message.number;
        // What was asked for anew was passed by the cursor before.
        let is_new = number > after && due.attempts == 0 && due.generation == 0;
        let origin = if is_new { Origin::Inbox } else { Origin::Row };
        let (attempts, generation) = (due.attempts, due.generation);
        let end = |state| What::Ended(SettledRun { number, attempts, generation, state, handled: None });
        // A message that cannot even be looked at must not hold up those behind it.
        let what = catch_unwind(AssertUnwindSafe(|| self.look_at(due, origin, now))).unwrap_or_else(|_| {
            Verdict::End(RunState::Parked { reason: "the message could not be read: reading it panicked".to_owned() })
        });
        let what = match what {
            Verdict::Take(run) => What::Run(run),
            Verdict::End(state) => end(state),
            Verdict::NotOurs if origin == Origin::Inbox => What::PassedOver,
            // The handler's settings have changed since.
            Verdict::NotOurs => end(RunState::Skipped(SkipReason::Dropped)),
        };
        Found { number, origin, what }
    }

    fn look_at(&self, due: DueRun, origin: Origin, now: Timestamp) -> Verdict {
        let (message, rules) = (due.message, &self.handler.rules);
        let label = self.context.sources.get(&message.source).cloned();
        let SourceLabel { name, event } =
            label.unwrap_or_else(|| SourceLabel { name: message.source.to_string().into(), event: None });
        if message.content != MessageContent::Kept {
            // Nobody knows its event any more.
            let is_of_our_source = rules.sources.is_empty() || rules.sources.iter().any(|source| **source == *name);
            let gone = Verdict::End(RunState::Skipped(SkipReason::ContentGone));
            return if is_of_our_source { gone } else { Verdict::NotOurs };
        }
        let headers = KeptHeaders::from_text(message.headers);
        let read = (self.context.read)(&headers, &message.body, event.as_deref());
        if !takes(rules, &name, read.reading.event()) || (read.is_test && !rules.test_webhooks) {
            return Verdict::NotOurs;
        }
        let Message { number, source, message_id, received_at, body, .. } = message;
        let id = InboxMessageId::from_u64(number);
        let (body, reading) = (body.into(), read.reading);
        let message = JobMessage { id, source, source_name: name, message_id, received_at, headers, body, reading };
        let job = Job {
            account: self.handler.account,
            handler: self.name.clone(),
            message: Arc::new(message),
            attempt: due.attempts.saturating_add(1),
            generation: due.generation,
            now,
        };
        match self.filter_takes(&job) {
            Ok(true) => {}
            Ok(false) => return Verdict::NotOurs,
            Err(error) => return Verdict::End(RunState::Parked { reason: format!("the filter failed: {error}") }),
        }
        Verdict::Take(Box::new(Run {
            job,
            number,
            attempts: due.attempts,
            subject: read.subject,
            version: read.version,
            origin,
            is_alone: due.attempts > 0,
        }))
    }

    fn filter_takes(&self, job: &Job) -> Result<bool, FilterError> {
        self.handler.filter.as_ref().map_or(Ok(true), |filter| filter.takes(&job.to_json()))
    }
}

enum Verdict {
    Take(Box<Run>),
    NotOurs,
    End(RunState),
}
