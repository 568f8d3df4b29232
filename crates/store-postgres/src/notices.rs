//! Notices and their deliveries, in SQL. `raise` takes part in any write transaction, so that what is worth a notice and
//! the notice itself are one fact.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::attempt::Outcome;
use provider::judge::Verdict;
use store::{
    NewNotice, NoticeAttempt, NoticeDelivery, NoticeDeliveryState, NoticeErrand, NoticeLease, NoticeRecord,
    NoticeSubject, Notices, Page, StoreError, StoreResult,
};
use tokio_postgres::Row;
use webinar::{NoticeKind, SeriesId};
use wire::{AccountId, EndpointId, NoticeId};

use crate::PostgresStore;
use crate::columns::{
    Columns, Id, LEASE_NOW, change, database_now, find, limit_and_one, list, millis, number, run, unknown, values,
};
use crate::session::Session;
use crate::subscriptions::{self, read_text};

const NOTICE: &str = "select notice, kind, subject, details, created_at, read_at from notice where account = $1";
/// What may be sent now: not to endpoints that are paused, gone or disabled.
const DUE: &str = "notice_delivery as d
    join endpoint as e on e.account = d.account and e.endpoint = d.endpoint and e.switch = 'on'
    join lane as l on l.account = d.account and l.endpoint = d.endpoint and l.health not in ('gone', 'disabled')";

#[async_trait]
impl Notices for PostgresStore {
    async fn raise_notice(&self, account: AccountId, notice: NewNotice) -> StoreResult<()> {
        let session = self.begin().await?;
        raise(&session, account, &notice).await?;
        session.commit().await
    }

    async fn notices(
        &self,
        account: AccountId,
        after: Option<NoticeId>,
        limit: usize,
    ) -> StoreResult<Page<NoticeRecord, NoticeId>> {
        let before = after.map_or(vec![0xff; 17], |id| id.bytes().to_vec());
        let sql = format!("{NOTICE} and notice < $2 order by notice desc limit $3");
        let values = values![number(account), before, limit_and_one(limit)];
        let found = list(&self.session().await?, &sql, values, read_notice).await?;
        Ok(Page::cut(found, limit, |record| record.id))
    }

    async fn notice(
        &self,
        account: AccountId,
        id: NoticeId,
    ) -> StoreResult<Option<(NoticeRecord, Vec<NoticeDelivery>)>> {
        let session = self.look().await?;
        let Some(record) = notice(&session, account, id).await? else { return Ok(None) };
        let sql = "select endpoint, state, due_at, attempts, last_outcome, last_at from notice_delivery
                   where account = $1 and notice = $2 order by endpoint";
        let deliveries = list(&session, sql, values![number(account), id.bytes()], read_delivery).await?;
        Ok(Some((record, deliveries)))
    }

    async fn latest_notice(
        &self,
        account: AccountId,
        kind: NoticeKind,
        subject: NoticeSubject,
    ) -> StoreResult<Option<NoticeRecord>> {
        let sql = format!("{NOTICE} and kind = $2 and subject = $3 order by notice desc limit 1");
        let values = values![number(account), kind.as_str(), subject_bytes(&subject)];
        find(&self.session().await?, &sql, values, read_notice).await
    }

    async fn unread_notices(&self, account: AccountId) -> StoreResult<u64> {
        let sql = "select count(*) from notice where account = $1 and read_at is null";
        let count = find(&self.session().await?, sql, values![number(account)], |row| row.count(0)).await?;
        Ok(count.unwrap_or(0))
    }

    async fn mark_notice_read(&self, account: AccountId, id: NoticeId, now: Timestamp) -> StoreResult<bool> {
        let sql = "update notice set read_at = coalesce(read_at, $3) where account = $1 and notice = $2";
        let session = self.begin().await?;
        let marked = change(&session, sql, values![number(account), id.bytes(), millis(now)]).await?;
        session.commit().await?;
        Ok(marked > 0)
    }

    async fn claim_notices(&self, now: Timestamp, lease_for: Duration, limit: usize) -> StoreResult<Vec<NoticeErrand>> {
        // Asked outside a transaction, so that idle polling is one statement.
        let any_due = format!("select 1 from {DUE} where d.due_at <= {LEASE_NOW} limit 1");
        let at = self.lease_now(now);
        if find(&self.session().await?, &any_due, values![at], |_| Ok(())).await?.is_none() {
            return Ok(Vec::new());
        }
        let session = self.begin().await?;
        let errands = self.claim(&session, at, lease_for, limit).await?;
        session.commit().await?;
        Ok(errands)
    }

    async fn settle_notice(&self, lease: NoticeLease, attempt: NoticeAttempt) -> StoreResult<()> {
        let (state, wait) = match attempt.verdict {
            Verdict::Delivered => ("delivered", None),
            Verdict::RetryAt { due, .. } => ("waiting", Some(millis(due) - millis(attempt.now))),
            Verdict::Abandon => ("abandoned", None),
        };
        let sql = format!(
            "update notice_delivery
             set state = $6, due_at = {LEASE_NOW} + $7, attempts = attempts + 1, last_outcome = $8, last_at = $9
             where account = $2 and notice = $3 and endpoint = $4 and epoch = $5 and state = 'waiting'"
        );
        let values = values![
            self.lease_now(attempt.now),
            number(lease.account),
            lease.notice.bytes(),
            lease.endpoint.bytes(),
            lease.epoch.cast_signed(),
            state,
            wait,
            i64::from(attempt.outcome.number()),
            millis(attempt.now),
        ];
        let session = self.begin().await?;
        if change(&session, &sql, values).await? == 0 {
            return Err(StoreError::Fenced);
        }
        session.commit().await
    }
}

impl PostgresStore {
    async fn claim(
        &self,
        session: &Session,
        now: Option<i64>,
        lease_for: Duration,
        limit: usize,
    ) -> StoreResult<Vec<NoticeErrand>> {
        let lease_ms = i64::try_from(lease_for.as_millis()).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = |row: &Row| {
            let lease = NoticeLease {
                account: row.account(0)?,
                notice: row.id(1)?,
                endpoint: row.id(2)?,
                epoch: row.count(3)?,
            };
            Ok((lease, row.small(4)?))
        };
        let mut claimed: Vec<(NoticeLease, u16)> =
            list(session, &claim_sql(), values![now, lease_ms, limit], read).await?;
        session.note_changes(claimed.len() as u64);
        // What an update returns comes in no certain order.
        claimed.sort_by_key(|(lease, _)| (lease.account, lease.notice, lease.endpoint));
        let mut errands = Vec::with_capacity(claimed.len());
        for (lease, attempts) in claimed {
            match self.errand(session, (lease, attempts)).await {
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

    async fn errand(&self, session: &Session, (lease, attempts): (NoticeLease, u16)) -> StoreResult<NoticeErrand> {
        let endpoint = subscriptions::endpoint(session, &self.vault, lease.account, lease.endpoint).await?;
        let endpoint = endpoint.ok_or(StoreError::Missing("the endpoint"))?;
        let notice = notice(session, lease.account, lease.notice).await?;
        let notice = notice.ok_or(StoreError::Missing("the notice"))?;
        Ok(NoticeErrand { lease, notice, endpoint, attempts })
    }
}

/// Takes what is due at $1, as many as $3, for $2 milliseconds. An account with a thousand endpoints that hang gets no more
/// places than one with a single endpoint. What another node is just taking is passed over.
fn claim_sql() -> String {
    format!(
        "with due as materialized (
             select account, notice, endpoint from (
                 select d.account, d.notice, d.endpoint, d.due_at,
                     row_number() over (partition by d.account order by d.due_at, d.notice, d.endpoint) as turn
                 from {DUE} where d.due_at <= {LEASE_NOW}) as waiting
             order by turn, due_at, account, notice, endpoint limit $3),
         taken as materialized (
             select d.account, d.notice, d.endpoint from notice_delivery as d
             join due on due.account = d.account and due.notice = d.notice and due.endpoint = d.endpoint
             where d.due_at <= {LEASE_NOW} for update of d skip locked)
         update notice_delivery as d set due_at = {LEASE_NOW} + $2, epoch = d.epoch + 1 from taken
         where d.account = taken.account and d.notice = taken.notice and d.endpoint = taken.endpoint
         returning d.account, d.notice, d.endpoint, d.epoch, d.attempts"
    )
}

/// Keeps a notice and owes it to whoever subscribes to its kind now.
pub(crate) async fn raise(session: &Session, account: AccountId, notice: &NewNotice) -> StoreResult<()> {
    let (owner, subject, now) = (number(account), subject_bytes(&notice.subject), millis(notice.now));
    run(
        session,
        "insert into notice (account, notice, kind, subject, details, created_at) values ($1, $2, $3, $4, $5, $6)",
        values![owner, notice.id.bytes(), notice.kind.as_str(), subject, notice.details, now],
    )
    .await?;
    // A series' id has another length than an endpoint's, so only an endpoint is left out. Due at once, also where this
    // node's clock is ahead of the database's.
    run(
        session,
        concat!(
            "insert into notice_delivery (account, notice, endpoint, due_at)
         select distinct $1, $2, endpoint, least($3, ",
            database_now!(),
            ")
         from subscription where account = $1 and event_type = $4 and endpoint <> $5"
        ),
        values![owner, notice.id.bytes(), now, notice.kind.as_str(), subject],
    )
    .await
}

async fn notice(session: &Session, account: AccountId, id: NoticeId) -> StoreResult<Option<NoticeRecord>> {
    let sql = format!("{NOTICE} and notice = $2");
    find(session, &sql, values![number(account), id.bytes()], read_notice).await
}

fn subject_bytes(subject: &NoticeSubject) -> &[u8] {
    match subject {
        NoticeSubject::Endpoint(id) => id.bytes(),
        NoticeSubject::Series(id) => id.bytes(),
    }
}

fn read_subject(bytes: &[u8]) -> Option<NoticeSubject> {
    let endpoint = || EndpointId::of_bytes(bytes).map(NoticeSubject::Endpoint);
    let series = || SeriesId::of_bytes(bytes).map(NoticeSubject::Series);
    endpoint().or_else(series)
}

fn read_notice(row: &Row) -> StoreResult<NoticeRecord> {
    Ok(NoticeRecord {
        id: row.id(0)?,
        kind: read_text(row, 1)?,
        subject: read_subject(row.value(2)?).ok_or_else(|| StoreError::broken("a notice is about nothing"))?,
        details: row.value(3)?,
        created_at: row.moment(4)?,
        read_at: row.moment_if_any(5)?,
    })
}

fn read_delivery(row: &Row) -> StoreResult<NoticeDelivery> {
    let outcome = row.small_if_any::<u16>(4)?.and_then(Outcome::from_number);
    Ok(NoticeDelivery {
        endpoint: row.id(0)?,
        state: match (row.value::<&str>(1)?, row.moment_if_any(2)?) {
            ("delivered", _) => NoticeDeliveryState::Delivered,
            ("waiting", Some(due)) => NoticeDeliveryState::Waiting(due),
            ("abandoned", _) => NoticeDeliveryState::Abandoned,
            (other, _) => return Err(unknown("a notice's state", other)),
        },
        attempts: row.small(3)?,
        last: outcome.zip(row.moment_if_any(5)?),
    })
}
