//! How complete a sender's fan-out is, in SQL: from the index of messages that say which of how many they are.

use std::ops::RangeInclusive;

use store::{Arrivals, StoreResult};
use wire::{AccountId, FanOutId};

use crate::columns::{Columns, Id, find, limit_and_one, list, number, values};
use crate::session::Session;

/// Indexes in one answer of the server.
const INDEXES_AT_ONCE: i64 = 10_000;

pub(crate) const TOTAL: &str = "select fan_out_total from message
    where account = $1 and fan_out = $2 order by fan_out_index desc, fan_out_total desc limit 1";
pub(crate) const INDEXES: &str = "select fan_out_index from message
    where account = $1 and fan_out = $2 and fan_out_index > $3 order by fan_out_index limit $4";
/// Ids rise with time. One look for each fan-out, however many messages the ones between have.
pub(crate) const NEWEST: &str = "with recursive seen as (
        (select fan_out from message where account = $1 and fan_out is not null order by fan_out desc limit 1)
        union all
        select (select m.fan_out from message as m where m.account = $1 and m.fan_out < seen.fan_out
                order by m.fan_out desc limit 1)
        from seen where seen.fan_out is not null
    ) select fan_out from seen where fan_out is not null limit $2";

pub(crate) async fn of(session: &Session, account: AccountId, fan_out: FanOutId) -> StoreResult<Option<Arrivals>> {
    let key = values![number(account), fan_out.bytes()];
    let Some(total) = find(session, TOTAL, key, |row| row.count(0)).await? else { return Ok(None) };
    let (mut arrived, mut after): (Vec<RangeInclusive<u64>>, i64) = (Vec::new(), 0);
    loop {
        let values = values![number(account), fan_out.bytes(), after, INDEXES_AT_ONCE];
        let indexes = list(session, INDEXES, values, |row| row.value::<i64>(0)).await?;
        let Some(last) = indexes.last().copied() else { break };
        indexes.iter().for_each(|index| join(&mut arrived, index.unsigned_abs()));
        after = last;
        if (indexes.len() as i64) < INDEXES_AT_ONCE {
            break;
        }
    }
    Ok(Some(Arrivals::between(arrived.into_iter().flatten(), total)))
}

/// Adds an index to ranges that rise: a fan-out of a million that has come is one range.
fn join(ranges: &mut Vec<RangeInclusive<u64>>, index: u64) {
    match ranges.last_mut() {
        Some(last) if index <= last.end().saturating_add(1) => *last = *last.start()..=index.max(*last.end()),
        Some(_) | None => ranges.push(index..=index),
    }
}

pub(crate) async fn newest(
    session: &Session,
    account: AccountId,
    limit: usize,
) -> StoreResult<Vec<(FanOutId, Arrivals)>> {
    let limit = limit_and_one(limit) - 1;
    let mut found = Vec::new();
    for fan_out in list(session, NEWEST, values![number(account), limit], |row| row.id::<FanOutId>(0)).await? {
        found.extend(of(session, account, fan_out).await?.map(|arrivals| (fan_out, arrivals)));
    }
    Ok(found)
}
