//! A replay's turn: which failed deliveries come next, and putting them into the queue together with the cursor, so that a
//! crash can neither lose one nor revive one twice.

use std::collections::BTreeSet;

use jiff::Timestamp;
use provider::replay::WAITING_MAX;
use store::{DueReplay, ReplayState, Revived, StoreResult};
use tokio_postgres::Row;
use wire::{EndpointId, FanOutId};

use super::scope::{FAN_OUTS_AT_ONCE, Failed, FailedFanOut, is_failed};
use super::{read_rate, read_scope, read_state};
use crate::columns::{Columns, Id, LEASE_NOW, List, change, find, list, lock_account, millis, number, run, values};
use crate::due::{wait_for_lanes, wake_all};
use crate::session::Session;

const DUE: &str = "select account, replay, per_minute, begun, next_at from replay
    where state = 'running' and way = 'revive' and next_at <= $1
    order by next_at, account, replay limit $2";
/// How many wait for their first attempt since; of each endpoint no more than matter are counted. What waits for an
/// endpoint that gets nothing now must not hold up the others.
const WAITING: &str = "select coalesce(sum(counted.waiting), 0)::bigint from lane as l
    join endpoint as e on e.account = l.account and e.endpoint = l.endpoint
    cross join (values ('retrying'), ('held')) as those (state)
    cross join lateral (
        select count(*) as waiting from (
            select 1 from exception as x where x.account = $1 and x.replay = $2 and x.endpoint = l.endpoint
            and x.state = those.state and x.charged = 0 limit $3) as found) as counted
    where l.account = $1 and l.health in ('healthy', 'slow_start') and e.switch = 'on'";

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

pub(super) async fn due(session: &Session, now: Timestamp, limit: usize) -> StoreResult<Vec<DueReplay>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = list(session, DUE, values![millis(now), limit], |row| {
        Ok(DueReplay {
            account: row.account(0)?,
            id: row.id(1)?,
            rate: read_rate(row, 2)?,
            waiting: 0,
            begun: row.count(3)?,
            due_at: row.moment(4)?,
        })
    })
    .await?;
    for replay in &mut found {
        let key = values![number(replay.account), replay.id.bytes(), WAITING_MAX.cast_signed()];
        replay.waiting = find(session, WAITING, key, |row| row.count(0)).await?.unwrap_or(0);
    }
    Ok(found)
}

/// Reads up to `limit` deliveries behind the replay's cursor; `now` is the store's `lease_now`.
pub(super) async fn chunk(session: &Session, due: &DueReplay, limit: u64, now: Option<i64>) -> StoreResult<Chunk> {
    let mut chunk = Chunk { failed: None, deliveries: Vec::new(), endpoints: BTreeSet::new(), ending: Ending::MayGoOn };
    let sql = "select replay, scope, event, endpoint, since, fan_out, participant, created_at, cursor_fan_out,
        cursor_participant from replay where account = $1 and replay = $2";
    let read = |row: &Row| {
        let cursor: (Vec<u8>, i64) = (row.value(8)?, row.value(9)?);
        Ok((read_scope(row)?, row.moment(7)?, cursor))
    };
    let found = find(session, sql, values![number(due.account), due.id.bytes()], read).await?;
    let Some((scope, until, mut cursor)) = found.filter(|_| limit > 0) else { return Ok(chunk) };
    let failed = Failed { account: due.account, scope, until, now, replay: due.id.bytes().to_vec() };
    loop {
        let fan_outs = failed.fan_outs(session, &cursor.0).await?;
        let mut rest = &fan_outs[..];
        while !rest.is_empty() {
            let room = limit - chunk.deliveries.len() as u64;
            let next;
            (next, rest) = rest.split_at(enough(rest, room));
            chunk.add(read_failed(session, &failed, next, (&cursor, room)).await?);
            if chunk.deliveries.len() as u64 == limit {
                chunk.failed = Some(failed);
                return Ok(chunk);
            }
        }
        match fan_outs.last() {
            Some(last) if fan_outs.len() as i64 == FAN_OUTS_AT_ONCE => cursor = (last.id.bytes().to_vec(), i64::MAX),
            _ => break,
        }
    }
    (chunk.failed, chunk.ending) = (Some(failed), Ending::Last);
    Ok(chunk)
}

impl Chunk {
    fn add(&mut self, found: Vec<(FanOutId, i64, EndpointId)>) {
        self.endpoints.extend(found.iter().map(|(.., endpoint)| *endpoint));
        self.deliveries.extend(found.iter().map(|(fan_out, participant, _)| (*fan_out, *participant)));
    }
}

/// How many of these fan-outs may together hold so many deliveries: one query reads them, and not many more.
fn enough(fan_outs: &[FailedFanOut], room: u64) -> usize {
    let mut held = 0;
    let filled = fan_outs.iter().position(|fan_out| {
        held += fan_out.failed_max;
        held >= room
    });
    filled.map_or(fan_outs.len(), |last| last + 1)
}

/// Failed deliveries of some fan-outs behind a cursor, in order, as many as there is room for.
async fn read_failed(
    session: &Session,
    failed: &Failed,
    fan_outs: &[FailedFanOut],
    (cursor, room): (&(Vec<u8>, i64), u64),
) -> StoreResult<Vec<(FanOutId, i64, EndpointId)>> {
    let sql = format!(
        "select those.fan_out, found.participant, those.endpoint
         from unnest($2::bytea[], $3::bytea[]) as those (fan_out, endpoint)
         cross join lateral (
             select x.participant from exception as x
             where x.account = $4 and x.fan_out = those.fan_out and x.participant between $8 and $9
             and x.participant > case when those.fan_out = $10 then $11 else -1 end and {}
             order by x.participant limit $12) as found
         order by those.fan_out, found.participant limit $12",
        is_failed()
    );
    let (low, high) = failed.participants();
    let values = values![
        failed.now,
        List(fan_outs.iter().map(|fan_out| fan_out.id.bytes()).collect()),
        List(fan_outs.iter().map(|fan_out| fan_out.endpoint.bytes()).collect()),
        number(failed.account),
        failed.since(),
        millis(failed.until),
        failed.replay,
        low,
        high,
        cursor.0,
        cursor.1,
        room.cast_signed(),
    ];
    list(session, &sql, values, |row| Ok((row.id(0)?, row.value(1)?, row.id(2)?))).await
}

/// Puts a chunk into the queue, if nobody else had the turn meanwhile and the replay goes on.
pub(super) async fn take(
    session: &Session,
    due: &DueReplay,
    chunk: &Chunk,
    next_at: Timestamp,
    now: Option<i64>,
) -> StoreResult<Revived> {
    lock_account(session, due.account).await?;
    let sql = "select state, begun, next_at from replay where account = $1 and replay = $2";
    let read = |row: &Row| Ok((read_state(row, 0)?, row.count(1)?, row.value::<i64>(2)?));
    let found = find(session, sql, values![number(due.account), due.id.bytes()], read).await?;
    let (state, begun, was_due) = found.unwrap_or((ReplayState::Cancelled, 0, 0));
    if state != ReplayState::Running || begun != due.begun || was_due != millis(due.due_at) {
        return Ok(Revived { deliveries: 0, state });
    }
    let endpoints: Vec<EndpointId> = chunk.endpoints.iter().copied().collect();
    wait_for_lanes(session, due.account, &endpoints).await?;
    let deliveries = match &chunk.failed {
        Some(failed) => revive(session, failed, &chunk.deliveries).await?,
        None => 0,
    };
    let state = if chunk.ending == Ending::Last { ReplayState::Done } else { ReplayState::Running };
    let (fan_out, participant) = chunk.deliveries.last().map(|(fan_out, participant)| (fan_out, *participant)).unzip();
    run(
        session,
        "update replay set state = $3, begun = begun + $4, next_at = $5, cursor_fan_out = coalesce($6, cursor_fan_out),
             cursor_participant = coalesce($7, cursor_participant)
         where account = $1 and replay = $2",
        values![
            number(due.account),
            due.id.bytes(),
            state.name(),
            deliveries.cast_signed(),
            millis(next_at),
            fan_out.map(Id::bytes),
            participant
        ],
    )
    .await?;
    if !endpoints.is_empty() {
        wake_all(session, due.account, &endpoints, now).await?;
    }
    Ok(Revived { deliveries, state })
}

/// Puts those of them that still have failed into the queue; how many. Their lanes are held.
async fn revive(session: &Session, failed: &Failed, deliveries: &[(FanOutId, i64)]) -> StoreResult<u64> {
    if deliveries.is_empty() {
        return Ok(0);
    }
    let sql = format!(
        "update exception as x
         set state = 'retrying', due_at = {LEASE_NOW}, charged = 0, replay = $7,
             attempt = least(x.attempt + case when x.state = 'abandoned' then 1 else 0 end, 65535)
         from unnest($2::bytea[], $3::bigint[]) as those (fan_out, participant)
         join fan_out as f on f.account = $4 and f.fan_out = those.fan_out and f.state in ('running', 'swept')
         where x.account = $4 and x.fan_out = those.fan_out and x.participant = those.participant and {}",
        is_failed()
    );
    let values = values![
        failed.now,
        List(deliveries.iter().map(|(fan_out, _)| fan_out.bytes()).collect()),
        List(deliveries.iter().map(|(_, participant)| *participant).collect()),
        number(failed.account),
        failed.since(),
        millis(failed.until),
        failed.replay,
    ];
    change(session, &sql, values).await
}
