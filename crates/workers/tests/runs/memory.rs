//! The inbox and the progress of handlers in memory: what `store::Runs` promises, as plainly as it can be said.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use receiver::{HandlerStart, Subject};
use store::{
    DueRun, HandlerLease, HandlerStanding, Message, MessageContent, MessageNumber, Ordered, Page, RunCursor, RunFilter,
    RunOrder, RunPiece, RunRecord, RunScope, RunSettlement, RunState, Runs, RunsWanted, StoreError, StoreResult,
};
use wire::{AccountId, NodeId, SourceId};

#[derive(Default)]
pub(crate) struct Memory(Mutex<Tables>);

#[derive(Default)]
pub(crate) struct Tables {
    pub(crate) messages: BTreeMap<MessageNumber, Message>,
    pub(crate) handlers: BTreeMap<String, Progress>,
    /// The largest page that was asked for, and the longest list of what is busy.
    pub(crate) asked_max: (usize, usize),
}

/// How far one handler is.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) cursor: MessageNumber,
    pub(crate) rows: BTreeMap<MessageNumber, Row>,
    newest: HashMap<Subject, (u64, MessageNumber)>,
    epoch: u64,
    owner: Option<(NodeId, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) state: RunState,
    pub(crate) attempts: u32,
    pub(crate) generation: u32,
}

impl Progress {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn newest_of(&self, subject: Subject) -> Option<(u64, MessageNumber)> {
        self.newest.get(&subject).copied()
    }
}

impl Memory {
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    pub(crate) fn accept(&mut self, source: SourceId, headers: &str, body: &str, now: Timestamp) -> MessageNumber {
        let number = self.messages.last_key_value().map_or(1, |(last, _)| last + 1);
        let message = Message {
            number,
            source,
            message_id: Some(format!("msg_{number}")),
            headers: headers.to_owned(),
            received_at: now,
            duplicates: 0,
            conflicts: 0,
            body_length: body.len() as u64,
            body: body.into(),
            content: MessageContent::Kept,
        };
        self.messages.insert(number, message);
        number
    }

    pub(crate) fn claim(
        &mut self,
        handler: &str,
        node: NodeId,
        now: Timestamp,
        lease_for: Duration,
    ) -> Option<HandlerLease> {
        let progress = self.handlers.get_mut(handler)?;
        if progress.owner.is_some_and(|(owner, until)| owner != node && until > now) {
            return None;
        }
        progress.epoch += 1;
        progress.owner = Some((node, now + lease_for));
        let (epoch, cursor) = (progress.epoch, progress.cursor);
        Some(HandlerLease { account: AccountId::from_u32(1), handler: handler.to_owned(), epoch, cursor })
    }

    pub(crate) fn is_owned(&self, handler: &str) -> bool {
        self.handlers.get(handler).is_some_and(|progress| progress.owner.is_some())
    }

    /// Whether the lease is still the last one.
    pub(crate) fn owned(&mut self, lease: &HandlerLease) -> StoreResult<&mut Progress> {
        let progress = self.handlers.get_mut(&lease.handler).ok_or(StoreError::Missing("the handler"))?;
        if progress.epoch == lease.epoch { Ok(progress) } else { Err(StoreError::Fenced) }
    }

    pub(crate) fn introduce(&mut self, handler: &str, start: HandlerStart) {
        let last = self.messages.last_key_value().map_or(0, |(last, _)| *last);
        let cursor = if start == HandlerStart::Now { last } else { 0 };
        self.handlers.entry(handler.to_owned()).or_insert_with(|| Progress { cursor, ..Progress::default() });
    }

    pub(crate) fn renew(
        &mut self,
        lease: &HandlerLease,
        now: Timestamp,
        lease_for: Option<Duration>,
    ) -> StoreResult<()> {
        let progress = self.owned(lease)?;
        progress.owner = match (lease_for, progress.owner) {
            (Some(time), Some((node, _))) => Some((node, now + time)),
            (None, _) | (_, None) => None,
        };
        Ok(())
    }

    pub(crate) fn due(
        &mut self,
        lease: &HandlerLease,
        (now, after): (Timestamp, MessageNumber),
        busy: &[MessageNumber],
        (limit, bytes_max): (usize, usize),
    ) -> StoreResult<Vec<DueRun>> {
        self.asked_max = (self.asked_max.0.max(limit), self.asked_max.1.max(busy.len()));
        let progress = self.owned(lease)?;
        let mut waiting: Vec<_> = progress
            .rows
            .iter()
            .filter_map(|(number, row)| match &row.state {
                RunState::Waiting { due, .. } if *due <= now => Some((*due, *number, row.clone())),
                _ => None,
            })
            .collect();
        waiting.sort_by_key(|(due, number, _)| (*due, *number));
        let rows = waiting.into_iter().map(|(_, number, row)| (number, row.attempts, row.generation));
        let progress = &self.handlers[&lease.handler];
        let fresh = self.messages.range(after.max(progress.cursor) + 1..).map(|(number, _)| (*number, 0, 0));
        let fresh = fresh.filter(|(number, ..)| !progress.rows.contains_key(number));
        let mut bytes = 0;
        let found = rows.chain(fresh).filter(|(number, ..)| !busy.contains(number)).take(limit);
        let found = found.map(|(number, attempts, generation)| {
            let message = self.messages[&number].clone();
            DueRun { message, attempts, generation }
        });
        Ok(found
            .take_while(|run| {
                let is_first = bytes == 0;
                bytes += run.message.body.len().max(1);
                is_first || bytes <= bytes_max
            })
            .collect())
    }

    pub(crate) fn newest(
        &mut self,
        lease: &HandlerLease,
        subjects: &[Subject],
    ) -> StoreResult<Vec<Option<(u64, MessageNumber)>>> {
        let progress = self.owned(lease)?;
        Ok(subjects.iter().map(|subject| progress.newest.get(subject).copied()).collect())
    }

    pub(crate) fn settle(&mut self, lease: &HandlerLease, settlement: RunSettlement) -> StoreResult<()> {
        let progress = self.owned(lease)?;
        progress.cursor = progress.cursor.max(settlement.cursor);
        for run in settlement.runs {
            let generation = progress.rows.get(&run.number).map_or(0, |row| row.generation);
            if generation != run.generation {
                continue;
            }
            if let Some((subject, version)) = run.handled {
                let newest = progress.newest.entry(subject).or_default();
                *newest = (version, run.number).max(*newest);
            }
            let row = Row { state: run.state, attempts: run.attempts, generation };
            progress.rows.insert(run.number, row);
        }
        Ok(())
    }

    /// Asks for one run anew.
    pub(crate) fn rerun(&mut self, handler: &str, number: MessageNumber, due: Timestamp) {
        let progress = self.handlers.get_mut(handler).unwrap();
        let generation = progress.rows.get(&number).map_or(0, |row| row.generation) + 1;
        let state = RunState::Waiting { due, reason: String::new() };
        progress.rows.insert(number, Row { state, attempts: 0, generation });
    }
}

#[async_trait]
impl Runs for Memory {
    async fn introduce_handler(&self, _: AccountId, handler: &str, start: HandlerStart) -> StoreResult<()> {
        self.tables().introduce(handler, start);
        Ok(())
    }

    async fn claim_handler(
        &self,
        _: AccountId,
        handler: &str,
        node: NodeId,
        now: Timestamp,
        lease_for: Duration,
    ) -> StoreResult<Option<HandlerLease>> {
        Ok(self.tables().claim(handler, node, now, lease_for))
    }

    async fn renew_handler(
        &self,
        lease: &HandlerLease,
        now: Timestamp,
        lease_for: Option<Duration>,
    ) -> StoreResult<()> {
        self.tables().renew(lease, now, lease_for)
    }

    async fn due_runs(&self, lease: &HandlerLease, now: Timestamp, wanted: RunsWanted) -> StoreResult<Vec<DueRun>> {
        let RunsWanted { after, busy, limit, bytes_max } = wanted;
        self.tables().due(lease, (now, after), &busy, (limit, bytes_max))
    }

    async fn newest_handled(
        &self,
        lease: &HandlerLease,
        subjects: Vec<Subject>,
    ) -> StoreResult<Vec<Option<(u64, MessageNumber)>>> {
        self.tables().newest(lease, &subjects)
    }

    async fn settle_runs(&self, lease: &HandlerLease, settlement: RunSettlement) -> StoreResult<()> {
        self.tables().settle(lease, settlement)
    }

    async fn runs(
        &self,
        _: AccountId,
        _: RunFilter,
        _: Option<RunCursor>,
        _: usize,
    ) -> StoreResult<Page<RunRecord, RunCursor>> {
        Err(StoreError::Missing("a list of runs in memory"))
    }

    async fn order_runs(&self, _: AccountId, _: &RunScope, _: RunOrder, _: RunPiece) -> StoreResult<Ordered> {
        Err(StoreError::Missing("an order in memory"))
    }

    async fn handlers(&self, _: AccountId) -> StoreResult<Vec<HandlerStanding>> {
        Err(StoreError::Missing("a list of handlers in memory"))
    }
}
