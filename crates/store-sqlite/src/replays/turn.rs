//! A replay's turn: which failed deliveries come next, and putting them into the queue together with the cursor, so that a
//! crash can neither lose one nor revive one twice.

use std::collections::BTreeSet;

use jiff::Timestamp;
use provider::pace::Rate;
use provider::replay::WAITING_MAX;
use rusqlite::{Connection, Row};
use store::{DueReplay, ReplayState, Revived, StoreResult};
use wire::{AccountId, EndpointId, FanOutId, ReplayId};

use super::scope::Failed;
use super::{read_scope, read_state};
use crate::columns::{AccountColumn, Id, Millis, find, list, millis, number, run};
use crate::due as lane_due;

pub(crate) const DUE: &str = "select account, replay, per_minute, begun, next_at from replay
    where state = 'running' and way = 'revive' and next_at <= ?1
    order by next_at, account, replay limit ?2";
/// How many of an endpoint's wait for their first attempt since; no more than matter are counted.
pub(crate) const WAITING: &str = "select count(*) from (
    select 1 from exception where account = ?1 and replay = ?2 and endpoint = ?3 and state = ?4 and charged = 0
    limit ?5)";
/// What waits for an endpoint that gets nothing now must not hold up the others.
const ENDPOINTS_AT_WORK: &str = "select l.endpoint from lane as l
    join endpoint as e on e.account = l.account and e.endpoint = l.endpoint
    where l.account = ?1 and l.health in ('healthy', 'slow_start') and e.switch = 'on'";
/// Fan-outs looked into in one query.
const FAN_OUTS_AT_ONCE: i64 = 64;

/// Deliveries to be put into the queue next.
pub(super) struct Chunk {
    failed: Option<Failed>,
    deliveries: Vec<(FanOutId, i64)>,
    endpoints: BTreeSet<EndpointId>,
    ending: Ending,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// There may be more behind them.
    MayGoOn,
    /// There are no more.
    Last,
}

pub(super) fn due(connection: &Connection, now: Timestamp, limit: usize) -> StoreResult<Vec<DueReplay>> {
    let mut found = list(connection, DUE, (millis(now), limit as i64), |row| {
        Ok(DueReplay {
            account: row.get::<_, AccountColumn>(0)?.0,
            id: row.get::<_, Id<ReplayId>>(1)?.0,
            rate: row.get::<_, Option<u32>>(2)?.and_then(|per_minute| Rate::steady(per_minute).ok()),
            waiting: 0,
            begun: row.get::<_, i64>(3)?.unsigned_abs(),
            due_at: row.get::<_, Millis>(4)?.0,
        })
    })?;
    for replay in &mut found {
        replay.waiting = waiting(connection, replay.account, replay.id)?;
    }
    Ok(found)
}

fn waiting(connection: &Connection, account: AccountId, id: ReplayId) -> StoreResult<u64> {
    let mut waiting = 0;
    let endpoints = list(connection, ENDPOINTS_AT_WORK, [number(account)], |row| row.get::<_, Vec<u8>>(0))?;
    for endpoint in endpoints {
        for state in ["retrying", "held"] {
            let values = (number(account), id.as_bytes(), &endpoint, state, WAITING_MAX.cast_signed());
            waiting += find(connection, WAITING, values, |row| row.get::<_, i64>(0))?.unwrap_or(0).unsigned_abs();
        }
    }
    Ok(waiting)
}

/// Reads up to `limit` deliveries behind the replay's cursor.
pub(super) fn chunk(connection: &Connection, due: &DueReplay, limit: u64, now: Timestamp) -> StoreResult<Chunk> {
    let mut chunk = Chunk { failed: None, deliveries: Vec::new(), endpoints: BTreeSet::new(), ending: Ending::MayGoOn };
    let sql = "select replay, scope, event, endpoint, since, fan_out, participant, created_at, cursor_fan_out,
        cursor_participant from replay where account = ?1 and replay = ?2";
    let read = |row: &Row<'_>| {
        let cursor = (row.get::<_, Vec<u8>>(8)?, row.get::<_, i64>(9)?);
        Ok((read_scope(row)?, row.get::<_, Millis>(7)?.0, cursor))
    };
    let found = find(connection, sql, (number(due.account), due.id.as_bytes()), read)?;
    let Some((scope, until, (mut from, mut participant))) = found.filter(|_| limit > 0) else { return Ok(chunk) };
    let failed = Failed { account: due.account, scope, until, now, replay: due.id.as_bytes().to_vec() };
    loop {
        let fan_outs = failed.fan_outs(connection, &from, FAN_OUTS_AT_ONCE)?;
        for (fan_out, endpoint) in &fan_outs {
            let room = limit - chunk.deliveries.len() as u64;
            let first = if fan_out.as_bytes()[..] == from[..] { participant + 1 } else { 0 };
            let found = failed.participants(connection, *fan_out, first, room)?;
            if !found.is_empty() {
                chunk.endpoints.insert(*endpoint);
            }
            chunk.deliveries.extend(found.into_iter().map(|participant| (*fan_out, participant)));
            if chunk.deliveries.len() as u64 == limit {
                chunk.failed = Some(failed);
                return Ok(chunk);
            }
        }
        match fan_outs.last() {
            Some((last, _)) if fan_outs.len() as i64 == FAN_OUTS_AT_ONCE => {
                (from, participant) = (last.as_bytes().to_vec(), i64::MAX - 1);
            }
            _ => break,
        }
    }
    (chunk.failed, chunk.ending) = (Some(failed), Ending::Last);
    Ok(chunk)
}

/// Puts a chunk into the queue, if nobody else had the turn meanwhile and the replay goes on.
pub(super) fn take(
    connection: &Connection,
    due: &DueReplay,
    chunk: &Chunk,
    next_at: Timestamp,
    now: Timestamp,
) -> StoreResult<Revived> {
    let sql = "select state, begun, next_at from replay where account = ?1 and replay = ?2";
    let read = |row: &Row<'_>| Ok((read_state(row, 0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let found = find(connection, sql, (number(due.account), due.id.as_bytes()), read)?;
    let (state, begun, was_due) = found.unwrap_or((ReplayState::Cancelled, 0, 0));
    if state != ReplayState::Running || begun.unsigned_abs() != due.begun || was_due != millis(due.due_at) {
        return Ok(Revived { deliveries: 0, state });
    }
    let mut revived = 0;
    for (fan_out, participant) in &chunk.deliveries {
        if let Some(failed) = &chunk.failed {
            revived += u64::from(failed.revive(connection, *fan_out, *participant)?);
        }
    }
    let state = if chunk.ending == Ending::Last { ReplayState::Done } else { ReplayState::Running };
    let key = (number(due.account), due.id.as_bytes());
    run(
        connection,
        "update replay set state = ?3, begun = begun + ?4, next_at = ?5 where account = ?1 and replay = ?2",
        (key.0, key.1, state.name(), revived.cast_signed(), millis(next_at)),
    )?;
    if let Some((fan_out, participant)) = chunk.deliveries.last() {
        let sql = "update replay set cursor_fan_out = ?3, cursor_participant = ?4 where account = ?1 and replay = ?2";
        run(connection, sql, (key.0, key.1, fan_out.as_bytes(), participant))?;
    }
    for endpoint in &chunk.endpoints {
        lane_due::wake(connection, due.account, *endpoint, now)?;
    }
    Ok(Revived { deliveries: revived, state })
}
