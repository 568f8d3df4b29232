//! Notices and their deliveries, in SQL. `raise` takes part in any write transaction, so that what is worth a notice and
//! the notice itself are one fact.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::attempt::Outcome;
use provider::judge::Verdict;
use rusqlite::types::FromSqlError;
use rusqlite::{Connection, Row};
use store::{
    NewNotice, NoticeAttempt, NoticeDelivery, NoticeDeliveryState, NoticeErrand, NoticeLease, NoticeRecord,
    NoticeSubject, Notices, Page, StoreError, StoreResult, Vault,
};
use webinar::{NoticeKind, SeriesId};
use wire::{AccountId, EndpointId, NoticeId};

use crate::SqliteStore;
use crate::columns::{AccountColumn, Id, Millis, change, find, limit_and_one, list, millis, number, run, unknown};
use crate::subscriptions::{self, read_text};

const NOTICE: &str = "select notice, kind, subject, details, created_at, read_at from notice where account = ?1";
/// Left to itself, SQLite walks through all notices of the account for these two.
pub(crate) const LATEST: &str = "select notice, kind, subject, details, created_at, read_at
    from notice indexed by notice_by_subject where account = ?1 and kind = ?2 and subject = ?3 order by notice desc limit 1";
pub(crate) const UNREAD: &str = "select count(*) from notice indexed by notice_unread
    where account = ?1 and read_at is null";
/// Whether there is anything to claim, asked of a reader so that idle polling writes nothing.
pub(crate) const ANY_DUE: &str = "select 1 from notice_delivery as d
    join endpoint as e on e.account = d.account and e.endpoint = d.endpoint and e.switch = 'on'
    join lane as l on l.account = d.account and l.endpoint = d.endpoint and l.health not in ('gone', 'disabled')
    where d.due_at <= ?1 limit 1";
/// An account with a thousand endpoints that hang gets no more places than one with a single endpoint.
const CLAIM: &str = "update notice_delivery set due_at = ?2, epoch = epoch + 1
    where (account, notice, endpoint) in (
        select account, notice, endpoint from (
            select d.account, d.notice, d.endpoint, d.due_at,
                row_number() over (partition by d.account order by d.due_at, d.notice, d.endpoint) as turn
            from notice_delivery as d
            join endpoint as e on e.account = d.account and e.endpoint = d.endpoint and e.switch = 'on'
            join lane as l on l.account = d.account and l.endpoint = d.endpoint and l.health not in ('gone', 'disabled')
            where d.due_at <= ?1)
        order by turn, due_at, account, notice, endpoint limit ?3)
    returning account, notice, endpoint, epoch, attempts";

#[async_trait]
impl Notices for SqliteStore {
    async fn raise_notice(&self, account: AccountId, notice: NewNotice) -> StoreResult<()> {
        self.writer.write(move |connection| raise(connection, account, &notice)).await
    }

    async fn notices(
        &self,
        account: AccountId,
        after: Option<NoticeId>,
        limit: usize,
    ) -> StoreResult<Page<NoticeRecord, NoticeId>> {
        let before = after.map_or(vec![0xff; 17], |id| id.as_bytes().to_vec());
        let sql = format!("{NOTICE} and notice < ?2 order by notice desc limit ?3");
        self.readers
            .read(move |connection| {
                let found = list(connection, &sql, (number(account), before, limit_and_one(limit)), read_notice)?;
                Ok(Page::cut(found, limit, |record| record.id))
            })
            .await
    }

    async fn notice(
        &self,
        account: AccountId,
        id: NoticeId,
    ) -> StoreResult<Option<(NoticeRecord, Vec<NoticeDelivery>)>> {
        let sql = "select endpoint, state, due_at, attempts, last_outcome, last_at from notice_delivery
                   where account = ?1 and notice = ?2 order by endpoint";
        self.readers
            .read(move |connection| {
                let Some(record) = notice(connection, account, id)? else { return Ok(None) };
                let deliveries = list(connection, sql, (number(account), id.as_bytes()), read_delivery)?;
                Ok(Some((record, deliveries)))
            })
            .await
    }

    async fn latest_notice(
        &self,
        account: AccountId,
        kind: NoticeKind,
        subject: NoticeSubject,
    ) -> StoreResult<Option<NoticeRecord>> {
        let values = (number(account), kind.as_str(), subject_bytes(subject));
        self.readers.read(move |connection| find(connection, LATEST, values, read_notice)).await
    }

    async fn unread_notices(&self, account: AccountId) -> StoreResult<u64> {
        self.readers
            .read(move |connection| {
                let count: Option<i64> = find(connection, UNREAD, [number(account)], |row| row.get(0))?;
                Ok(count.unwrap_or(0).unsigned_abs())
            })
            .await
    }

    async fn mark_notice_read(&self, account: AccountId, id: NoticeId, now: Timestamp) -> StoreResult<bool> {
        let sql = "update notice set read_at = coalesce(read_at, ?3) where account = ?1 and notice = ?2";
        self.writer
            .write(move |connection| Ok(change(connection, sql, (number(account), id.as_bytes(), millis(now)))? > 0))
            .await
    }

    async fn claim_notices(&self, now: Timestamp, lease_for: Duration, limit: usize) -> StoreResult<Vec<NoticeErrand>> {
        let is_any_due =
            self.readers.read(move |connection| find(connection, ANY_DUE, [millis(now)], |_| Ok(()))).await?;
        if is_any_due.is_none() {
            return Ok(Vec::new());
        }
        let values = (millis(now), millis(now + lease_for), i64::try_from(limit).unwrap_or(i64::MAX));
        let vault = self.vault.clone();
        self.writer.write(move |connection| claim(connection, &vault, values)).await
    }

    async fn settle_notice(&self, lease: NoticeLease, attempt: NoticeAttempt) -> StoreResult<()> {
        let (state, due_at) = match attempt.verdict {
            Verdict::Delivered => ("delivered", None),
            Verdict::RetryAt { due, .. } => ("waiting", Some(millis(due))),
            Verdict::Abandon => ("abandoned", None),
        };
        let sql = "update notice_delivery
            set state = ?5, due_at = ?6, attempts = attempts + 1, last_outcome = ?7, last_at = ?8
            where account = ?1 and notice = ?2 and endpoint = ?3 and epoch = ?4 and state = 'waiting'";
        let values = (
            number(lease.account),
            *lease.notice.as_bytes(),
            *lease.endpoint.as_bytes(),
            lease.epoch.cast_signed(),
            state,
            due_at,
            attempt.outcome.number(),
            millis(attempt.now),
        );
        self.writer
            .write(
                move |connection| if change(connection, sql, values)? == 0 { Err(StoreError::Fenced) } else { Ok(()) },
            )
            .await
    }
}

/// Keeps a notice and owes it to whoever subscribes to its kind now.
pub(crate) fn raise(connection: &Connection, account: AccountId, notice: &NewNotice) -> StoreResult<()> {
    let (owner, id, subject, now) =
        (number(account), notice.id.as_bytes(), subject_bytes(notice.subject), millis(notice.now));
    run(
        connection,
        "insert into notice (account, notice, kind, subject, details, created_at) values (?1, ?2, ?3, ?4, ?5, ?6)",
        (owner, id, notice.kind.as_str(), &subject, &notice.details, now),
    )?;
    // A series' id has another length than an endpoint's, so only an endpoint is left out.
    run(
        connection,
        "insert into notice_delivery (account, notice, endpoint, due_at)
         select distinct ?1, ?2, endpoint, ?3 from subscription
         where account = ?1 and event_type = ?4 and endpoint <> ?5",
        (owner, id, now, notice.kind.as_str(), &subject),
    )
}

fn claim(connection: &Connection, vault: &Vault, values: (i64, i64, i64)) -> StoreResult<Vec<NoticeErrand>> {
    let mut claimed = list(connection, CLAIM, values, |row| {
        let lease = NoticeLease {
            account: row.get::<_, AccountColumn>(0)?.0,
            notice: row.get::<_, Id<_>>(1)?.0,
            endpoint: row.get::<_, Id<_>>(2)?.0,
            epoch: row.get::<_, i64>(3)?.unsigned_abs(),
        };
        Ok((lease, row.get::<_, u16>(4)?))
    })?;
    // What an update returns comes in no certain order.
    claimed.sort_by_key(|(lease, _)| (lease.account, lease.notice, lease.endpoint));
    let mut errands = Vec::with_capacity(claimed.len());
    for (lease, attempts) in claimed {
        match errand(connection, vault, (lease, attempts)) {
            Ok(errand) => errands.push(errand),
            // Claimed all the same, so that it comes again after a while, and the others now.
            Err(error @ (StoreError::Broken(_) | StoreError::Missing(_))) => {
                let NoticeLease { account, notice, endpoint, .. } = lease;
                tracing::error!(%account, %notice, %endpoint, %error, "a notice cannot be read, and waits");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(errands)
}

fn errand(connection: &Connection, vault: &Vault, (lease, attempts): (NoticeLease, u16)) -> StoreResult<NoticeErrand> {
    let endpoint = subscriptions::endpoint(connection, vault, lease.account, lease.endpoint)?;
    let endpoint = endpoint.ok_or(StoreError::Missing("the endpoint"))?;
    let notice = notice(connection, lease.account, lease.notice)?.ok_or(StoreError::Missing("the notice"))?;
    Ok(NoticeErrand { lease, notice, endpoint, attempts })
}

fn notice(connection: &Connection, account: AccountId, id: NoticeId) -> StoreResult<Option<NoticeRecord>> {
    find(connection, &format!("{NOTICE} and notice = ?2"), (number(account), id.as_bytes()), read_notice)
}

fn subject_bytes(subject: NoticeSubject) -> Vec<u8> {
    match subject {
        NoticeSubject::Endpoint(id) => id.as_bytes().to_vec(),
        NoticeSubject::Series(id) => id.as_bytes().to_vec(),
    }
}

fn read_subject(bytes: &[u8]) -> Option<NoticeSubject> {
    let endpoint = || Some(NoticeSubject::Endpoint(EndpointId::from_bytes(bytes.try_into().ok()?)));
    let series = || Some(NoticeSubject::Series(SeriesId::from_bytes(bytes.try_into().ok()?)));
    endpoint().or_else(series)
}

fn read_notice(row: &Row<'_>) -> rusqlite::Result<NoticeRecord> {
    Ok(NoticeRecord {
        id: row.get::<_, Id<_>>(0)?.0,
        kind: read_text(row, 1)?,
        subject: read_subject(row.get_ref(2)?.as_blob()?).ok_or(FromSqlError::InvalidType)?,
        details: row.get(3)?,
        created_at: row.get::<_, Millis>(4)?.0,
        read_at: row.get::<_, Option<Millis>>(5)?.map(|at| at.0),
    })
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<NoticeDelivery> {
    let outcome = row.get::<_, Option<u16>>(4)?.and_then(Outcome::from_number);
    Ok(NoticeDelivery {
        endpoint: row.get::<_, Id<_>>(0)?.0,
        state: match (row.get_ref(1)?.as_str()?, row.get::<_, Option<Millis>>(2)?) {
            ("delivered", _) => NoticeDeliveryState::Delivered,
            ("waiting", Some(due)) => NoticeDeliveryState::Waiting(due.0),
            ("abandoned", _) => NoticeDeliveryState::Abandoned,
            (other, _) => return Err(unknown("a notice's state", other)),
        },
        attempts: row.get(3)?,
        last: outcome.zip(row.get::<_, Option<Millis>>(5)?.map(|at| at.0)),
    })
}
