//! How complete a sender's fan-out is, in SQL: from the index of messages that say which of how many they are.

use rusqlite::Connection;
use store::{Arrivals, StoreResult};
use wire::{AccountId, FanOutId};

use crate::columns::{Id, broken, find, number};

pub(crate) const TOTAL: &str = "select fan_out_total from message
    where account = ?1 and fan_out = ?2 order by fan_out_index desc, fan_out_total desc limit 1";
pub(crate) const INDEXES: &str =
    "select fan_out_index from message where account = ?1 and fan_out = ?2 order by fan_out_index";
/// Ids rise with time. One look for each fan-out, however many messages the ones between have.
pub(crate) const NEWEST: &str = "select fan_out from message
    where account = ?1 and fan_out is not null and fan_out < ?2 order by fan_out desc limit 1";

pub(crate) fn of(connection: &Connection, account: AccountId, fan_out: FanOutId) -> StoreResult<Option<Arrivals>> {
    let key = (number(account), fan_out.as_bytes());
    let Some(total) = find(connection, TOTAL, key, |row| row.get::<_, i64>(0))? else { return Ok(None) };
    let mut statement = connection.prepare_cached(INDEXES).map_err(broken)?;
    let indexes = statement.query_map(key, |row| row.get::<_, i64>(0)).map_err(broken)?;
    let mut failed = None;
    let indexes = indexes.map_while(|index| index.map_err(|error| failed = Some(error)).ok());
    let arrivals = Arrivals::between(indexes.map(i64::unsigned_abs), total.unsigned_abs());
    failed.map_or(Ok(Some(arrivals)), |error| Err(broken(error)))
}

pub(crate) fn newest(
    connection: &Connection,
    account: AccountId,
    limit: usize,
) -> StoreResult<Vec<(FanOutId, Arrivals)>> {
    let mut found = Vec::new();
    // Longer than any id, so that it comes after all.
    let mut before = vec![0xff; 17];
    while found.len() < limit {
        let next = find(connection, NEWEST, (number(account), &before), |row| Ok(row.get::<_, Id<FanOutId>>(0)?.0))?;
        let Some(fan_out) = next else { break };
        before = fan_out.as_bytes().to_vec();
        found.extend(of(connection, account, fan_out)?.map(|arrivals| (fan_out, arrivals)));
    }
    Ok(found)
}
