//! Letting go of dedupe keys that are beyond the window, account by account. A sweep walks through all the keys of an
//! account, some at a time, and begins only where an eighth of them or more is old. Until then they do no harm: whoever
//! meets one sees that its message is too old.

use jiff::Timestamp;
use store::StoreResult;
use tokio_postgres::Row;

use crate::PostgresStore;
use crate::columns::{Columns, find, millis, run, values};
use crate::session::Session;

/// Accounts looked at in one call whether a sweep of them is worth it.
const ACCOUNTS_AT_ONCE: i64 = 1_000;
/// How soon an account is looked at again.
const LOOK_AGAIN_AFTER_MS: i64 = 24 * 3_600 * 1_000;

/// Begins sweeps where old keys times eight are more than those that count. $1 is where the window begins, $2 is now.
const BEGIN_SWEEPS: &str = "insert into message_seen_sweep as s (account, position, below, swept, look_at)
    select account, case when is_worth_it then -9223372036854775808 end,
        case when is_worth_it then below else swept end, swept, $2 + $4
    from (select account, below, swept,
              below > swept and (below - swept) * 8 > newest - below + 1 as is_worth_it
          from (select c.account, c.newest, coalesce(known.swept, 1) as swept,
                    message_first_since(c.account, $1, c.newest) as below
                from message_counter as c left join message_seen_sweep as known on known.account = c.account
                where known.account is null or (known.position is null and known.look_at <= $2)
                order by coalesce(known.look_at, 0), c.account limit $3) as looked_at) as judged
    order by account
    on conflict (account) do update
    set position = excluded.position, below = excluded.below, look_at = excluded.look_at
    where s.position is null and s.look_at <= $2";
const UNDER_WAY: &str = "select account, position, below from message_seen_sweep where position is not null
    order by account limit 1 for no key update skip locked";
/// The next keys, the highest of them, and without those that are old. A key that a message is just taking over counts.
const FURTHER: &str = "with next as materialized (
        select fingerprint from message_seen where account = $1 and fingerprint > $2 order by fingerprint limit $4),
    old as materialized (
        select fingerprint from message_seen
        where account = $1 and fingerprint > $2 and fingerprint <= (select max(fingerprint) from next) and number < $3
        for update skip locked),
    gone as (delete from message_seen as s using old where s.account = $1 and s.fingerprint = old.fingerprint)
    select count(*), max(fingerprint) from next";
const NOTE: &str = "update message_seen_sweep set position = $2, swept = case when $2 is null then below else swept end
    where account = $1";

/// How far the sweep of an account is.
struct Sweep {
    account: i64,
    position: i64,
    below: i64,
}

pub(super) async fn forget(store: &PostgresStore, now: Timestamp, limit: usize) -> StoreResult<usize> {
    let session = store.begin().await?;
    let now = store.database_now(&session).await?.map_or(now, |there| there.min(now));
    let looked_at = match next_sweep(&session, millis(store.window.begin(now)), millis(now)).await? {
        // More than none, so that the next account's turn comes too.
        Some(sweep) => further(&session, &sweep, i64::try_from(limit).unwrap_or(i64::MAX)).await?.max(1),
        None => 0,
    };
    session.commit().await?;
    Ok(looked_at)
}

/// A sweep that is under way, or is worth it from now on; none that another node is just at.
async fn next_sweep(session: &Session, begin: i64, now: i64) -> StoreResult<Option<Sweep>> {
    let read = |row: &Row| Ok(Sweep { account: row.value(0)?, position: row.value(1)?, below: row.value(2)? });
    if let Some(sweep) = find(session, UNDER_WAY, values![], read).await? {
        return Ok(Some(sweep));
    }
    run(session, BEGIN_SWEEPS, values![begin, now, ACCOUNTS_AT_ONCE, LOOK_AGAIN_AFTER_MS]).await?;
    find(session, UNDER_WAY, values![], read).await
}

async fn further(session: &Session, sweep: &Sweep, limit: i64) -> StoreResult<usize> {
    let values = values![sweep.account, sweep.position, sweep.below, limit];
    let read = |row: &Row| Ok((row.value::<i64>(0)?, row.value::<Option<i64>>(1)?));
    let (count, last) = find(session, FURTHER, values, read).await?.unwrap_or_default();
    let position = last.filter(|_| count >= limit);
    run(session, NOTE, values![sweep.account, position]).await?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}
