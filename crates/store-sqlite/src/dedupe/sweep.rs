//! Letting go of dedupe keys that are beyond the window. They lie in the order of their hashes, so old ones are everywhere:
//! a sweep walks through all of them, some pages at a time, and begins only where an eighth of them or more is old. Until
//! then they do no harm: whoever meets one sees that its message is too old.

use jiff::Timestamp;
use rusqlite::Connection;
use store::StoreResult;

use crate::SqliteStore;
use crate::columns::{find, list, millis, run};

/// A sweep is worth it where this many times the old keys are more than those that count.
const SHARE: i64 = 8;

pub(crate) const KEYS: &str =
    "select fingerprint from message_seen where fingerprint > ?1 order by fingerprint limit ?2";
const FORGET: &str = "delete from message_seen where fingerprint > ?1 and fingerprint <= ?2 and number < ?3";
const FROM: &str = "select number, received_at from message where number >= ?1 order by number limit 1";

/// How far the sweep is: see the table `message_seen_sweep`.
#[derive(Clone, Copy)]
struct Sweep {
    position: i64,
    below: i64,
    swept: i64,
}

pub(crate) async fn forget_keys(store: &SqliteStore, now: Timestamp, limit: usize) -> StoreResult<usize> {
    let begin = millis(store.window.begin(now));
    let Some(sweep) = store.readers.read(move |connection| under_way(connection, begin)).await? else { return Ok(0) };
    store.writer.write(move |connection| further(connection, sweep, limit)).await
}

/// The sweep that is under way or worth to begin.
fn under_way(connection: &Connection, begin: i64) -> StoreResult<Option<Sweep>> {
    let sql = "select position, below, swept from message_seen_sweep";
    let known =
        find(connection, sql, [], |row| Ok(Sweep { position: row.get(0)?, below: row.get(1)?, swept: row.get(2)? }))?;
    let sweep = known.unwrap_or(Sweep { position: i64::MIN, below: 1, swept: 1 });
    if sweep.below > sweep.swept {
        return Ok(Some(sweep));
    }
    let sql = "select seq from sqlite_sequence where name = 'message'";
    let newest = find(connection, sql, [], |row| row.get::<_, i64>(0))?.unwrap_or(0);
    let below = first_since(connection, begin, newest)?;
    let (old, live) = (below - sweep.swept, newest - below + 1);
    Ok((old > 0 && old.saturating_mul(SHARE) > live).then_some(Sweep { below, ..sweep }))
}

/// The number of the first message that came at `begin` or later, found by halving: numbers rise with time, but for steps
/// of the clock.
fn first_since(connection: &Connection, begin: i64, newest: i64) -> StoreResult<i64> {
    let (mut low, mut high) = (0, newest + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let next = find(connection, FROM, [middle], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
        match next {
            // The numbers between have no message any more.
            Some((number, received_at)) if received_at < begin => low = number + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

fn further(connection: &Connection, sweep: Sweep, limit: usize) -> StoreResult<usize> {
    let keys = list(connection, KEYS, (sweep.position, limit as i64), |row| row.get::<_, i64>(0))?;
    if let Some(last) = keys.last() {
        run(connection, FORGET, (sweep.position, last, sweep.below))?;
    }
    let next = match keys.last() {
        Some(last) if keys.len() >= limit => Sweep { position: *last, ..sweep },
        _ => Sweep { position: i64::MIN, swept: sweep.below, ..sweep },
    };
    let sql = "insert into message_seen_sweep (sweep, position, below, swept) values (1, ?1, ?2, ?3)
               on conflict (sweep) do update
               set position = excluded.position, below = excluded.below, swept = excluded.swept";
    run(connection, sql, (next.position, next.below, next.swept))?;
    Ok(keys.len())
}
