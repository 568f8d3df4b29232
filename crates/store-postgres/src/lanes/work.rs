//! What there is to do in a lane: its endpoint, its fan-outs where they stand, and who was finished beyond their cursors.

use provider::frontier::Place;
use provider::pace::Rate;
use provider::segment;
use store::{FanOut, FanOutWork, LaneWork, Lease, OPEN_FAN_OUTS_MAX, PACED_FAN_OUTS_MAX, StoreError, StoreResult};
use tokio_postgres::Row;
use wire::{AccountId, EventId, FanOutId};

use super::audiences::count_audiences;
use super::hold::signal_of;
use crate::PostgresStore;
use crate::columns::{Columns, Id, List, list, number, values};
use crate::session::Session;
use crate::subscriptions::{self, read_text};

/// What there is to do. An audience that nobody has counted yet is counted first, outside any transaction: a million people
/// take a second.
pub(super) async fn work(store: &PostgresStore, lease: Lease) -> StoreResult<LaneWork> {
    let (work, uncounted) = open(store, lease).await?;
    if uncounted.is_empty() {
        return Ok(work);
    }
    let counting = store.together.counting.lock().await;
    count_audiences(&store.session().await?, lease.account, &uncounted).await?;
    drop(counting);
    open(store, lease).await.map(|(work, _)| work)
}

/// The work, and the events in it whose audience has not been counted.
async fn open(store: &PostgresStore, lease: Lease) -> StoreResult<(LaneWork, Vec<EventId>)> {
    let session = store.look().await?;
    let (endpoint, signal, opened) = tokio::try_join!(
        subscriptions::endpoint(&session, &store.vault, lease.account, lease.endpoint),
        signal_of(&session, lease),
        fan_outs(&session, lease)
    )?;
    let endpoint = endpoint.ok_or(StoreError::Missing("the endpoint"))?;
    let signal = signal.ok_or(StoreError::Fenced)?;
    let uncounted = opened.iter().filter(|opened| !opened.is_counted).map(|opened| opened.work.fan_out.event);
    let uncounted = uncounted.collect();
    let fan_outs = with_finished(&session, lease.account, opened).await?;
    Ok((LaneWork { endpoint, fan_outs, signal }, uncounted))
}

/// A fan-out that is opened.
struct Opened {
    work: FanOutWork,
    /// Whether the audience of its event is.
    is_counted: bool,
    /// Unix milliseconds; nothing of it is in the partitions of earlier days.
    created_at: i64,
}

const FAN_OUT: &str = "select f.fan_out, f.cursor_participant, f.cursor_index, e.event, e.type, e.cause, e.series,
    e.version, e.series_part, e.attendee_instant, coalesce(cardinality(f.listed)::bigint, e.audience),
    f.origin, f.replay, f.per_minute, e.audience is not null, f.created_at
    from fan_out as f join event as e on e.account = f.account and e.event = f.event where f.account = $1";

/// One fan-out.
pub(crate) fn fan_out_sql() -> String {
    format!("{FAN_OUT} and f.fan_out = $2")
}

/// Fan-outs in order: those without a pace of their own, then the first with one. A slow one keeps none of the places of
/// those that may go on.
pub(crate) fn open_sql() -> String {
    let those = |pace: &str, limit: &str| {
        format!(
            "({FAN_OUT} and f.endpoint = $2 and f.state = 'running' and f.per_minute is {pace}
              order by f.position limit {limit})"
        )
    };
    format!("{} union all {}", those("null", "$3"), those("not null", "$4"))
}

async fn fan_outs(session: &Session, lease: Lease) -> StoreResult<Vec<Opened>> {
    let read = |row: &Row| {
        let cursor = Place { participant: row.count(1)?, index: row.count(2)? };
        let work = FanOutWork { fan_out: read_fan_out(row)?, cursor, finished_beyond: Vec::new() };
        Ok(Opened { work, is_counted: row.value(14)?, created_at: row.value(15)? })
    };
    let (unpaced, paced) = (OPEN_FAN_OUTS_MAX as i64, PACED_FAN_OUTS_MAX as i64);
    let values = values![number(lease.account), lease.endpoint.bytes(), unpaced, paced];
    list(session, &open_sql(), values, read).await
}

pub(super) fn read_fan_out(row: &Row) -> StoreResult<FanOut> {
    let id: FanOutId = row.id(0)?;
    let per_minute: Option<u32> = row.small_if_any(13)?;
    Ok(FanOut {
        id,
        origin: row.id_if_any(11)?.unwrap_or(id),
        replay: row.id_if_any(12)?,
        rate: per_minute.and_then(|per_minute| Rate::steady(per_minute).ok()),
        event: row.id(3)?,
        event_type: read_text(row, 4)?,
        trigger: read_text(row, 5)?,
        series: row.id(6)?,
        version: row.small(7)?,
        series_part: row.value::<Vec<u8>>(8)?.into(),
        attendee_instant: row.moment_if_any(9)?,
        audience: row.value::<Option<i64>>(10)?.unwrap_or(0).unsigned_abs(),
    })
}

/// Each outcome beyond a cursor is looked for by index, whatever the planner takes the tables to hold.
pub(crate) const SEGMENTS_BEYOND: &str = "select asked.nth, beyond.outcomes
    from unnest($2::bytea[], $3::bigint[]) with ordinality as asked (fan_out, cursor, nth)
    cross join lateral (
        select s.outcomes from segment as s
        where s.account = $1 and s.fan_out = asked.fan_out and s.last_participant > asked.cursor
        and s.day >= (to_timestamp($4 / 1000.0) at time zone 'utc')::date - 1 offset 0) as beyond";
pub(crate) const EXCEPTIONS_BEYOND: &str = "select asked.nth, beyond.participant
    from unnest($2::bytea[], $3::bigint[]) with ordinality as asked (fan_out, cursor, nth)
    cross join lateral (
        select x.participant from exception as x
        where x.account = $1 and x.fan_out = asked.fan_out and x.participant > asked.cursor offset 0) as beyond";

/// Adds who has an outcome or a row although the cursor has not passed them: a crash lost only the order, not the fact.
async fn with_finished(session: &Session, account: AccountId, opened: Vec<Opened>) -> StoreResult<Vec<FanOutWork>> {
    let Some(oldest) = opened.iter().map(|opened| opened.created_at).min() else { return Ok(Vec::new()) };
    let ids: Vec<&[u8]> = opened.iter().map(|opened| opened.work.fan_out.id.bytes()).collect();
    let cursors: Vec<i64> = opened.iter().map(|opened| opened.work.cursor.participant.cast_signed()).collect();
    let values = values![number(account), List(ids), List(cursors), oldest];
    let segment = |row: &Row| {
        let entries = segment::unpack(row.value(1)?).map_err(StoreError::broken)?;
        Ok((row.count(0)?, entries.iter().map(|entry| entry.participant).collect::<Vec<_>>()))
    };
    let exception = |row: &Row| Ok((row.count(0)?, vec![row.count(1)?]));
    let (segments, exceptions) = tokio::try_join!(
        list(session, SEGMENTS_BEYOND, values, segment),
        list(session, EXCEPTIONS_BEYOND, &values[..3], exception)
    )?;
    let mut work: Vec<FanOutWork> = opened.into_iter().map(|opened| opened.work).collect();
    for (nth, participants) in segments.into_iter().chain(exceptions) {
        // SQL counts from 1.
        if let Some(FanOutWork { cursor, finished_beyond, .. }) = work.get_mut((nth as usize).saturating_sub(1)) {
            finished_beyond.extend(participants.into_iter().filter(|at| *at > cursor.participant));
        }
    }
    for FanOutWork { finished_beyond, .. } in &mut work {
        finished_beyond.sort_unstable();
        finished_beyond.dedup();
    }
    Ok(work)
}
