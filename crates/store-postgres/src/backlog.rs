//! Orders to what waits, in SQL. An order changes the state of fan-outs at once; the rows of their unfinished deliveries
//! are brought in line in chunks, here and whenever the lane commits or is given back. Each order holds the lanes that it
//! concerns before it touches their fan-outs.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use store::{Backlog, ROWS_ALIGNED_MAX, Steer, Steered, StoreError, StoreResult};
use tokio_postgres::Row;
use webinar::SeriesId;
use wire::{AccountId, EndpointId, EventId, ReplayId};

use crate::PostgresStore;
use crate::columns::{Columns, Id, LEASE_NOW, List, Value, find, list, lock_account, number, values};
use crate::due::{reschedule_all, signal_all, wait_for_lanes};
use crate::session::Session;

/// Rows of a lane that one transaction may bring in line, however many lanes have some.
const ROWS_OF_LANE_MIN: usize = 16;

/// Lanes of any accounts.
pub(crate) type LaneKeys = BTreeSet<(AccountId, EndpointId)>;

#[async_trait]
impl Backlog for PostgresStore {
    async fn steer(
        &self,
        account: AccountId,
        event: EventId,
        endpoint: Option<EndpointId>,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        let session = self.begin().await?;
        let sql = "select 1 from event where account = $1 and event = $2";
        if !is_there(&session, account, sql, event.bytes()).await? {
            return Ok(None);
        }
        let endpoints = steer_fan_outs(&session, account, Meant::Event(event, endpoint), steer).await?;
        let steered = inform(&session, account, &endpoints, self.lease_now(now)).await?;
        session.commit().await?;
        Ok(Some(steered))
    }

    async fn drop_backlog(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        let session = self.begin().await?;
        let sql = "select 1 from endpoint where account = $1 and endpoint = $2";
        if !is_there(&session, account, sql, endpoint.bytes()).await? {
            return Ok(None);
        }
        wait_for_lanes(&session, account, &[endpoint]).await?;
        let dropped = crate::columns::change(&session, DROP, values![number(account), endpoint.bytes()]).await?;
        let steered = inform(&session, account, &[(endpoint, dropped)], self.lease_now(now)).await?;
        session.commit().await?;
        Ok(Some(steered))
    }
}

/// What may still leave of the fan-out `f`.
const IS_UNFINISHED: &str = "(f.state in ('running', 'paused') or (f.state = 'swept' and f.retrying + f.held > 0))";
pub(crate) const DROP: &str = "update fan_out set state = 'skipped'
    where account = $1 and endpoint = $2 and (state in ('running', 'paused') or retrying > 0 or held > 0)
    and state in ('running', 'paused', 'swept')";

/// Which fan-outs an order is for.
#[derive(Clone, Copy)]
pub(crate) enum Meant {
    /// Those of an event, all or those to one endpoint.
    Event(EventId, Option<EndpointId>),
    /// Those of a replay.
    Replay(ReplayId),
}

/// Whether what an order is about exists; the account is held from here on.
async fn is_there(session: &Session, account: AccountId, sql: &str, id: &[u8]) -> StoreResult<bool> {
    match lock_account(session, account).await {
        Err(StoreError::Missing(_)) => return Ok(false),
        held => held?,
    }
    Ok(find(session, sql, values![number(account), id], |_| Ok(())).await?.is_some())
}

/// The endpoints of the fan-outs meant, each with how many of them changed. Their lanes are held from here on.
pub(crate) async fn steer_fan_outs(
    session: &Session,
    account: AccountId,
    meant: Meant,
    steer: Steer,
) -> StoreResult<Vec<(EndpointId, u64)>> {
    let (state, may_change) = match steer {
        Steer::Pause => ("paused", format!("{IS_UNFINISHED} and f.state <> 'paused'")),
        Steer::Resume => ("running", "f.state = 'paused'".to_owned()),
        Steer::Cancel => ("skipped", IS_UNFINISHED.to_owned()),
    };
    let (column, id, only) = match &meant {
        Meant::Event(event, endpoint) => ("event", event.bytes(), endpoint.as_ref().map(Id::bytes)),
        Meant::Replay(replay) => ("replay", replay.bytes(), None),
    };
    let those = format!("f.account = $1 and f.{column} = $2 and ($3::bytea is null or f.endpoint = $3)");
    let sql = format!("select distinct f.endpoint from fan_out as f where {those}");
    let endpoints = list(session, &sql, values![number(account), id, only], |row| row.id(0)).await?;
    wait_for_lanes(session, account, &endpoints).await?;
    let sql = format!("update fan_out as f set state = $4 where {those} and {may_change} returning f.endpoint");
    let changed = changed_by(session, &sql, values![number(account), id, only, state]).await?;
    let count = |endpoint| changed.get(&endpoint).copied().unwrap_or(0);
    Ok(endpoints.into_iter().map(|endpoint| (endpoint, count(endpoint))).collect())
}

/// How many rows of each endpoint a statement changes, which returns the endpoint of each.
async fn changed_by(
    session: &Session,
    sql: &str,
    values: &[&(dyn Value + Sync)],
) -> StoreResult<BTreeMap<EndpointId, u64>> {
    let endpoints: Vec<EndpointId> = list(session, sql, values, |row| row.id(0)).await?;
    session.note_changes(endpoints.len() as u64);
    let mut changed = BTreeMap::new();
    for endpoint in endpoints {
        *changed.entry(endpoint).or_default() += 1;
    }
    Ok(changed)
}

/// Tells the lanes, which are held, brings rows in line as far as one transaction may, and says what is left. `now` is the
/// store's `lease_now`.
pub(crate) async fn inform(
    session: &Session,
    account: AccountId,
    endpoints: &[(EndpointId, u64)],
    now: Option<i64>,
) -> StoreResult<Steered> {
    let lanes: LaneKeys = endpoints.iter().map(|(endpoint, _)| (account, *endpoint)).collect();
    let aligned = align(session, &lanes, now).await?;
    let touched =
        endpoints.iter().filter(|(endpoint, changed)| *changed > 0 || aligned.contains(&(account, *endpoint)));
    let touched: Vec<EndpointId> = touched.map(|(endpoint, _)| *endpoint).collect();
    if !touched.is_empty() {
        signal_all(session, account, &touched).await?;
        reschedule_all(session, account, &touched, now).await?;
    }
    let fan_outs = endpoints.iter().map(|(_, changed)| changed).sum();
    Ok(Steered { fan_outs, is_more: !aligned.is_empty() && !out_of_line(session, &lanes).await?.is_empty() })
}

/// Ends the fan-outs that a newer version of a series leaves behind: of older versions to endpoints that want only the
/// newest; to every endpoint those of replays, which a newer version would overtake, unless they were wanted in spite of it.
/// The lanes are held; `now` is the store's `lease_now`.
pub(crate) async fn supersede_all(
    session: &Session,
    account: AccountId,
    told: &[EndpointId],
    (series, version): (SeriesId, u32),
    now: Option<i64>,
) -> StoreResult<()> {
    let endpoints = List(told.iter().map(Id::bytes).collect::<Vec<_>>());
    let values = values![number(account), endpoints, series.bytes(), i64::from(version)];
    let superseded = changed_by(session, &supersede_sql(), values).await?;
    if superseded.is_empty() {
        return Ok(());
    }
    let endpoints: Vec<EndpointId> = superseded.into_keys().collect();
    align(session, &endpoints.iter().map(|endpoint| (account, *endpoint)).collect(), now).await?;
    signal_all(session, account, &endpoints).await
}

pub(crate) fn supersede_sql() -> String {
    // Each half by its own index: mostly nobody wants only the newest, and nothing is replayed.
    let older = format!("f.series = $3 and f.version < $4 and {IS_UNFINISHED}");
    format!(
        "update fan_out as f set state = 'superseded'
         from (select f.fan_out from endpoint as e join fan_out as f on f.account = e.account and f.endpoint = e.endpoint
               where e.account = $1 and e.endpoint = any($2) and e.older_versions = 'supersede'
               and (f.state in ('running', 'paused') or f.retrying > 0 or f.held > 0) and {older}
               union
               select f.fan_out from fan_out as f
               where f.account = $1 and f.endpoint = any($2) and f.replay is not null and not f.even_if_outdated
               and {older}) as older
         where f.account = $1 and f.fan_out = older.fan_out returning f.endpoint"
    )
}

/// Whether the fan-out `f` does not agree with its rows: the condition of an index.
pub(crate) const IS_OUT_OF_LINE: &str = "((f.state in ('running', 'swept') and f.held > 0)
        or (f.state = 'paused' and f.retrying > 0)
        or (f.state in ('superseded', 'skipped') and f.retrying + f.held > 0))";

/// Those of $1 and $2 of which a fan-out does not agree with its rows; the index is asked for each lane.
pub(crate) fn out_of_line_sql() -> String {
    format!(
        "select lane.account, lane.endpoint from unnest($1::bigint[], $2::bytea[]) as lane (account, endpoint)
         cross join lateral (
             select f.fan_out from fan_out as f
             where f.account = lane.account and f.endpoint = lane.endpoint and {IS_OUT_OF_LINE} limit 1) as f"
    )
}

async fn out_of_line(session: &Session, lanes: &LaneKeys) -> StoreResult<LaneKeys> {
    let (accounts, endpoints) = columns_of(lanes);
    let found = list(session, &out_of_line_sql(), values![accounts, endpoints], read_lane).await?;
    Ok(found.into_iter().collect())
}

/// Brings rows of lanes, which are held, in line with the states of their fan-outs, as many as one transaction may. Says
/// which lanes had any. `now` is the store's `lease_now`.
pub(crate) async fn align(session: &Session, lanes: &LaneKeys, now: Option<i64>) -> StoreResult<LaneKeys> {
    // Mostly there is nothing to do, and to find that out costs less than an update of no rows, with its trigger.
    let off = out_of_line(session, lanes).await?;
    if off.is_empty() {
        return Ok(off);
    }
    // Shared out, so that nobody's rows wait for those of others.
    let room = (ROWS_ALIGNED_MAX / off.len()).max(ROWS_OF_LANE_MIN) as i64;
    let (accounts, endpoints) = columns_of(&off);
    let aligned = list(session, &align_sql(), values![now, accounts, endpoints, room], read_lane).await?;
    session.note_changes(aligned.len() as u64);
    Ok(aligned.into_iter().collect())
}

fn read_lane(row: &Row) -> StoreResult<(AccountId, EndpointId)> {
    Ok((row.account(0)?, row.id(1)?))
}

/// At most $4 rows of each lane.
pub(crate) fn align_sql() -> String {
    // Of what ends, the attempt to come does not: what is left is the number of those made.
    format!(
        "with those as materialized (
             select x.account, x.fan_out, x.participant, x.becomes
             from unnest($2::bigint[], $3::bytea[]) as lane (account, endpoint) cross join lateral (
                 select x.account, x.fan_out, x.participant, off.becomes
                 from (select f.account, f.fan_out, case
                           when f.state in ('running', 'swept') then 'retrying' when f.state = 'paused' then 'held'
                           else f.state end as becomes
                       from fan_out as f
                       where f.account = lane.account and f.endpoint = lane.endpoint and {IS_OUT_OF_LINE} limit $4) as off
                 join exception as x on x.account = off.account and x.fan_out = off.fan_out
                 and x.state in ('retrying', 'held') and x.state <> off.becomes limit $4) as x)
         update exception as x set state = those.becomes,
             due_at = case when those.becomes = 'retrying' then {LEASE_NOW} end,
             attempt = x.attempt - case when those.becomes in ('retrying', 'held') then 0 else 1 end
         from those
         where x.account = those.account and x.fan_out = those.fan_out and x.participant = those.participant
         returning x.account, x.endpoint"
    )
}

fn columns_of(lanes: &LaneKeys) -> (List<i64>, List<&[u8]>) {
    let accounts = lanes.iter().map(|(account, _)| number(*account)).collect();
    (List(accounts), List(lanes.iter().map(|(_, endpoint)| endpoint.bytes()).collect()))
}
