//! When a lane is due: written wherever its work, its health or its owner's wish changes, read when lanes are claimed.

use jiff::Timestamp;
use rusqlite::Connection;
use store::StoreResult;
use wire::{AccountId, EndpointId};

use crate::columns::{millis, number, run};

/// When a lane has something to do next, as of ?3: never while paused or ended, not before the end of a breaker's wait.
const NEXT_DUE: &str = "(
    select max(coalesce(lane.open_until, 0), work.due_at)
    from (select case
        when exists (select 1 from fan_out where account = ?1 and endpoint = ?2 and state = 'running') then ?3
        else (select min(due_at) from exception where account = ?1 and endpoint = ?2 and due_at is not null)
    end as due_at) as work
    where lane.health not in ('gone', 'disabled')
    and (select switch from endpoint where account = ?1 and endpoint = ?2) = 'on')";

/// Notes that a lane has more to do. One that has been due for longer keeps its place in the line.
pub(crate) fn wake(
    connection: &Connection,
    account: AccountId,
    endpoint: EndpointId,
    now: Timestamp,
) -> StoreResult<()> {
    let sql = format!(
        "update lane set due_at = (select min(due_at, coalesce(lane.due_at, due_at)) from (select {NEXT_DUE} as due_at))
         where account = ?1 and endpoint = ?2"
    );
    run(connection, &sql, (number(account), endpoint.as_bytes(), millis(now)))
}

pub(crate) fn reschedule_sql() -> String {
    format!("update lane set due_at = {NEXT_DUE} where account = ?1 and endpoint = ?2")
}

/// Sets when a lane has something to do next.
pub(crate) fn reschedule(
    connection: &Connection,
    account: AccountId,
    endpoint: EndpointId,
    now: Timestamp,
) -> StoreResult<()> {
    run(connection, &reschedule_sql(), (number(account), endpoint.as_bytes(), millis(now)))
}

/// Tells a lane at work that its owner has given an order.
pub(crate) fn signal(connection: &Connection, account: AccountId, endpoint: EndpointId) -> StoreResult<()> {
    let sql = "update lane set signal = signal + 1 where account = ?1 and endpoint = ?2";
    run(connection, sql, (number(account), endpoint.as_bytes()))
}

/// Forgets what an endpoint has done: its owner says that it is well again.
pub(crate) fn forgive(connection: &Connection, account: AccountId, endpoint: EndpointId) -> StoreResult<()> {
    run(
        connection,
        "update lane set health = 'healthy', failures = 0, slow_window = null, open_until = null,
             failing_since = null, ended_since = null
         where account = ?1 and endpoint = ?2",
        (number(account), endpoint.as_bytes()),
    )
}

/// Ends the leases of a server that is no more, and forgets it; its epochs are over too.
pub(crate) fn void_leases(connection: &Connection) -> rusqlite::Result<()> {
    for table in ["lane", "handler"] {
        let sql = format!(
            "update {table} set owner = null, lease_until = null, epoch = epoch + 1 where lease_until is not null"
        );
        connection.execute(&sql, [])?;
    }
    // With a condition, so that nothing is written where there is nothing.
    connection.execute("delete from node where node is not null", [])?;
    Ok(())
}
