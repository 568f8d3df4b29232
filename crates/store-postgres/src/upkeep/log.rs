//! Letting go of the log of fan-outs of which every delivery has ended. Rows of exceptions are deleted; segments and failed
//! attempts stay where they are, no longer shown, until their day goes: a million deliveries cost one change of one row.

use provider::segment;
use store::{StoreError, StoreResult};
use tokio_postgres::Row;
use wire::{AccountId, EndpointId, FanOutId};

use super::Bounds;
use crate::columns::{Columns, Id, List, change, list, lock_account, number, values};
use crate::due::wait_for_lanes;
use crate::session::Session;

/// Fan-outs looked at in one call.
const FAN_OUTS_AT_ONCE: i64 = 64;

/// Those that hold something which ended before $2.
const ENDED: &str = "account = $1 and created_at < $2 and is_logged and logged_since < $2
    and state in ('swept', 'superseded', 'skipped') and retrying + held = 0";

/// The newest outcomes of fan-outs that have any since the day of $3.
const NEWEST: &str = "select those.fan_out, newest.outcomes from unnest($2::bytea[]) as those (fan_out)
    cross join lateral (
        select s.outcomes from segment as s where s.account = $1 and s.fan_out = those.fan_out
        and s.day >= (to_timestamp($3 / 1000.0) at time zone 'utc')::date - 1
        order by s.segment desc limit 1) as newest";

const FORGET_EXCEPTIONS: &str = "delete from exception where (account, fan_out, participant) in (
    select account, fan_out, participant from exception
    where account = $1 and fan_out = any($2) and coalesce(last_at, 0) < $3 limit $4)";

/// The rows have taken themselves off the counts, which are to stay.
const NOTE: &str = "update fan_out as f
    set abandoned = those.abandoned, called_off = those.called_off, erased = those.erased,
        logged_since = case when those.has_old then f.logged_since else $2 end,
        is_logged = those.is_fresh or those.has_rows
    from (select fan_out, abandoned, called_off, erased, is_fresh,
              exists (select 1 from exception as x where x.account = $1 and x.fan_out = listed.fan_out) as has_rows,
              exists (select 1 from exception as x where x.account = $1 and x.fan_out = listed.fan_out
                      and coalesce(x.last_at, 0) < $2) as has_old
          from unnest($3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[])
              as listed (fan_out, abandoned, called_off, erased, is_fresh)) as those
    where f.account = $1 and f.fan_out = those.fan_out returning those.has_old";

/// A fan-out that has ended, and its counts.
struct Ended {
    id: FanOutId,
    endpoint: EndpointId,
    delivered: u64,
    /// Abandoned, called off, erased.
    counts: [i64; 3],
}

/// Lets go of what ended before a time: how many rows of exceptions and logs of fan-outs went.
pub(super) async fn forget(session: &Session, account: AccountId, (before, limit): Bounds) -> StoreResult<u64> {
    let sql = format!("{ENDED} order by created_at limit $3");
    let found = read_ended(session, &sql, values![number(account), before, FAN_OUTS_AT_ONCE]).await?;
    if found.is_empty() {
        return Ok(0);
    }
    // Looked for before anything is held: a large fan-out has many segments.
    let fresh = fresh(session, account, &found, before).await?;
    lock_account(session, account).await?;
    wait_for_lanes(session, account, &found.iter().map(|ended| ended.endpoint).collect::<Vec<_>>()).await?;
    let sql = format!("{ENDED} and fan_out = any($3) order by fan_out");
    let ended = read_ended(session, &sql, values![number(account), before, ids(&found)]).await?;
    // One to which an outcome has come meanwhile is left to the next turn.
    let is_as_it_was = |now: &Ended| found.iter().any(|then| then.id == now.id && then.delivered == now.delivered);
    let ended: Vec<Ended> = ended.into_iter().filter(is_as_it_was).collect();

    let rows = change(session, FORGET_EXCEPTIONS, values![number(account), ids(&ended), before, limit]).await?;
    let count = |nth: usize| List(ended.iter().map(|ended| ended.counts[nth]).collect::<Vec<_>>());
    let is_fresh = List(ended.iter().map(|ended| fresh.contains(&ended.id)).collect());
    let values = values![number(account), before, ids(&ended), count(0), count(1), count(2), is_fresh];
    let noted: Vec<bool> = list(session, NOTE, values, |row| row.value(0)).await?;
    Ok(rows + noted.iter().filter(|has_old| !**has_old).count() as u64)
}

async fn read_ended(
    session: &Session,
    those: &str,
    values: &[&(dyn crate::columns::Value + Sync)],
) -> StoreResult<Vec<Ended>> {
    let sql = format!("select fan_out, endpoint, delivered, abandoned, called_off, erased from fan_out where {those}");
    let read = |row: &Row| {
        let counts = [row.value(3)?, row.value(4)?, row.value(5)?];
        Ok(Ended { id: row.id(0)?, endpoint: row.id(1)?, delivered: row.count(2)?, counts })
    };
    list(session, &sql, values, read).await
}

/// Those with an outcome at a time or later. Outcomes are written in the order in which they come, so the newest segment
/// tells.
async fn fresh(session: &Session, account: AccountId, ended: &[Ended], since: i64) -> StoreResult<Vec<FanOutId>> {
    let newest = list(session, NEWEST, values![number(account), ids(ended), since], |row| {
        let entries = segment::unpack(row.value(1)?).map_err(StoreError::broken)?;
        Ok(entries.iter().any(|entry| entry.finished_ms >= since).then_some(row.id(0)?))
    })
    .await?;
    Ok(newest.into_iter().flatten().collect())
}

fn ids(ended: &[Ended]) -> List<&[u8]> {
    List(ended.iter().map(|ended| ended.id.bytes()).collect())
}
