//! Letting go of what is old, in SQL: each call one short transaction, oldest first. What came in floods is not deleted row
//! by row but goes with its day (`partitions`); what deleting leaves behind, autovacuum makes room of.

mod keys;
mod log;

use async_trait::async_trait;
use jiff::Timestamp;
use store::{DedupeWindow, Prunable, Retention, StoreError, StoreResult, Upkeep};
use tokio_postgres::Row;
use wire::{AccountId, EndpointId, EventId};

use crate::columns::{Columns, DATABASE_NOW, Id, List, change, find, list, lock_account, millis, number, run, values};
use crate::due::wait_for_lanes;
use crate::session::Session;
use crate::{LeaseClock, PostgresStore};

/// Bytes of bodies that one transaction lets go of.
const BODY_BYTES_MAX: i64 = 8 * 1024 * 1024;

const OLD_MESSAGES: &str = "select number, received_at, octet_length(body)::bigint from message
    where account = $1 and number > $2 order by number limit $3";
const OLD_EVENTS: &str = "select e.event from event as e
    where e.account = $1 and e.created_at < $2 and ($4::bytea[] is null or e.event = any($4)) and not exists (
        select 1 from fan_out as f where f.account = e.account and f.event = e.event and f.is_logged)
    order by e.created_at limit $3";
const OLD_VERSIONS: &str = "delete from series_version where (account, series, version) in (
    select v.account, v.series, v.version from series_version as v
    join series as s on s.account = v.account and s.series = v.series
    where v.account = $1 and v.version < s.version and v.saved_at < $2 limit $3)";
/// Needed by no audience: it ended by the first revision that an event is frozen at, or there is no event. Not by that of the
/// oldest event: clocks of nodes differ, and one that waited for the account has a later revision than its time says.
const OLD_MEMBERSHIPS: &str = "delete from membership where (account, team, participant, joined) in (
    select account, team, participant, joined from membership
    where account = $1 and ended <= coalesce(
        (select min(revision) from event where account = $1),
        (select revision from account where account = $1))
    limit $2)";
const OLD_ERASURES: &str = "delete from erasure where (account, erasure) in (
    select account, erasure from erasure where account = $1 and state = 'done' and finished_at < $2 limit $3)";

#[async_trait]
impl Upkeep for PostgresStore {
    async fn retention(&self, account: AccountId) -> StoreResult<Retention> {
        retention(&self.session().await?, account).await
    }

    async fn set_retention(&self, account: AccountId, retention: Retention) -> StoreResult<()> {
        let sql = "insert into retention (account, bodies_days, log_days, metadata_days) values ($1, $2, $3, $4)
                   on conflict (account) do update set bodies_days = excluded.bodies_days,
                       log_days = excluded.log_days, metadata_days = excluded.metadata_days";
        let days = [retention.bodies_days(), retention.log_days(), retention.metadata_days()].map(i64::from);
        let session = self.begin().await?;
        run(&session, sql, values![number(account), days[0], days[1], days[2]]).await?;
        session.commit().await
    }

    async fn prune(&self, account: AccountId, what: Prunable, before: Timestamp, limit: usize) -> StoreResult<usize> {
        let session = self.begin().await?;
        let before = match self.database_now(&session).await? {
            Some(now) => before.min(self.kept_from(&session, account, (what, now)).await?),
            None => before,
        };
        let bounds = (millis(before), i64::try_from(limit).unwrap_or(i64::MAX));
        let gone = match what {
            Prunable::Log => log::forget(&session, account, bounds).await?,
            _ => prune(&session, account, what, bounds).await?,
        };
        if gone > 0 {
            session.commit().await?;
        }
        Ok(usize::try_from(gone).unwrap_or(usize::MAX))
    }

    fn dedupe_window(&self) -> DedupeWindow {
        self.window
    }

    async fn forget_keys(&self, now: Timestamp, limit: usize) -> StoreResult<usize> {
        keys::forget(self, now, limit).await
    }
}

impl PostgresStore {
    /// The database's time; `None` where a test tells it. What is gone does not come back, so that it has to be old by this
    /// clock too: that of one node may be wrong by months.
    async fn database_now(&self, session: &Session) -> StoreResult<Option<Timestamp>> {
        if self.lease_clock != LeaseClock::Database {
            return Ok(None);
        }
        find(session, &format!("select {DATABASE_NOW}"), values![], |row| row.moment(0)).await
    }

    /// What an account keeps at least.
    async fn kept_from(
        &self,
        session: &Session,
        account: AccountId,
        (what, now): (Prunable, Timestamp),
    ) -> StoreResult<Timestamp> {
        let kept_from = retention(session, account).await?.before(what, now);
        // A message that is gone cannot be recognised.
        Ok(if what == Prunable::Messages { kept_from.min(self.window.begin(now)) } else { kept_from })
    }
}

async fn retention(session: &Session, account: AccountId) -> StoreResult<Retention> {
    let sql = "select bodies_days, log_days, metadata_days from retention where account = $1";
    let read = |row: &Row| Ok((row.small(0)?, row.small(1)?, row.small(2)?));
    let days = find(session, sql, values![number(account)], read).await?;
    let Some((bodies, log, metadata)) = days else { return Ok(Retention::default()) };
    Retention::new(bodies, log, metadata).map_err(StoreError::broken)
}

/// How far to go: older than this (Unix milliseconds), and at most so many rows.
type Bounds = (i64, i64);

async fn prune(session: &Session, account: AccountId, what: Prunable, bounds: Bounds) -> StoreResult<u64> {
    lock_account(session, account).await?;
    let (before, limit) = bounds;
    let owner = number(account);
    match what {
        Prunable::Bodies => expire_bodies(session, account, bounds).await,
        Prunable::Log => log::forget(session, account, bounds).await,
        Prunable::Messages => forget_messages(session, account, bounds).await,
        Prunable::Events => forget_events(session, account, bounds).await,
        Prunable::Versions => change(session, OLD_VERSIONS, values![owner, before, limit]).await,
        Prunable::Memberships => change(session, OLD_MEMBERSHIPS, values![owner, limit]).await,
        Prunable::Erasures => change(session, OLD_ERASURES, values![owner, before, limit]).await,
    }
}

/// The numbers of the oldest messages behind `after`, as far as they are old and not too large together.
async fn old_messages(
    session: &Session,
    account: AccountId,
    after: i64,
    (before, limit): Bounds,
) -> StoreResult<Vec<i64>> {
    let rows: Vec<(i64, i64, i64)> = list(session, OLD_MESSAGES, values![number(account), after, limit], |row| {
        Ok((row.value(0)?, row.value(1)?, row.value(2)?))
    })
    .await?;
    let mut bytes = 0;
    let fits = |(_, received_at, length): &(i64, i64, i64)| {
        let is_room = bytes < BODY_BYTES_MAX;
        bytes += length;
        is_room && *received_at < before
    };
    Ok(rows.into_iter().take_while(fits).map(|(message, ..)| message).collect())
}

async fn expire_bodies(session: &Session, account: AccountId, bounds: Bounds) -> StoreResult<u64> {
    let sql = "select number from message_expiry where account = $1";
    let expired_to = find(session, sql, values![number(account)], |row| row.value(0)).await?.unwrap_or(0);
    let old = old_messages(session, account, expired_to, bounds).await?;
    let (Some(last), count) = (old.last().copied(), old.len() as u64) else { return Ok(0) };
    let sql = "update message set headers = '', body = ''::bytea, emptied = 'expired'
               where account = $1 and number = any($2) and emptied is null";
    run(session, sql, values![number(account), List(old)]).await?;
    let sql = "insert into message_expiry (account, number) values ($1, $2)
               on conflict (account) do update set number = excluded.number";
    run(session, sql, values![number(account), last]).await?;
    Ok(count)
}

async fn forget_messages(session: &Session, account: AccountId, bounds: Bounds) -> StoreResult<u64> {
    let old = old_messages(session, account, 0, bounds).await?;
    let (Some(last), count) = (old.last().copied(), old.len() as u64) else { return Ok(0) };
    forget_runs(session, account, last).await?;
    let old = List(old);
    for table in ["message_duplicate", "message"] {
        let sql = format!("delete from {table} where account = $1 and number = any($2)");
        run(session, &sql, values![number(account), old]).await?;
    }
    Ok(count)
}

/// What handlers know of messages that are gone. Whoever writes runs holds their handler, and so do we.
async fn forget_runs(session: &Session, account: AccountId, last: i64) -> StoreResult<()> {
    let sql = "select handler from handler where account = $1 order by handler for no key update";
    let handlers = List(list(session, sql, values![number(account)], |row| row.value::<i64>(0)).await?);
    for table in ["run", "handled"] {
        let sql = format!("delete from {table} where account = $1 and handler = any($2) and number <= $3");
        run(session, &sql, values![number(account), handlers, last]).await?;
    }
    Ok(())
}

async fn forget_events(session: &Session, account: AccountId, (before, limit): Bounds) -> StoreResult<u64> {
    let everyone = None::<List<&[u8]>>;
    let values = values![number(account), before, limit, everyone];
    let events: Vec<EventId> = list(session, OLD_EVENTS, values, |row| row.id(0)).await?;
    if events.is_empty() {
        return Ok(0);
    }
    let those = || List(events.iter().map(Id::bytes).collect());
    let sql = "select distinct endpoint from fan_out where account = $1 and event = any($2)";
    let endpoints: Vec<EndpointId> = list(session, sql, values![number(account), those()], |row| row.id(0)).await?;
    wait_for_lanes(session, account, &endpoints).await?;
    // Until we held the lanes, an outcome that came late may have brought a log back.
    let values = values![number(account), before, limit, Some(those())];
    let old: Vec<EventId> = list(session, OLD_EVENTS, values, |row| row.id(0)).await?;
    let old = List(old.iter().map(Id::bytes).collect());
    run(session, "delete from fan_out where account = $1 and event = any($2)", values![number(account), old]).await?;
    change(session, "delete from event where account = $1 and event = any($2)", values![number(account), old]).await
}
