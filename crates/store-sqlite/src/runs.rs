//! Handlers and their runs, in SQL: leases with a fencing epoch, what is due, and the one transaction that settles. Lists
//! are in `runs/listing`, orders in `runs/orders`.

mod listing;
mod orders;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use receiver::{HandlerStart, Subject};
use rusqlite::{Connection, Row};
use store::{
    DueRun, HandlerLease, HandlerStanding, MessageNumber, Ordered, Page, RunCursor, RunFilter, RunOrder, RunPiece,
    RunRecord, RunScope, RunSettlement, RunState, Runs, RunsWanted, SettledRun, SkipReason, StoreError, StoreResult,
};
use wire::{AccountId, NodeId};

use crate::SqliteStore;
use crate::agendas::saturated;
use crate::columns::{broken, change, find, millis, number, run};
use crate::inbox::{MESSAGE, read_message};

#[cfg(test)]
pub(crate) use {
    listing::{AHEAD, list_sql},
    orders::{messages_sql, runs_sql},
};

/// How `run.state` tells what became of a run.
const WAITING: i64 = 0;
const DONE: i64 = 1;
const SKIPPED: i64 = 2;
const PARKED: i64 = 3;

const INTRODUCE: &str = "insert into handler (account, handler, name, cursor)
    values (?1, (select coalesce(max(handler), 0) + 1 from handler where account = ?1), ?2,
            iif(?3, (select coalesce(max(number), 0) from message where account = ?1), 0))
    on conflict (account, name) do nothing";
const FREE: &str = "select lease_until is null or lease_until <= ?3 or owner = ?4 from handler
    where account = ?1 and name = ?2";
const CLAIM: &str = "update handler set owner = ?4, lease_until = ?5, epoch = epoch + 1
    where account = ?1 and name = ?2 and (lease_until is null or lease_until <= ?3 or owner = ?4)
    returning epoch, cursor";
const RENEW: &str = "update handler set lease_until = ?4
    where account = ?1 and name = ?2 and epoch = ?3 and lease_until is not null";
const RELEASE: &str = "update handler set owner = null, lease_until = null
    where account = ?1 and name = ?2 and epoch = ?3 and lease_until is not null";
pub(crate) const HELD: &str = "select handler, cursor from handler
    where account = ?1 and name = ?2 and epoch = ?3 and lease_until is not null";
pub(crate) const NEWEST: &str =
    "select version, number from handled where account = ?1 and handler = ?2 and subject = ?3";
pub(crate) const SETTLE: &str =
    "insert into run (account, handler, number, state, attempts, generation, changed_at, due_at, reason)
    select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
    where exists (select 1 from message indexed by message_by_account where account = ?1 and number = ?3)
    on conflict (account, handler, number) do update
    set state = excluded.state, attempts = excluded.attempts, changed_at = excluded.changed_at,
        due_at = excluded.due_at, reason = excluded.reason
    where run.generation = excluded.generation
    and not (run.state = 2 and run.reason = 'dropped' and excluded.state in (0, 3))";
pub(crate) const NOTE_HANDLED: &str = "insert into handled (account, handler, subject, version, number)
    select ?1, ?2, ?3, ?4, ?5
    where exists (select 1 from message indexed by message_by_account where account = ?1 and number = ?5)
    on conflict (account, handler, subject) do update set version = excluded.version, number = excluded.number
    where (excluded.version, excluded.number) > (handled.version, handled.number)";

#[async_trait]
impl Runs for SqliteStore {
    async fn introduce_handler(&self, account: AccountId, handler: &str, start: HandlerStart) -> StoreResult<()> {
        let (handler, is_from_now) = (handler.to_owned(), start == HandlerStart::Now);
        self.writer.write(move |connection| run(connection, INTRODUCE, (number(account), handler, is_from_now))).await
    }

    async fn claim_handler(
        &self,
        account: AccountId,
        handler: &str,
        node: NodeId,
        now: Timestamp,
        lease_for: Duration,
    ) -> StoreResult<Option<HandlerLease>> {
        let handler = handler.to_owned();
        let key = (number(account), handler.clone(), millis(now), *node.as_bytes());
        let asked = key.clone();
        // Asked of a reader, so that a node that waits for another writes nothing.
        let is_free = self.readers.read(move |connection| find(connection, FREE, asked, |row| row.get(0))).await?;
        if !is_free.ok_or(StoreError::Missing("the handler"))? {
            return Ok(None);
        }
        let (account_number, name, now, node) = key;
        let values = (account_number, name, now, node, now.saturating_add(as_millis(lease_for)));
        self.writer
            .write(move |connection| {
                find(connection, CLAIM, values, |row| {
                    let (epoch, cursor) = (row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs());
                    Ok(HandlerLease { account, handler, epoch, cursor })
                })
            })
            .await
    }

    async fn renew_handler(
        &self,
        lease: &HandlerLease,
        now: Timestamp,
        lease_for: Option<Duration>,
    ) -> StoreResult<()> {
        let key = (number(lease.account), lease.handler.clone(), lease.epoch.cast_signed());
        let until = lease_for.map(|lease_for| millis(now).saturating_add(as_millis(lease_for)));
        self.writer
            .write(move |connection| {
                let renewed = match until {
                    Some(until) => change(connection, RENEW, (key.0, key.1, key.2, until))?,
                    None => change(connection, RELEASE, key)?,
                };
                if renewed == 0 { Err(StoreError::Fenced) } else { Ok(()) }
            })
            .await
    }

    async fn due_runs(&self, lease: &HandlerLease, now: Timestamp, wanted: RunsWanted) -> StoreResult<Vec<DueRun>> {
        let RunsWanted { after, busy, limit, bytes_max } = wanted;
        let lease = lease.clone();
        let busy = serde_json::to_string(&busy).map_err(StoreError::broken)?;
        let room = Room { runs: limit, bytes: bytes_max, is_first: true };
        self.readers.read(move |connection| due_runs(connection, &lease, (now, after, &busy), room)).await
    }

    async fn newest_handled(
        &self,
        lease: &HandlerLease,
        subjects: Vec<Subject>,
    ) -> StoreResult<Vec<Option<(u64, MessageNumber)>>> {
        let lease = lease.clone();
        self.readers
            .read(move |connection| {
                let (handler, _) = held(connection, &lease)?;
                let of = |subject: &Subject| {
                    let key = (number(lease.account), handler, subject.0.cast_signed());
                    find(connection, NEWEST, key, |row| {
                        Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
                    })
                };
                subjects.iter().map(of).collect()
            })
            .await
    }

    async fn settle_runs(&self, lease: &HandlerLease, settlement: RunSettlement) -> StoreResult<()> {
        let lease = lease.clone();
        self.writer.write(move |connection| settle(connection, &lease, &settlement)).await
    }

    async fn runs(
        &self,
        account: AccountId,
        filter: RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> StoreResult<Page<RunRecord, RunCursor>> {
        self.readers.read(move |connection| listing::page(connection, account, &filter, after.as_ref(), limit)).await
    }

    async fn order_runs(
        &self,
        account: AccountId,
        scope: &RunScope,
        order: RunOrder,
        piece: RunPiece,
    ) -> StoreResult<Ordered> {
        let scope = scope.clone();
        let obey = move |connection: &Connection| orders::obey(connection, account, &scope, order, piece);
        match order {
            RunOrder::Count | RunOrder::CountDrop => self.readers.read(obey).await,
            RunOrder::Rerun { .. } | RunOrder::Drop => self.writer.write(obey).await,
        }
    }

    async fn handlers(&self, account: AccountId) -> StoreResult<Vec<HandlerStanding>> {
        self.readers.read(move |connection| listing::standings(connection, account)).await
    }
}

/// What one look for due runs may still bring.
struct Room {
    runs: usize,
    bytes: usize,
    is_first: bool,
}

pub(crate) fn due_sql() -> String {
    format!(
        "{MESSAGE}, m.body, r.attempts, r.generation from run as r
         join message as m on m.number = r.number and m.account = r.account
         left join message_duplicate as d on d.account = m.account and d.number = m.number
         where r.account = ?1 and r.handler = ?2 and r.due_at <= ?3
         and r.number not in (select value from json_each(?4))
         order by r.due_at, r.number limit ?5"
    )
}

pub(crate) fn fresh_sql() -> String {
    format!(
        "{MESSAGE}, m.body, 0, 0 from message as m
         left join message_duplicate as d on d.account = m.account and d.number = m.number
         where m.account = ?1 and m.number > ?3
         and not exists (select 1 from run as r where r.account = ?1 and r.handler = ?2 and r.number = m.number)
         and m.number not in (select value from json_each(?4))
         order by m.number limit ?5"
    )
}

fn due_runs(
    connection: &Connection,
    lease: &HandlerLease,
    (now, after, busy): (Timestamp, MessageNumber, &str),
    mut room: Room,
) -> StoreResult<Vec<DueRun>> {
    let (handler, cursor) = held(connection, lease)?;
    // An order may have moved the cursor past what the caller knows of.
    let after = after.cast_signed().max(cursor);
    let mut due = Vec::new();
    for (sql, bound) in [(due_sql(), millis(now)), (fresh_sql(), after)] {
        let mut statement = connection.prepare_cached(&sql).map_err(broken)?;
        let values = (number(lease.account), handler, bound, busy, room.runs as i64);
        let mut rows = statement.query(values).map_err(broken)?;
        while let Some(row) = rows.next().map_err(broken)? {
            let bytes = row.get::<_, i64>(7).map_err(broken)?.unsigned_abs() as usize;
            if bytes > room.bytes && !room.is_first {
                return Ok(due);
            }
            due.push(read_due(row).map_err(broken)?);
            room = Room { runs: room.runs - 1, bytes: room.bytes.saturating_sub(bytes), is_first: false };
        }
    }
    Ok(due)
}

fn read_due(row: &Row<'_>) -> rusqlite::Result<DueRun> {
    Ok(DueRun { message: read_message(row)?, attempts: row.get(10)?, generation: row.get(11)? })
}

/// The number of a handler that is ours, and its cursor; `Fenced` where it is not.
fn held(connection: &Connection, lease: &HandlerLease) -> StoreResult<(i64, i64)> {
    let key = (number(lease.account), &lease.handler, lease.epoch.cast_signed());
    find(connection, HELD, key, |row| Ok((row.get(0)?, row.get(1)?)))?.ok_or(StoreError::Fenced)
}

fn settle(connection: &Connection, lease: &HandlerLease, settlement: &RunSettlement) -> StoreResult<()> {
    let (handler, _) = held(connection, lease)?;
    for settled in &settlement.runs {
        settle_run(connection, (lease.account, handler), settled, settlement.now)?;
    }
    let sql = "update handler set cursor = ?3 where account = ?1 and handler = ?2 and cursor < ?3";
    run(connection, sql, (number(lease.account), handler, saturated(settlement.cursor)))
}

fn settle_run(
    connection: &Connection,
    (account, handler): (AccountId, i64),
    settled: &SettledRun,
    now: Timestamp,
) -> StoreResult<()> {
    let (state, due_at, reason) = match &settled.state {
        RunState::Waiting { due, reason } => (WAITING, Some(millis(*due)), Some(reason.as_str())),
        RunState::Done => (DONE, None, None),
        RunState::Skipped(reason) => (SKIPPED, None, Some(name_of(*reason))),
        RunState::Parked { reason } => (PARKED, None, Some(reason.as_str())),
    };
    let message = settled.number.cast_signed();
    let how = (state, settled.attempts, settled.generation, millis(now), due_at, reason);
    let values = (number(account), handler, message, how.0, how.1, how.2, how.3, how.4, how.5);
    run(connection, SETTLE, values)?;
    // The effect was had, even if the run has been asked for anew since.
    let Some((subject, version)) = settled.handled else { return Ok(()) };
    let values = (number(account), handler, subject.0.cast_signed(), saturated(version), message);
    run(connection, NOTE_HANDLED, values)
}

fn name_of(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Outdated => "outdated",
        SkipReason::ContentGone => "content_gone",
        SkipReason::Dropped => "dropped",
    }
}

fn as_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
