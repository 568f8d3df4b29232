//! Handlers and their runs, in memory.

mod orders;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use receiver::{HandlerStart, Subject};
use store::{
    DueRun, HandlerLease, HandlerStanding, Message, MessageNumber, Ordered, Page, RunCursor, RunFilter, RunOrder,
    RunPiece, RunRecord, RunScope, RunSettlement, RunStanding, RunState, Runs, RunsWanted, SettledRun, SkipReason,
    StoreError, StoreResult,
};
use wire::{AccountId, NodeId};

use super::Model;
use super::tables::Tables;

#[derive(Debug, Default)]
pub(super) struct HandlerRow {
    cursor: MessageNumber,
    leased: Option<(NodeId, Timestamp)>,
    epoch: u64,
    runs: BTreeMap<MessageNumber, RunRow>,
    handled: BTreeMap<Subject, (u64, MessageNumber)>,
}

#[derive(Clone, Debug)]
struct RunRow {
    state: RunState,
    attempts: u32,
    generation: u32,
    changed_at: Timestamp,
}

#[async_trait]
impl Runs for Model {
    async fn introduce_handler(&self, account: AccountId, handler: &str, start: HandlerStart) -> StoreResult<()> {
        let mut tables = self.tables();
        tables.require_account(account)?;
        let newest = tables.numbers_of(account).max().unwrap_or(0);
        let cursor = if start == HandlerStart::Now { newest } else { 0 };
        let key = (account, handler.to_owned());
        tables.handlers.entry(key).or_insert_with(|| HandlerRow { cursor, ..HandlerRow::default() });
        Ok(())
    }

    async fn claim_handler(
        &self,
        account: AccountId,
        handler: &str,
        node: NodeId,
        now: Timestamp,
        lease_for: Duration,
    ) -> StoreResult<Option<HandlerLease>> {
        let mut tables = self.tables();
        let row = tables.handler_mut(account, handler)?;
        if row.leased.is_some_and(|(owner, until)| owner != node && until > now) {
            return Ok(None);
        }
        row.leased = Some((node, now + lease_for));
        row.epoch += 1;
        Ok(Some(HandlerLease { account, handler: handler.to_owned(), epoch: row.epoch, cursor: row.cursor }))
    }

    async fn renew_handler(
        &self,
        lease: &HandlerLease,
        now: Timestamp,
        lease_for: Option<Duration>,
    ) -> StoreResult<()> {
        let mut tables = self.tables();
        let row = tables.held_mut(lease)?;
        row.leased = row.leased.and_then(|(owner, _)| lease_for.map(|lease_for| (owner, now + lease_for)));
        Ok(())
    }

    async fn due_runs(&self, lease: &HandlerLease, now: Timestamp, wanted: RunsWanted) -> StoreResult<Vec<DueRun>> {
        let RunsWanted { after, busy, limit, bytes_max } = wanted;
        let mut tables = self.tables();
        let row = tables.held_mut(lease)?;
        let after = after.max(row.cursor);
        let mut waiting: Vec<_> = row
            .runs
            .iter()
            .filter_map(|(number, run)| match run.state {
                RunState::Waiting { due, .. } if due <= now => Some((due, *number, run.attempts, run.generation)),
                RunState::Waiting { .. } | RunState::Done | RunState::Skipped(_) | RunState::Parked { .. } => None,
            })
            .collect();
        waiting.sort_by_key(|(due, number, ..)| (*due, *number));
        let row = tables.handler(lease.account, &lease.handler)?;
        let fresh = tables.numbers_of(lease.account).filter(|number| *number > after && !row.runs.contains_key(number));
        let all = waiting.into_iter().map(|(_, number, attempts, generation)| (number, attempts, generation));
        let all = all.chain(fresh.map(|number| (number, 0, 0))).filter(|(number, ..)| !busy.contains(number));
        let mut due: Vec<DueRun> = Vec::new();
        let mut bytes = 0;
        for (number, attempts, generation) in all.take(limit) {
            let Some(message) = tables.message_of(lease.account, number) else { continue };
            bytes += message.body.len();
            if bytes > bytes_max && !due.is_empty() {
                break;
            }
            due.push(DueRun { message: message.clone(), attempts, generation });
        }
        Ok(due)
    }

    async fn newest_handled(
        &self,
        lease: &HandlerLease,
        subjects: Vec<Subject>,
    ) -> StoreResult<Vec<Option<(u64, MessageNumber)>>> {
        let mut tables = self.tables();
        let row = tables.held_mut(lease)?;
        Ok(subjects.iter().map(|subject| row.handled.get(subject).copied()).collect())
    }

    async fn settle_runs(&self, lease: &HandlerLease, settlement: RunSettlement) -> StoreResult<()> {
        let mut tables = self.tables();
        tables.held_mut(lease)?;
        for settled in settlement.runs {
            if tables.message_of(lease.account, settled.number).is_some() {
                tables.held_mut(lease)?.settle(settled, settlement.now);
            }
        }
        let row = tables.held_mut(lease)?;
        row.cursor = row.cursor.max(settlement.cursor);
        Ok(())
    }

    async fn runs(
        &self,
        account: AccountId,
        filter: RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> StoreResult<Page<RunRecord, RunCursor>> {
        let tables = self.tables();
        let of_account = tables.handlers.iter().filter(|((owner, _), _)| *owner == account);
        let mut found: Vec<_> = of_account
            .flat_map(|((_, handler), row)| row.runs.iter().map(move |(number, run)| run.to_record(handler, *number)))
            .filter(|run| filter.handler.as_ref().is_none_or(|only| *only == run.handler))
            .filter(|run| filter.message.is_none_or(|only| only == run.number))
            .filter(|run| filter.standing.is_none_or(|only| only == standing_of(&run.state)))
            .collect();
        found.sort_by(|one, other| (other.number, &one.handler).cmp(&(one.number, &other.handler)));
        if let Some(after) = after {
            found
                .retain(|run| run.number < after.number || (run.number == after.number && run.handler > after.handler));
        }
        found.truncate(limit + 1);
        Ok(Page::cut(found, limit, |run| RunCursor { number: run.number, handler: run.handler.clone() }))
    }

    async fn order_runs(
        &self,
        account: AccountId,
        scope: &RunScope,
        order: RunOrder,
        piece: RunPiece,
    ) -> StoreResult<Ordered> {
        self.tables().obey(account, scope, order, piece)
    }

    async fn handlers(&self, account: AccountId) -> StoreResult<Vec<HandlerStanding>> {
        let tables = self.tables();
        let of_account = tables.handlers.iter().filter(|((owner, _), _)| *owner == account);
        let standing = |((_, handler), row): (&(AccountId, String), &HandlerRow)| {
            let ahead = || {
                let numbers = tables.numbers_of(account);
                numbers.filter(|number| *number > row.cursor && !row.runs.contains_key(number))
            };
            let oldest = ahead().min().and_then(|number| tables.message_of(account, number));
            let count = |standing| row.runs.values().filter(|run| standing_of(&run.state) == standing).count() as u64;
            HandlerStanding {
                handler: handler.clone(),
                cursor: row.cursor,
                ahead: ahead().count() as u64,
                oldest_ahead: oldest.map(|message| message.received_at),
                waiting: count(RunStanding::Waiting),
                parked: count(RunStanding::Parked),
                done: count(RunStanding::Done),
                skipped: count(RunStanding::Skipped),
            }
        };
        Ok(of_account.map(standing).collect())
    }
}

impl Tables {
    fn handler(&self, account: AccountId, handler: &str) -> StoreResult<&HandlerRow> {
        self.handlers.get(&(account, handler.to_owned())).ok_or(StoreError::Missing("the handler"))
    }

    fn handler_mut(&mut self, account: AccountId, handler: &str) -> StoreResult<&mut HandlerRow> {
        self.handlers.get_mut(&(account, handler.to_owned())).ok_or(StoreError::Missing("the handler"))
    }

    fn held_mut(&mut self, lease: &HandlerLease) -> StoreResult<&mut HandlerRow> {
        let row = self.handler_mut(lease.account, &lease.handler).map_err(|_| StoreError::Fenced)?;
        if row.epoch == lease.epoch && row.leased.is_some() { Ok(row) } else { Err(StoreError::Fenced) }
    }

    fn numbers_of(&self, account: AccountId) -> impl Iterator<Item = MessageNumber> {
        self.messages.iter().filter(move |row| row.account == account).map(|row| row.message.number)
    }

    fn message_of(&self, account: AccountId, number: MessageNumber) -> Option<&Message> {
        let found = self.messages.iter().find(|row| row.account == account && row.message.number == number);
        found.map(|row| &row.message)
    }

    /// What is known of messages that are gone goes too.
    pub(super) fn forget_runs(&mut self, account: AccountId) {
        let kept: Vec<_> = self.numbers_of(account).collect();
        for (_, row) in self.handlers.iter_mut().filter(|((owner, _), _)| *owner == account) {
            row.runs.retain(|number, _| kept.contains(number));
            row.handled.retain(|_, (_, number)| kept.contains(number));
        }
    }
}

impl HandlerRow {
    fn settle(&mut self, settled: SettledRun, now: Timestamp) {
        let SettledRun { number, attempts, generation, state, handled } = settled;
        if let Some((subject, version)) = handled {
            let newest = self.handled.entry(subject).or_insert((version, number));
            *newest = (*newest).max((version, number));
        }
        let is_over = |known: &RunRow| {
            let is_dropped = known.state == RunState::Skipped(SkipReason::Dropped);
            known.generation != generation
                || (is_dropped && matches!(state, RunState::Waiting { .. } | RunState::Parked { .. }))
        };
        if self.runs.get(&number).is_none_or(|known| !is_over(known)) {
            self.runs.insert(number, RunRow { state, attempts, generation, changed_at: now });
        }
    }
}

impl RunRow {
    fn to_record(&self, handler: &str, number: MessageNumber) -> RunRecord {
        let RunRow { state, attempts, generation, changed_at } = self.clone();
        RunRecord { handler: handler.to_owned(), number, state, attempts, generation, changed_at }
    }
}

fn standing_of(state: &RunState) -> RunStanding {
    match state {
        RunState::Waiting { .. } => RunStanding::Waiting,
        RunState::Done => RunStanding::Done,
        RunState::Skipped(_) => RunStanding::Skipped,
        RunState::Parked { .. } => RunStanding::Parked,
    }
}
