//! Handlers and their runs, in SQL: leases with a fencing epoch on the database's clock, what is due, and the one
//! transaction that settles. Lists are in `runs/listing`, orders in `runs/orders`.

mod listing;
mod orders;
mod settling;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use receiver::{HandlerStart, Subject};
use store::{
    DueRun, HandlerLease, HandlerStanding, MessageNumber, Ordered, Page, RunCursor, RunFilter, RunOrder, RunPiece,
    RunRecord, RunScope, RunSettlement, Runs, RunsWanted, StoreError, StoreResult,
};
use tokio_postgres::Row;
use wire::{AccountId, NodeId};

use crate::PostgresStore;
use crate::columns::{
    Columns, LEASE_NOW, List, change, find, limit_and_one, list, lock_account, millis, number, values,
};
use crate::inbox::{MESSAGE, read_message, saturated};

/// How `run.state` tells what became of a run.
const WAITING: i16 = 0;
const DONE: i16 = 1;
const SKIPPED: i16 = 2;
const PARKED: i16 = 3;

const INTRODUCE: &str = "insert into handler (account, handler, name, cursor)
    values ($1, (select coalesce(max(handler), 0) + 1 from handler where account = $1), $2,
            case when $3 then (select coalesce(max(number), 0) from message where account = $1) else 0 end)
    on conflict (account, name) do nothing";
const RENEW: &str = "update handler set lease_until = {now} + $5
    where account = $2 and name = $3 and epoch = $4 and lease_until is not null";
const RELEASE: &str = "update handler set owner = null, lease_until = null
    where account = $1 and name = $2 and epoch = $3 and lease_until is not null";
/// A row for each subject, or one without any; none where the handler is not ours.
pub(crate) const NEWEST: &str = "select asked.nth, known.version, known.number from handler as h
    left join unnest($4::bigint[]) with ordinality as asked (subject, nth) on true
    left join handled as known
        on known.account = h.account and known.handler = h.handler and known.subject = asked.subject
    where h.account = $1 and h.name = $2 and h.epoch = $3 and h.lease_until is not null order by asked.nth";

#[async_trait]
impl Runs for PostgresStore {
    async fn introduce_handler(&self, account: AccountId, handler: &str, start: HandlerStart) -> StoreResult<()> {
        let session = self.begin().await?;
        lock_account(&session, account).await?;
        change(&session, INTRODUCE, values![number(account), handler, start == HandlerStart::Now]).await?;
        session.commit().await
    }

    async fn claim_handler(
        &self,
        account: AccountId,
        handler: &str,
        node: NodeId,
        now: Timestamp,
        lease_for: Duration,
    ) -> StoreResult<Option<HandlerLease>> {
        let (now, node, lease_for) = (self.lease_now(now), node.as_bytes().as_slice(), as_millis(lease_for));
        let values = values![now, number(account), handler, node, lease_for];
        let session = self.session().await?;
        let claimed = find(&session, &claim_sql(), values, |row| {
            let (epoch, cursor): (Option<i64>, Option<i64>) = (row.value(0)?, row.value(1)?);
            Ok(epoch.zip(cursor).map(|(epoch, cursor)| HandlerLease {
                account,
                handler: handler.to_owned(),
                epoch: epoch.unsigned_abs(),
                cursor: cursor.unsigned_abs(),
            }))
        })
        .await?;
        claimed.ok_or(StoreError::Missing("the handler"))
    }

    async fn renew_handler(
        &self,
        lease: &HandlerLease,
        now: Timestamp,
        lease_for: Option<Duration>,
    ) -> StoreResult<()> {
        let session = self.session().await?;
        let (account, handler, epoch) = (number(lease.account), &*lease.handler, lease.epoch.cast_signed());
        let renewed = match lease_for {
            Some(lease_for) => {
                let values = values![self.lease_now(now), account, handler, epoch, as_millis(lease_for)];
                change(&session, &RENEW.replace("{now}", LEASE_NOW), values).await?
            }
            None => change(&session, RELEASE, values![account, handler, epoch]).await?,
        };
        if renewed == 0 { Err(StoreError::Fenced) } else { Ok(()) }
    }

    async fn due_runs(&self, lease: &HandlerLease, now: Timestamp, wanted: RunsWanted) -> StoreResult<Vec<DueRun>> {
        let busy = List(wanted.busy.iter().map(|number| number.cast_signed()).collect::<Vec<i64>>());
        let values = values![
            number(lease.account),
            &*lease.handler,
            lease.epoch.cast_signed(),
            millis(now),
            saturated(wanted.after),
            busy,
            limit_and_one(wanted.limit) - 1,
            i64::try_from(wanted.bytes_max).unwrap_or(i64::MAX),
        ];
        let found = list(&self.session().await?, &due_sql(), values, read_due).await?;
        // A row without a message says no more than that the handler is ours.
        if found.is_empty() { Err(StoreError::Fenced) } else { Ok(found.into_iter().flatten().collect()) }
    }

    async fn newest_handled(
        &self,
        lease: &HandlerLease,
        subjects: Vec<Subject>,
    ) -> StoreResult<Vec<Option<(u64, MessageNumber)>>> {
        let asked = List(subjects.iter().map(|subject| subject.0.cast_signed()).collect::<Vec<i64>>());
        let values = values![number(lease.account), &*lease.handler, lease.epoch.cast_signed(), asked];
        let found = list(&self.session().await?, NEWEST, values, |row| {
            let (version, message): (Option<i64>, Option<i64>) = (row.value(1)?, row.value(2)?);
            Ok(version.zip(message).map(|(version, message)| (version.unsigned_abs(), message.unsigned_abs())))
        })
        .await?;
        if found.is_empty() { Err(StoreError::Fenced) } else { Ok(found.into_iter().take(subjects.len()).collect()) }
    }

    async fn settle_runs(&self, lease: &HandlerLease, settlement: RunSettlement) -> StoreResult<()> {
        let session = self.begin().await?;
        settling::settle(&session, lease, &settlement).await?;
        session.commit().await
    }

    async fn runs(
        &self,
        account: AccountId,
        filter: RunFilter,
        after: Option<RunCursor>,
        limit: usize,
    ) -> StoreResult<Page<RunRecord, RunCursor>> {
        listing::page(&self.session().await?, account, &filter, after.as_ref(), limit).await
    }

    async fn order_runs(
        &self,
        account: AccountId,
        scope: &RunScope,
        order: RunOrder,
        piece: RunPiece,
    ) -> StoreResult<Ordered> {
        match order {
            RunOrder::Count | RunOrder::CountDrop => {
                orders::obey(&self.look().await?, account, scope, order, piece).await
            }
            RunOrder::Rerun { .. } | RunOrder::Drop => {
                let session = self.begin().await?;
                let ordered = orders::obey(&session, account, scope, order, piece).await?;
                session.commit().await?;
                Ok(ordered)
            }
        }
    }

    async fn handlers(&self, account: AccountId) -> StoreResult<Vec<HandlerStanding>> {
        listing::standings(&self.session().await?, account).await
    }
}

/// One row where there is such a handler; without an epoch where another node has it, and then nothing was written.
fn claim_sql() -> String {
    format!(
        "with claimed as (
             update handler set owner = $4, lease_until = {LEASE_NOW} + $5, epoch = epoch + 1
             where account = $2 and name = $3
             and (lease_until is null or lease_until <= {LEASE_NOW} or owner = $4)
             returning epoch, cursor
         ) select claimed.epoch, claimed.cursor from handler left join claimed on true
         where handler.account = $2 and handler.name = $3"
    )
}

/// What is due, and then what is new, as one line; of that so much as fits, and only the bodies of that. An order may have
/// moved the cursor past what the caller knows of. A row without a message where there is nothing; none where the handler is
/// not ours.
pub(crate) fn due_sql() -> String {
    format!(
        "with held as (
             select handler, greatest(cursor, $5) as after from handler
             where account = $1 and name = $2 and epoch = $3 and lease_until is not null
         ), line as (
             (select 0 as part, r.due_at as place, r.number, r.attempts, r.generation,
                  octet_length(m.body)::bigint as bytes
              from run as r join message as m on m.account = r.account and m.number = r.number
              where r.account = $1 and r.handler = (select handler from held) and r.due_at <= $4
              and not exists (select 1 from unnest($6::bigint[]) as busy (number) where busy.number = r.number)
              order by r.due_at, r.number limit $7)
             union all
             (select 1, m.number, m.number, 0, 0, octet_length(m.body)::bigint
              from message as m where m.account = $1 and m.number > (select after from held)
              and not exists (
                  select 1 from run as r where r.account = $1 and r.handler = (select handler from held)
                  and r.number > (select after from held) and r.number = m.number)
              and not exists (select 1 from unnest($6::bigint[]) as busy (number) where busy.number = m.number)
              order by m.number limit $7)
         ), measured as (
             select line.*, row_number() over upto as nth, sum(bytes) over upto as total,
                 first_value(bytes) over upto as first
             from line window upto as (order by part, place, number rows unbounded preceding)
         ), fitting as (
             select * from measured where nth <= $7 and total <= greatest($8, first)
         )
         {MESSAGE}, m.body, fitting.attempts, fitting.generation
         from held left join fitting on true
         left join message as m on m.account = $1 and m.number = fitting.number
         left join message_duplicate as d on d.account = $1 and d.number = fitting.number
         order by fitting.nth"
    )
}

fn read_due(row: &Row) -> StoreResult<Option<DueRun>> {
    if row.value::<Option<i64>>(0)?.is_none() {
        return Ok(None);
    }
    Ok(Some(DueRun { message: read_message(row)?, attempts: row.small(10)?, generation: row.small(11)? }))
}

fn as_millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
