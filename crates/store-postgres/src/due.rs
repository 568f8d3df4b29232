//! When a lane is due: written wherever its work, its health or its owner's wish changes, read when lanes are claimed. "Now"
//! is always the clock of leases, so that a node whose clock runs ahead puts no lane to sleep.

use store::StoreResult;
use wire::{AccountId, EndpointId};

use crate::backlog::IS_OUT_OF_LINE;
use crate::columns::{Id, LEASE_NOW, List, find, number, run, values};
use crate::session::Session;

/// When the lane `l` has something to do next, as of `now`, an expression: never while paused or ended, not before the end
/// of a breaker's wait. At once where rows are left that do not agree with their fan-out: nothing else would come to them.
pub(crate) fn next_due(now: &str) -> String {
    // The first of those that run, rather than whether there are any: the index of those that run is asked then, and not one
    // of all that may have something waiting.
    format!(
        "(select greatest(coalesce(l.open_until, 0), work.due_at)
          from (select case
              when (select f.position from fan_out as f
                    where f.account = l.account and f.endpoint = l.endpoint and f.state = 'running'
                    order by f.position limit 1) is not null then {now}
              when (select f.fan_out from fan_out as f
                    where f.account = l.account and f.endpoint = l.endpoint and {IS_OUT_OF_LINE}
                    limit 1) is not null then {now}
              else (select min(x.due_at) from exception as x
                    where x.account = l.account and x.endpoint = l.endpoint and x.due_at is not null)
          end as due_at offset 0) as work
          where work.due_at is not null and l.health not in ('gone', 'disabled')
          and (select e.switch from endpoint as e where e.account = l.account and e.endpoint = l.endpoint) = 'on')"
    )
}

/// Waits for lanes that others hold, and holds them until the transaction ends, in the order of their keys: whoever changes
/// anything of a lane that its owner may be committing to (fan-outs, rows of deliveries) does this first.
pub(crate) async fn wait_for_lanes(session: &Session, account: AccountId, endpoints: &[EndpointId]) -> StoreResult<()> {
    let sql = "select count(*) from (
                   select from lane where account = $1 and endpoint = any($2) order by endpoint for no key update
               ) as held";
    find(session, sql, values![number(account), ids(endpoints)], |_| Ok(())).await.map(drop)
}

/// Holds all lanes of an account, as [`wait_for_lanes`] does: for what may concern any of them, such as an erasure.
pub(crate) async fn wait_for_every_lane(session: &Session, account: AccountId) -> StoreResult<()> {
    let sql = "select count(*) from (
                   select from lane where account = $1 order by endpoint for no key update
               ) as held";
    find(session, sql, values![number(account)], |_| Ok(())).await.map(drop)
}

/// Notes that lanes have more to do; `now` is the store's `lease_now`. One that has been due for longer keeps its place in
/// the line, and nothing of it is written.
pub(crate) async fn wake_all(
    session: &Session,
    account: AccountId,
    endpoints: &[EndpointId],
    now: Option<i64>,
) -> StoreResult<()> {
    wait_for_lanes(session, account, endpoints).await?;
    run(session, &wake_sql(), values![now, number(account), ids(endpoints)]).await
}

pub(crate) fn wake_sql() -> String {
    // `least` passes over nulls; a lane that is not to be worked on is not due, whatever it was.
    let due = "case when next.due_at is null then null else least(next.due_at, l.due_at) end";
    format!(
        "with next as materialized (
             select l.endpoint, {} as due_at from lane as l where l.account = $2 and l.endpoint = any($3))
         update lane as l set due_at = {due} from next
         where l.account = $2 and l.endpoint = next.endpoint and l.due_at is distinct from {due}",
        next_due(LEASE_NOW)
    )
}

/// Notes that these lanes have fan-outs to begin now, as [`wake_all`] does for whatever there is: a save may tell thousands.
/// Lanes that are paused or have ended stay as they are.
pub(crate) async fn wake_told(
    session: &Session,
    account: AccountId,
    endpoints: &[EndpointId],
    now: Option<i64>,
) -> StoreResult<()> {
    wait_for_lanes(session, account, endpoints).await?;
    run(session, &wake_told_sql(), values![now, number(account), ids(endpoints)]).await
}

pub(crate) fn wake_told_sql() -> String {
    let due = format!("least(greatest(coalesce(l.open_until, 0), {LEASE_NOW}), l.due_at)");
    format!(
        "update lane as l set due_at = {due} from endpoint as e
         where l.account = $2 and l.endpoint = any($3) and l.health not in ('gone', 'disabled')
         and e.account = l.account and e.endpoint = l.endpoint and e.switch = 'on' and l.due_at is distinct from {due}"
    )
}

/// Sets when lanes have something to do next; `now` is the store's `lease_now`. They are held already.
pub(crate) async fn reschedule_all(
    session: &Session,
    account: AccountId,
    endpoints: &[EndpointId],
    now: Option<i64>,
) -> StoreResult<()> {
    run(session, &reschedule_sql(), values![now, number(account), ids(endpoints)]).await
}

pub(crate) fn reschedule_sql() -> String {
    format!("update lane as l set due_at = {} where l.account = $2 and l.endpoint = any($3)", next_due(LEASE_NOW))
}

/// Tells lanes at work that their owner has given an order. They are held already.
pub(crate) async fn signal_all(session: &Session, account: AccountId, endpoints: &[EndpointId]) -> StoreResult<()> {
    let sql = "update lane set signal = signal + 1 where account = $1 and endpoint = any($2)";
    run(session, sql, values![number(account), ids(endpoints)]).await
}

/// Forgets what an endpoint has done: its owner says that it is well again.
pub(crate) async fn forgive(session: &Session, account: AccountId, endpoint: EndpointId) -> StoreResult<()> {
    run(
        session,
        "update lane set health = 'healthy', failures = 0, slow_window = null, open_until = null,
             failing_since = null, ended_since = null
         where account = $1 and endpoint = $2",
        values![number(account), endpoint.bytes()],
    )
    .await
}

fn ids(endpoints: &[EndpointId]) -> List<&[u8]> {
    List(endpoints.iter().map(Id::bytes).collect())
}
