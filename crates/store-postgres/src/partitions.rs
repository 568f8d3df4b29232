//! Partitions by day, of what lanes write in floods: making those of the days to come, and dropping a day whole once its log
//! has expired for everybody. Either takes a table from everybody for a moment, and gives up at once where somebody else is
//! at it: there is a next turn, and some days are made ahead.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use store::{Retention, StoreError, StoreResult};

use crate::PostgresStore;
use crate::columns::{Columns, LEASE_NOW, List, change, find, list, run, values};
use crate::session::Session;

/// What is partitioned. What lies in no day's partition is in that with the ending `_other`.
const TABLES: [&str; 2] = ["segment", "attempt_failure"];
/// So long may somebody hold a table, such as a dump, before rows come into the partition of no day.
const DAYS_AHEAD: i32 = 7;
/// Days dropped in one turn, after a time in which nobody did.
const DROPPED_AT_ONCE: usize = 32;
/// Rows of no day that one turn lets go of.
const ROWS_AT_ONCE: i64 = 10_000;
/// For so long everybody may have to wait behind us, while we wait for a table.
const LOCK_TIMEOUT: &str = "200ms";
/// Held by the node that is at it.
const TURN: i64 = 0x6661_6e66_6172_6501;

/// Of these fan-outs something may still leave; their lanes ask what a crash left behind their cursors.
const IS_PENDING: &str = "(f.state in ('running', 'paused') or f.retrying > 0 or f.held > 0)";

/// What a turn at the partitions came to, counted in partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionsKept {
    /// Made for days to come.
    pub made: usize,
    /// Dropped, each with a day's log.
    pub dropped: usize,
    /// Neither made nor dropped although it was time, since somebody was using their table.
    pub postponed: usize,
}

/// What one partition came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Yes,
    /// There was nothing to do.
    NotNeeded,
    /// Somebody else holds the table, or has the turn.
    Postponed,
}

impl PostgresStore {
    /// Makes the partitions of today and the next days, and drops those whose log nobody keeps any more. Safe to call on
    /// several nodes at once; to be called when a server starts and every hour or so. It neither waits for long nor lets
    /// others wait.
    pub async fn keep_partitions(&self, now: Timestamp) -> StoreResult<PartitionsKept> {
        let (today, oldest) = self.days_kept(now).await?;
        let mut kept = PartitionsKept::default();
        for table in TABLES {
            let there = days_there(&self.session().await?, table).await?;
            for ahead in 0..=DAYS_AHEAD {
                let day = after(today, ahead)?;
                if !there.contains(&day) {
                    match self.make(table, day).await? {
                        Done::Yes => kept.made += 1,
                        Done::NotNeeded => {}
                        Done::Postponed => kept.postponed += 1,
                    }
                }
            }
            for day in there.range(..oldest).take(DROPPED_AT_ONCE) {
                match self.drop_day(table, *day).await? {
                    Done::Yes => kept.dropped += 1,
                    Done::NotNeeded => {}
                    Done::Postponed => kept.postponed += 1,
                }
            }
            self.clear_other(table, oldest).await?;
        }
        Ok(kept)
    }

    /// Today (UTC) by the clock of leases, and the first day whose log somebody keeps.
    async fn days_kept(&self, now: Timestamp) -> StoreResult<(Date, Date)> {
        let sql = format!(
            "select (to_timestamp({LEASE_NOW} / 1000.0) at time zone 'utc')::date::text,
             (select coalesce(max(coalesce(r.log_days, $2)), $2) from account as a
              left join retention as r on r.account = a.account)"
        );
        let usual = i64::from(Retention::default().log_days());
        let found = find(&self.session().await?, &sql, values![self.lease_now(now), usual], |row| {
            let today: Date = row.value::<&str>(0)?.parse().map_err(StoreError::broken)?;
            Ok((today, row.small::<i32>(1)?))
        })
        .await?;
        let (today, longest) = found.ok_or_else(|| StoreError::broken("there is no today"))?;
        Ok((today, after(today, -longest)?))
    }

    async fn make(&self, table: &str, day: Date) -> StoreResult<Done> {
        let session = self.begin().await?;
        let made = match take_turn(&session).await? {
            true => postponed_if_held(make(&session, table, day).await)?,
            false => Done::Postponed,
        };
        if made == Done::Yes {
            session.commit().await?;
        }
        Ok(made)
    }

    async fn drop_day(&self, table: &str, day: Date) -> StoreResult<Done> {
        let session = self.begin().await?;
        let dropped = match take_turn(&session).await? {
            true => postponed_if_held(drop_day(&session, table, day).await)?,
            false => Done::Postponed,
        };
        if dropped == Done::Yes {
            session.commit().await?;
        }
        Ok(dropped)
    }

    /// Deletes rows of no day's partition that are as old and whose fan-outs have ended meanwhile. They are few.
    async fn clear_other(&self, table: &str, oldest: Date) -> StoreResult<()> {
        let session = self.begin().await?;
        let sql = format!(
            "delete from {table}_other where ctid in (
                 select s.ctid from {table}_other as s
                 left join fan_out as f on f.account = s.account and f.fan_out = s.fan_out
                 where s.day < $1::text::date and (f.fan_out is null or not {IS_PENDING}) limit $2)"
        );
        change(&session, &sql, values![oldest.to_string(), ROWS_AT_ONCE]).await?;
        session.commit().await
    }
}

/// One node at a time; the others have nothing to add. It ends with the transaction.
async fn take_turn(session: &Session) -> StoreResult<bool> {
    let sql = "select pg_try_advisory_xact_lock($1)";
    Ok(find(session, sql, values![TURN], |row| row.value(0)).await?.unwrap_or(false))
}

/// Takes a table from everybody until the transaction ends, or gives up soon. A partition is added and taken away under
/// this lock; without `only` it would be taken on each of them.
async fn hold_table(session: &Session, table: &str) -> StoreResult<()> {
    let sql = format!("set local lock_timeout = '{LOCK_TIMEOUT}'; lock table only {table} in access exclusive mode");
    session.execute_all(&sql).await
}

async fn make(session: &Session, table: &str, day: Date) -> StoreResult<Done> {
    hold_table(session, table).await?;
    if days_there(session, table).await?.contains(&day) {
        return Ok(Done::NotNeeded);
    }
    // A day that has begun elsewhere stays there: moving it would take longer than anybody may wait.
    let sql = format!("select 1 from {table}_other where day = $1::text::date limit 1");
    if find(session, &sql, values![day.to_string()], |_| Ok(())).await?.is_some() {
        return Ok(Done::NotNeeded);
    }
    let (partition, tomorrow) = (partition(table, day), after(day, 1)?);
    let sql = format!("create table {partition} partition of {table} for values from ('{day}') to ('{tomorrow}')");
    session.execute_all(&sql).await?;
    Ok(Done::Yes)
}

async fn drop_day(session: &Session, table: &str, day: Date) -> StoreResult<Done> {
    // Nothing is written into a day that is over, and no fan-out as old begins: this is looked up before anybody waits.
    let (accounts, fan_outs) = pending_since(session, day).await?;
    hold_table(session, table).await?;
    if !days_there(session, table).await?.contains(&day) {
        return Ok(Done::NotNeeded);
    }
    let partition = partition(table, day);
    session.execute_all(&format!("alter table {table} detach partition {partition}")).await?;
    if !fan_outs.0.is_empty() {
        // By index, a few rows; they go to the partition of no day, since theirs is no more.
        let sql = format!(
            "insert into {table} overriding system value
             select s.* from unnest($1::bigint[], $2::bytea[]) as those (account, fan_out)
             join {partition} as s on s.account = those.account and s.fan_out = those.fan_out"
        );
        run(session, &sql, values![accounts, fan_outs]).await?;
    }
    session.execute_all(&format!("drop table {partition}")).await?;
    Ok(Done::Yes)
}

/// Fan-outs that were there by the end of a day and have not ended.
async fn pending_since(session: &Session, day: Date) -> StoreResult<(List<i64>, List<Vec<u8>>)> {
    let sql = format!(
        "select f.account, f.fan_out from fan_out as f where {IS_PENDING}
         and f.created_at < extract(epoch from $1::text::date::timestamp at time zone 'utc') * 1000"
    );
    let read = |row: &tokio_postgres::Row| Ok((row.value::<i64>(0)?, row.value::<Vec<u8>>(1)?));
    // A day more: clocks of nodes are not the database's.
    let found = list(session, &sql, values![after(day, 2)?.to_string()], read).await?;
    let (accounts, fan_outs) = found.into_iter().unzip();
    Ok((List(accounts), List(fan_outs)))
}

/// The days that a table has partitions of.
async fn days_there(session: &Session, table: &str) -> StoreResult<BTreeSet<Date>> {
    let sql = format!(
        "select to_date(right(c.relname, 8), 'YYYYMMDD')::text from pg_inherits as i
         join pg_class as c on c.oid = i.inhrelid
         where i.inhparent = '{table}'::regclass and c.relname ~ '^{table}_[0-9]{{8}}$'"
    );
    let read = |row: &tokio_postgres::Row| row.value::<&str>(0)?.parse().map_err(StoreError::broken);
    Ok(list(session, &sql, values![], read).await?.into_iter().collect())
}

/// The name of a table's partition for a day.
pub(crate) fn partition(table: &str, day: Date) -> String {
    format!("{table}_{:04}{:02}{:02}", day.year(), day.month(), day.day())
}

fn after(day: Date, days: i32) -> StoreResult<Date> {
    day.checked_add(Span::new().days(days)).map_err(StoreError::broken)
}

/// Waiting for a table was given up.
fn postponed_if_held(done: StoreResult<Done>) -> StoreResult<Done> {
    match done {
        Err(StoreError::Busy(_)) => Ok(Done::Postponed),
        other => other,
    }
}
