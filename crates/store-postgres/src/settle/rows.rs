//! What a batch of settlements writes: one statement for each table, however many rows, and none for what there is none of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use provider::lane::LaneState;
use store::{ExceptionState, StoreResult};
use tokio_postgres::Row;
use wire::{AccountId, ReplayId};

use super::batch::{Batch, ExceptionRow};
use crate::backlog::align;
use crate::columns::{Columns, Id, List, list, millis, number, run, values};
use crate::failures;
use crate::notices::raise;
use crate::session::Session;

/// Writes everything. The lanes are held.
pub(super) async fn write(session: &Session, batch: &Batch<'_>) -> StoreResult<()> {
    // None of these needs another, so that all travel at once.
    tokio::try_join!(
        save_segments(session, batch),
        save_progress(session, batch),
        save_exceptions(session, batch),
        recover(session, batch),
        failures::insert(session, &batch.failures),
        change_lanes(session, batch),
    )?;
    for (account, notice) in &batch.notices {
        raise(session, *account, notice).await?;
    }
    if !batch.to_align.is_empty() {
        align(session, &batch.to_align, batch.now).await?;
    }
    Ok(())
}

async fn save_segments(session: &Session, batch: &Batch<'_>) -> StoreResult<()> {
    if batch.segments.is_empty() {
        return Ok(());
    }
    let segments = || batch.segments.iter();
    run(
        session,
        "insert into segment (account, fan_out, first_participant, last_participant, entries, outcomes)
         select * from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])",
        values![
            List(segments().map(|(account, ..)| number(*account)).collect()),
            List(segments().map(|(_, fan_out, _)| fan_out.bytes()).collect()),
            List(segments().map(|(.., segment)| segment.first.cast_signed()).collect()),
            List(segments().map(|(.., segment)| segment.last.cast_signed()).collect()),
            List(segments().map(|(.., segment)| i64::from(segment.count)).collect()),
            List(segments().map(|(.., segment)| segment.bytes.as_slice()).collect()),
        ],
    )
    .await
}

/// In place, where nothing else changes: no index holds a cursor or a count of deliveries.
async fn save_progress(session: &Session, batch: &Batch<'_>) -> StoreResult<()> {
    if batch.fan_outs.is_empty() {
        return Ok(());
    }
    let (keys, progress) = (|| batch.fan_outs.keys(), || batch.fan_outs.values());
    run(
        session,
        "update fan_out as f
         set cursor_participant = coalesce(got.participant, f.cursor_participant),
             cursor_index = coalesce(got.index, f.cursor_index),
             delivered = f.delivered + got.delivered, is_logged = f.is_logged or got.delivered > 0,
             state = case when got.is_swept and f.state = 'running' then 'swept' else f.state end
         from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[])
             as got (account, fan_out, participant, index, delivered, is_swept)
         where f.account = got.account and f.fan_out = got.fan_out",
        values![
            List(keys().map(|(account, _)| number(*account)).collect()),
            List(keys().map(|(_, fan_out)| fan_out.bytes()).collect()),
            List(progress().map(|got| got.cursor.map(|place| place.participant.cast_signed())).collect::<Vec<_>>()),
            List(progress().map(|got| got.cursor.map(|place| place.index.cast_signed())).collect::<Vec<_>>()),
            List(progress().map(|got| got.delivered.cast_signed()).collect()),
            List(progress().map(|got| got.is_swept).collect()),
        ],
    )
    .await
}

/// The columns `state, due_at, attempt, charged` of a row.
fn columns_of(state: ExceptionState) -> (&'static str, Option<i64>, i64, i64) {
    let (name, due, attempt, charged) = match state {
        ExceptionState::Retrying { due, attempt, charged } => ("retrying", Some(millis(due)), attempt, charged),
        ExceptionState::Held { attempt, charged } => ("held", None, attempt, charged),
        ExceptionState::Abandoned { attempts } => ("abandoned", None, attempts, attempts),
        ExceptionState::Superseded { attempts } => ("superseded", None, attempts, attempts),
        ExceptionState::Skipped { attempts } => ("skipped", None, attempts, attempts),
        ExceptionState::Erased { attempts } => ("erased", None, attempts, 0),
    };
    (name, due, i64::from(attempt), i64::from(charged))
}

/// What is to be tried again of somebody who is gone was on its way while they were erased: it ends with them.
pub(crate) const SAVE_EXCEPTIONS: &str =
    "insert into exception as kept (account, fan_out, participant, place, endpoint, state, due_at, attempt, charged,
                                    last_outcome, last_at)
    select new.account, new.fan_out, new.participant, new.place, new.endpoint,
        case when gone.is_gone then 'erased' else new.state end, case when not gone.is_gone then new.due_at end,
        case when gone.is_gone then new.attempt - 1 else new.attempt end,
        case when gone.is_gone then 0 else new.charged end, new.last_outcome, new.last_at
    from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
        as new (account, fan_out, participant, place, endpoint, state, due_at, attempt, charged, last_outcome, last_at)
    cross join lateral (select new.state = 'retrying' and not exists (
        select 1 from participant as p where p.account = new.account and p.participant = new.participant)
        as is_gone) as gone
    on conflict (account, fan_out, participant) do update
    set state = excluded.state, due_at = excluded.due_at, attempt = excluded.attempt, charged = excluded.charged,
        last_outcome = coalesce(excluded.last_outcome, kept.last_outcome),
        last_at = coalesce(excluded.last_at, kept.last_at)";

async fn save_exceptions(session: &Session, batch: &Batch<'_>) -> StoreResult<()> {
    if batch.exceptions.is_empty() {
        return Ok(());
    }
    let (keys, rows) = (|| batch.exceptions.keys(), || batch.exceptions.values());
    let columns: Vec<_> = rows().map(|row| columns_of(row.state)).collect();
    let last = |read: fn(&ExceptionRow) -> Option<i64>| List(rows().map(read).collect::<Vec<_>>());
    run(
        session,
        SAVE_EXCEPTIONS,
        values![
            List(keys().map(|(account, ..)| number(*account)).collect()),
            List(keys().map(|(_, fan_out, _)| fan_out.bytes()).collect()),
            List(keys().map(|(.., participant)| participant.cast_signed()).collect()),
            List(rows().map(|row| row.index.cast_signed()).collect()),
            List(rows().map(|row| row.endpoint.bytes()).collect()),
            List(columns.iter().map(|(state, ..)| *state).collect()),
            List(columns.iter().map(|(_, due, ..)| *due).collect::<Vec<_>>()),
            List(columns.iter().map(|(.., attempt, _)| *attempt).collect()),
            List(columns.iter().map(|(.., charged)| *charged).collect()),
            last(|row| row.last.map(|(outcome, _)| i64::from(outcome.number()))),
            last(|row| row.last.map(|(_, at)| millis(at))),
        ],
    )
    .await
}

/// Removes the rows of what was delivered, and tells the replays that had put them into the queue.
async fn recover(session: &Session, batch: &Batch<'_>) -> StoreResult<()> {
    if batch.recovered.is_empty() {
        return Ok(());
    }
    let recovered = || batch.recovered.iter();
    let sql = "delete from exception as x
        using unnest($1::bigint[], $2::bytea[], $3::bigint[]) as got (account, fan_out, participant)
        where x.account = got.account and x.fan_out = got.fan_out and x.participant = got.participant
        returning x.account, x.replay";
    let values = values![
        List(recovered().map(|(account, ..)| number(*account)).collect()),
        List(recovered().map(|(_, fan_out, _)| fan_out.bytes()).collect()),
        List(recovered().map(|(.., participant)| participant.cast_signed()).collect()),
    ];
    let read = |row: &Row| Ok(row.id_if_any::<ReplayId>(1)?.map(|replay| Ok((row.account(0)?, replay))));
    let mut delivered: BTreeMap<(AccountId, ReplayId), i64> = BTreeMap::new();
    for key in list(session, sql, values, read).await?.into_iter().flatten() {
        *delivered.entry(key?).or_default() += 1;
    }
    if delivered.is_empty() { Ok(()) } else { tell_replays(session, &delivered).await }
}

async fn tell_replays(session: &Session, delivered: &BTreeMap<(AccountId, ReplayId), i64>) -> StoreResult<()> {
    let accounts = || List(delivered.keys().map(|(account, _)| number(*account)).collect());
    let replays = || List(delivered.keys().map(|(_, replay)| replay.bytes()).collect());
    // One replay may be told by several nodes at once: in order, so that they do not wait for each other in a circle.
    let sql = "select 1 from replay as r
        join unnest($1::bigint[], $2::bytea[]) as got (account, replay)
            on r.account = got.account and r.replay = got.replay
        order by r.account, r.replay for no key update of r";
    list(session, sql, values![accounts(), replays()], |_| Ok(())).await?;
    let sql = "update replay as r set delivered = r.delivered + got.delivered
        from unnest($1::bigint[], $2::bytea[], $3::bigint[]) as got (account, replay, delivered)
        where r.account = got.account and r.replay = got.replay";
    let counts = List(delivered.values().copied().collect());
    run(session, sql, values![accounts(), replays(), counts]).await
}

/// The columns `failures, slow_window, open_until, failing_since, ended_since` of a health.
fn health_columns(health: LaneState) -> [Option<i64>; 5] {
    let at = |moment: Timestamp| Some(millis(moment));
    match health {
        LaneState::Healthy { failures } => [Some(failures.into()), None, None, None, None],
        LaneState::SlowStart { window, failures } => [Some(failures.into()), Some(window.into()), None, None, None],
        LaneState::Open { failures, until, since } => [Some(failures.into()), None, at(until), at(since), None],
        LaneState::Gone { since } | LaneState::Disabled { since } => [Some(0), None, None, None, at(since)],
    }
}

/// Also held back is a lane whose owner dies before it can give it back: so `due_at` follows the health.
const CHANGE_LANES: &str = "update lane as l
    set health = coalesce(new.health, l.health),
        failures = case when new.health is null then l.failures else new.failures end,
        slow_window = case when new.health is null then l.slow_window else new.slow_window end,
        open_until = case when new.health is null then l.open_until else new.open_until end,
        failing_since = case when new.health is null then l.failing_since else new.failing_since end,
        ended_since = case when new.health is null then l.ended_since else new.ended_since end,
        due_at = case when new.ended_since is null and l.due_at is not null
                      then greatest(l.due_at, new.open_until) end,
        per_minute = coalesce(new.per_minute, l.per_minute),
        last_failure_at = coalesce(new.last_failure_at, l.last_failure_at),
        last_failure = coalesce(new.last_failure, l.last_failure)
    from unnest($1::bigint[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
        as new (account, endpoint, health, failures, slow_window, open_until, failing_since, ended_since, per_minute,
                last_failure_at, last_failure)
    where l.account = new.account and l.endpoint = new.endpoint";

async fn change_lanes(session: &Session, batch: &Batch<'_>) -> StoreResult<()> {
    if batch.lanes.is_empty() {
        return Ok(());
    }
    let (keys, lanes) = (|| batch.lanes.keys(), || batch.lanes.values());
    let health = |nth: usize| {
        List(lanes().map(|lane| lane.health.and_then(|health| health_columns(health)[nth])).collect::<Vec<_>>())
    };
    let last_failure = || lanes().map(|lane| lane.last_failure.as_ref());
    run(
        session,
        CHANGE_LANES,
        values![
            List(keys().map(|(account, _)| number(*account)).collect()),
            List(keys().map(|(_, endpoint)| endpoint.bytes()).collect()),
            List(lanes().map(|lane| lane.health.map(|health| health.name())).collect::<Vec<Option<&str>>>()),
            health(0),
            health(1),
            health(2),
            health(3),
            health(4),
            List(lanes().map(|lane| lane.per_minute.map(i64::from)).collect::<Vec<_>>()),
            List(last_failure().map(|last| last.map(|(at, _)| millis(*at))).collect::<Vec<_>>()),
            List(last_failure().map(|last| last.map(|(_, reason)| reason.as_str())).collect::<Vec<Option<&str>>>()),
        ],
    )
    .await
}
