//! Orders to what waits, in SQL. An order changes the state of fan-outs at once; the rows of their unfinished deliveries
//! are brought in line in chunks, here and whenever the lane commits or is given back.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use store::{Backlog, ROWS_ALIGNED_MAX, Steer, Steered, StoreResult};
use wire::{AccountId, EndpointId, EventId, FanOutId, ReplayId};

use crate::SqliteStore;
use crate::columns::{Id, change, find, list, millis, number};
use crate::due::{reschedule, signal};

#[async_trait]
impl Backlog for SqliteStore {
    async fn steer(
        &self,
        account: AccountId,
        event: EventId,
        endpoint: Option<EndpointId>,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        self.writer
            .write(move |connection| {
                let sql = "select 1 from event where account = ?1 and event = ?2";
                let key = (number(account), event.as_bytes());
                if find(connection, sql, key, |_| Ok(()))?.is_none() {
                    return Ok(None);
                }
                let endpoints = steer_fan_outs(connection, account, Meant::Event(event, endpoint), steer)?;
                inform(connection, account, &endpoints, now).map(Some)
            })
            .await
    }

    async fn drop_backlog(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        self.writer
            .write(move |connection| {
                let sql = "select 1 from endpoint where account = ?1 and endpoint = ?2";
                let key = (number(account), endpoint.as_bytes());
                if find(connection, sql, key, |_| Ok(()))?.is_none() {
                    return Ok(None);
                }
                let dropped = change(connection, DROP, key)? as u64;
                inform(connection, account, &[(endpoint, dropped)], now).map(Some)
            })
            .await
    }
}

/// What may still leave of a fan-out.
const IS_UNFINISHED: &str = "(state in ('running', 'paused') or (state = 'swept' and retrying + held > 0))";
pub(crate) const DROP: &str = "update fan_out indexed by fan_out_waiting set state = 'skipped'
    where account = ?1 and endpoint = ?2 and (state in ('running', 'paused') or retrying > 0 or held > 0)
    and state in ('running', 'paused', 'swept')";

/// Which fan-outs an order is for.
#[derive(Clone, Copy)]
pub(crate) enum Meant {
    /// Those of an event, all or those to one endpoint.
    Event(EventId, Option<EndpointId>),
    /// Those of a replay.
    Replay(ReplayId),
}

/// The endpoints of the fan-outs meant, each with how many of them changed.
pub(crate) fn steer_fan_outs(
    connection: &Connection,
    account: AccountId,
    meant: Meant,
    steer: Steer,
) -> StoreResult<Vec<(EndpointId, u64)>> {
    let (state, may_change) = match steer {
        Steer::Pause => ("paused", format!("{IS_UNFINISHED} and state <> 'paused'")),
        Steer::Resume => ("running", "state = 'paused'".to_owned()),
        Steer::Cancel => ("skipped", IS_UNFINISHED.to_owned()),
    };
    let (column, id, only) = match meant {
        Meant::Event(event, endpoint) => ("event", *event.as_bytes(), endpoint.map(|id| id.as_bytes().to_vec())),
        Meant::Replay(replay) => ("replay", *replay.as_bytes(), None),
    };
    let sql = format!(
        "select distinct endpoint from fan_out indexed by fan_out_by_{column}
         where account = ?1 and {column} = ?2 and (?3 is null or endpoint = ?3)"
    );
    let key = (number(account), id, only);
    let endpoints = list(connection, &sql, key, |row| Ok(row.get::<_, Id<EndpointId>>(0)?.0))?;
    let sql = format!(
        "update fan_out indexed by fan_out_by_{column} set state = ?4
         where account = ?1 and {column} = ?2 and endpoint = ?3 and {may_change}"
    );
    endpoints
        .into_iter()
        .map(|endpoint| {
            let values = (number(account), id, endpoint.as_bytes(), state);
            Ok((endpoint, change(connection, &sql, values)? as u64))
        })
        .collect()
}

/// Tells the lanes, brings rows in line as far as one transaction may, and says what is left.
pub(crate) fn inform(
    connection: &Connection,
    account: AccountId,
    endpoints: &[(EndpointId, u64)],
    now: Timestamp,
) -> StoreResult<Steered> {
    let mut steered = Steered { fan_outs: 0, is_more: false };
    let mut room = ROWS_ALIGNED_MAX;
    for (endpoint, changed) in endpoints {
        steered.fan_outs += changed;
        let aligned = align_at_most(connection, (account, *endpoint), now, room)?;
        room -= aligned;
        if *changed > 0 || aligned > 0 {
            signal(connection, account, *endpoint)?;
            reschedule(connection, account, *endpoint, now)?;
        }
        steered.is_more |= !out_of_line(connection, (account, *endpoint), 1)?.is_empty();
    }
    Ok(steered)
}

/// Ends fan-outs of older versions of a series to an endpoint that wants only the newest; to every endpoint those of
/// replays, which a newer version would overtake, unless they were wanted in spite of it.
pub(crate) fn supersede(
    connection: &Connection,
    account: AccountId,
    fan_out: FanOutId,
    now: Timestamp,
) -> StoreResult<()> {
    let newest = "select f.endpoint, f.series, f.version, e.older_versions = 'supersede' from fan_out as f
        join endpoint as e on e.account = f.account and e.endpoint = f.endpoint
        where f.account = ?1 and f.fan_out = ?2";
    let read =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, Id<EndpointId>>(0)?.0, row.get(1)?, row.get(2)?, row.get(3)?));
    let found: Option<(EndpointId, Vec<u8>, u32, bool)> =
        find(connection, newest, (number(account), fan_out.as_bytes()), read)?;
    let Some((endpoint, series, version, wants_only_newest)) = found else { return Ok(()) };
    let sql = supersede_sql(if wants_only_newest { "fan_out_by_series" } else { "fan_out_replayed" });
    if change(connection, &sql, (number(account), endpoint.as_bytes(), series, version))? > 0 {
        align(connection, account, endpoint, now)?;
        signal(connection, account, endpoint)?;
    }
    Ok(())
}

/// Ends the fan-outs in an index: those of all older versions, or of replays of them.
pub(crate) fn supersede_sql(index: &str) -> String {
    let those = match index {
        "fan_out_replayed" => "replay is not null and even_if_outdated = 0",
        _ => "true",
    };
    format!(
        "update fan_out indexed by {index} set state = 'superseded'
         where account = ?1 and endpoint = ?2 and series = ?3 and version < ?4 and {those} and {IS_UNFINISHED}"
    )
}

/// Brings rows of a lane in line with the states of their fan-outs, as many as one transaction may.
pub(crate) fn align(
    connection: &Connection,
    account: AccountId,
    endpoint: EndpointId,
    now: Timestamp,
) -> StoreResult<()> {
    align_at_most(connection, (account, endpoint), now, ROWS_ALIGNED_MAX).map(drop)
}

pub(crate) const OUT_OF_LINE: &str = "select fan_out, state from fan_out indexed by fan_out_out_of_line
    where account = ?1 and endpoint = ?2
    and ((state in ('running', 'swept') and held > 0) or (state = 'paused' and retrying > 0)
    or (state in ('superseded', 'skipped') and retrying + held > 0)) limit ?3";
/// Fan-outs brought in line in one transaction.
const FAN_OUTS_AT_ONCE: i64 = 64;

fn out_of_line(
    connection: &Connection,
    (account, endpoint): (AccountId, EndpointId),
    limit: i64,
) -> StoreResult<Vec<(FanOutId, String)>> {
    let values = (number(account), endpoint.as_bytes(), limit);
    list(connection, OUT_OF_LINE, values, |row| Ok((row.get::<_, Id<_>>(0)?.0, row.get(1)?)))
}

fn align_at_most(
    connection: &Connection,
    lane: (AccountId, EndpointId),
    now: Timestamp,
    room: usize,
) -> StoreResult<usize> {
    let mut aligned = 0;
    for (fan_out, state) in out_of_line(connection, lane, FAN_OUTS_AT_ONCE)? {
        if aligned < room {
            aligned += align_fan_out(connection, (lane.0, fan_out), &state, now, room - aligned)?;
        }
    }
    Ok(aligned)
}

fn align_fan_out(
    connection: &Connection,
    (account, fan_out): (AccountId, FanOutId),
    state: &str,
    now: Timestamp,
    room: usize,
) -> StoreResult<usize> {
    let (change_to, those) = match state {
        "running" | "swept" => ("state = 'retrying', due_at = ?3", "state = 'held'"),
        "paused" => ("state = 'held', due_at = null", "state = 'retrying'"),
        // The attempt to come does not: what is left is the number of those made.
        "superseded" => ("state = 'superseded', due_at = null, attempt = attempt - 1", "state in ('retrying', 'held')"),
        _ => ("state = 'skipped', due_at = null, attempt = attempt - 1", "state in ('retrying', 'held')"),
    };
    let sql = format!(
        "update exception set {change_to} where account = ?1 and fan_out = ?2 and participant in (
             select participant from exception indexed by exception_unfinished
             where account = ?1 and fan_out = ?2 and state in ('retrying', 'held') and {those} and ?3 is not null
             limit ?4)"
    );
    change(connection, &sql, (number(account), fan_out.as_bytes(), millis(now), room as i64))
}
