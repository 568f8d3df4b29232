//! Letting go of what is old, in SQL: each call one short transaction, oldest first, so that the writer is free again soon.
//! Pages that become free are filled anew, so a file stops growing; it is never made shorter (docs/decisions/0012).

use async_trait::async_trait;
use jiff::Timestamp;
use provider::segment;
use rusqlite::Connection;
use store::{DedupeWindow, Prunable, Retention, StoreError, StoreResult, Upkeep};
use wire::{AccountId, EventId, FanOutId};

use crate::SqliteStore;
use crate::columns::{Id, broken, change, find, list, millis, number, run};
use crate::dedupe::forget_keys;

/// Bytes of bodies that one transaction overwrites.
const BODY_BYTES_MAX: i64 = 8 * 1024 * 1024;
/// Fan-outs looked at in one call; most have something to let go of.
const FAN_OUTS_AT_ONCE: i64 = 256;

pub(crate) const OLD_MESSAGES: &str =
    "select number, received_at, length(body) from message where account = ?1 and number > ?2 order by number limit ?3";
pub(crate) const OLD_RUNS: &str = "delete from run where account = ?1 and handler = ?2 and number <= ?3";
pub(crate) const OLD_HANDLED: &str = "delete from handled indexed by handled_by_message
    where account = ?1 and handler = ?2 and number <= ?3";
pub(crate) const LOGGED_FAN_OUTS: &str = "select fan_out, abandoned, called_off, erased from fan_out indexed by fan_out_logged
    where account = ?1 and created_at < ?2 and is_logged = 1 and state in ('swept', 'superseded', 'skipped') and retrying + held = 0
    order by created_at limit ?3";
pub(crate) const OLD_FAILURES: &str =
    "delete from attempt_failure where (account, fan_out, participant, attempt, finished_at) in (
    select account, fan_out, participant, attempt, finished_at from attempt_failure
    where account = ?1 and fan_out = ?2 and finished_at < ?3 limit max(?4, 0))";
pub(crate) const OLD_EVENTS: &str = "select event from event indexed by event_by_age
    where account = ?1 and created_at < ?2 and not exists (
        select 1 from fan_out as f
        where f.account = event.account and f.event = event.event and f.is_logged = 1)
    order by created_at limit ?3";
pub(crate) const OLD_VERSIONS: &str = "delete from series_version where (account, series, version) in (
    select v.account, v.series, v.version from series_version as v
    join series as s on s.account = v.account and s.series = v.series
    where v.account = ?1 and v.version < s.version and v.saved_at < ?2 limit ?3)";
/// Needed by no audience: it ended by the first revision that an event is frozen at, or there is no event. Not by that of the
/// oldest event: clocks of nodes differ, and one that waited for the account has a later revision than its time says.
pub(crate) const OLD_MEMBERSHIPS: &str = "delete from membership where (account, team, participant, joined) in (
    select account, team, participant, joined from membership indexed by membership_ended
    where account = ?1 and ended <= coalesce(
        (select min(revision) from event indexed by event_by_revision where account = ?1),
        (select revision from account where account = ?1))
    limit ?2)";
pub(crate) const OLD_ERASURES: &str = "delete from erasure where (account, erasure) in (
    select account, erasure from erasure where account = ?1 and state = 'done' and finished_at < ?2 limit ?3)";

#[async_trait]
impl Upkeep for SqliteStore {
    async fn retention(&self, account: AccountId) -> StoreResult<Retention> {
        let sql = "select bodies_days, log_days, metadata_days from retention where account = ?1";
        self.readers
            .read(move |connection| {
                let kept = find(connection, sql, [number(account)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                let Some((bodies, log, metadata)) = kept else { return Ok(Retention::default()) };
                Retention::new(bodies, log, metadata).map_err(StoreError::broken)
            })
            .await
    }

    async fn set_retention(&self, account: AccountId, retention: Retention) -> StoreResult<()> {
        let sql = "insert into retention (account, bodies_days, log_days, metadata_days) values (?1, ?2, ?3, ?4)
                   on conflict (account) do update set bodies_days = excluded.bodies_days,
                       log_days = excluded.log_days, metadata_days = excluded.metadata_days";
        let days = (retention.bodies_days(), retention.log_days(), retention.metadata_days());
        self.writer.write(move |connection| run(connection, sql, (number(account), days.0, days.1, days.2))).await
    }

    async fn prune(&self, account: AccountId, what: Prunable, before: Timestamp, limit: usize) -> StoreResult<usize> {
        self.writer.write(move |connection| prune(connection, account, what, (millis(before), limit as i64))).await
    }

    fn dedupe_window(&self) -> DedupeWindow {
        self.window
    }

    async fn forget_keys(&self, now: Timestamp, limit: usize) -> StoreResult<usize> {
        forget_keys(self, now, limit).await
    }
}

/// How far to go: older than this (Unix milliseconds), and at most so many rows.
type Bounds = (i64, i64);

fn prune(connection: &Connection, account: AccountId, what: Prunable, bounds: Bounds) -> StoreResult<usize> {
    let (before, limit) = bounds;
    let old = (number(account), before, limit);
    match what {
        Prunable::Bodies => expire_bodies(connection, account, bounds),
        Prunable::Log => forget_log(connection, account, bounds),
        Prunable::Messages => forget_messages(connection, account, bounds),
        Prunable::Events => forget_events(connection, account, bounds),
        Prunable::Versions => change(connection, OLD_VERSIONS, old),
        Prunable::Memberships => change(connection, OLD_MEMBERSHIPS, (number(account), limit)),
        Prunable::Erasures => change(connection, OLD_ERASURES, old),
    }
}

/// The numbers of the oldest messages behind `after`, as far as they are old and not too large together.
fn old_messages(
    connection: &Connection,
    account: AccountId,
    after: i64,
    (before, limit): Bounds,
) -> StoreResult<Vec<i64>> {
    let rows = list(connection, OLD_MESSAGES, (number(account), after, limit), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    let mut bytes = 0;
    let fits = |(_, received_at, length): &(i64, i64, i64)| {
        let is_room = bytes < BODY_BYTES_MAX;
        bytes += length;
        is_room && *received_at < before
    };
    Ok(rows.into_iter().take_while(fits).map(|(message, ..)| message).collect())
}

fn expire_bodies(connection: &Connection, account: AccountId, bounds: Bounds) -> StoreResult<usize> {
    let sql = "select number from message_expiry where account = ?1";
    let expired_to = find(connection, sql, [number(account)], |row| row.get(0))?.unwrap_or(0);
    let old = old_messages(connection, account, expired_to, bounds)?;
    let Some(last) = old.last() else { return Ok(0) };
    let sql = "update message set headers = '', body = x'', emptied = 'expired'
               where account = ?1 and number = ?2 and emptied is null";
    for message in &old {
        run(connection, sql, (number(account), message))?;
    }
    let sql = "insert into message_expiry (account, number) values (?1, ?2)
               on conflict (account) do update set number = excluded.number";
    run(connection, sql, (number(account), last))?;
    Ok(old.len())
}

fn forget_messages(connection: &Connection, account: AccountId, bounds: Bounds) -> StoreResult<usize> {
    let old = old_messages(connection, account, 0, bounds)?;
    for message in &old {
        let key = (number(account), message);
        run(connection, "delete from message_duplicate where account = ?1 and number = ?2", key)?;
        run(connection, "delete from message where account = ?1 and number = ?2", key)?;
    }
    if let Some(last) = old.last() {
        forget_runs(connection, account, *last)?;
    }
    Ok(old.len())
}

/// What handlers know of messages that are gone.
fn forget_runs(connection: &Connection, account: AccountId, last: i64) -> StoreResult<()> {
    let sql = "select handler from handler where account = ?1";
    for handler in list(connection, sql, [number(account)], |row| row.get::<_, i64>(0))? {
        for sql in [OLD_RUNS, OLD_HANDLED] {
            run(connection, sql, (number(account), handler, last))?;
        }
    }
    Ok(())
}

/// The log of fan-outs of which every delivery has ended: what they still hold of it that is old.
fn forget_log(connection: &Connection, account: AccountId, (before, limit): Bounds) -> StoreResult<usize> {
    let logged = list(connection, LOGGED_FAN_OUTS, (number(account), before, FAN_OUTS_AT_ONCE), |row| {
        Ok((row.get::<_, Id<FanOutId>>(0)?.0, [row.get::<_, i64>(1)?, row.get(2)?, row.get(3)?]))
    })?;
    let mut gone = 0;
    for (fan_out, [abandoned, called_off, erased]) in logged {
        if gone >= limit {
            break;
        }
        let (segments, is_last) = forget_segments(connection, account, fan_out, (before, limit - gone))?;
        let sql = "delete from exception where account = ?1 and fan_out = ?2 and participant in (
                       select participant from exception
                       where account = ?1 and fan_out = ?2 and coalesce(last_at, 0) < ?3 limit ?4)";
        let key = (number(account), fan_out.as_bytes(), before, limit - gone - segments);
        let exceptions = change(connection, sql, key)? as i64;
        gone += segments + exceptions;
        gone += change(connection, OLD_FAILURES, (number(account), fan_out.as_bytes(), before, limit - gone))? as i64;
        let left = "select 1 from exception where account = ?1 and fan_out = ?2
                    union all select 1 from attempt_failure where account = ?1 and fan_out = ?2 limit 1";
        let has_rows = find(connection, left, (number(account), fan_out.as_bytes()), |_| Ok(()))?.is_some();
        // The rows have taken themselves off the counts, which are to stay.
        let sql = "update fan_out set abandoned = ?3, called_off = ?4, erased = ?5, is_logged = not ?6
                   where account = ?1 and fan_out = ?2";
        let is_forgotten = is_last && !has_rows;
        let counts = (number(account), fan_out.as_bytes(), abandoned, called_off, erased, is_forgotten);
        run(connection, sql, counts)?;
        gone += i64::from(is_forgotten);
    }
    Ok(usize::try_from(gone).unwrap_or(usize::MAX))
}

/// Removes segments all of whose outcomes are old: how many, and whether none is left.
fn forget_segments(
    connection: &Connection,
    account: AccountId,
    fan_out: FanOutId,
    (before, limit): Bounds,
) -> StoreResult<(i64, bool)> {
    let sql = "select segment, outcomes from segment where account = ?1 and fan_out = ?2";
    let mut statement = connection.prepare_cached(sql).map_err(broken)?;
    let mut rows = statement.query((number(account), fan_out.as_bytes())).map_err(broken)?;
    let (mut old, mut is_last) = (Vec::new(), true);
    while let Some(row) = rows.next().map_err(broken)? {
        if old.len() as i64 >= limit {
            is_last = false;
            break;
        }
        let packed = row.get_ref(1).and_then(|value| Ok(value.as_blob()?)).map_err(broken)?;
        let entries = segment::unpack(packed).map_err(StoreError::broken)?;
        match entries.iter().all(|entry| entry.finished_ms < before) {
            true => old.push(row.get::<_, i64>(0).map_err(broken)?),
            false => is_last = false,
        }
    }
    drop(rows);
    for segment in &old {
        run(connection, "delete from segment where segment = ?1", [segment])?;
    }
    Ok((old.len() as i64, is_last))
}

fn forget_events(connection: &Connection, account: AccountId, (before, limit): Bounds) -> StoreResult<usize> {
    let events = list(connection, OLD_EVENTS, (number(account), before, limit), |row| row.get::<_, Id<EventId>>(0))?;
    for event in &events {
        let key = (number(account), event.0.as_bytes());
        run(connection, "delete from fan_out where account = ?1 and event = ?2", key)?;
        run(connection, "delete from event where account = ?1 and event = ?2", key)?;
    }
    Ok(events.len())
}
