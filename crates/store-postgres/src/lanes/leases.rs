//! Holding lanes for longer and giving them back, those of a process together: with thousands of lanes each would otherwise
//! be a transaction of its own.

use std::time::Duration;

use jiff::Timestamp;
use store::{LANES_OF_NODE_MAX, Lease, StoreError, StoreResult};
use tokio_postgres::Row;

use super::hold::{Keys, LeaseStanding, hold_free_lanes};
use super::span;
use crate::backlog::{LaneKeys, align};
use crate::columns::{Columns, DATABASE_NOW, List, list, millis, run, values};
use crate::due::next_due;
use crate::gather::{Answers, Gathering, Linger};
use crate::session::{Pool, Session};

/// Leases in one transaction: a few milliseconds.
const TOGETHER_MAX: usize = 1_024;
/// A lease is renewed long before it ends, so that a batch may wait for others.
const RENEWALS_APART: Duration = Duration::from_millis(50);
/// A lane that is given back may be wanted by others.
const RELEASES_APART: Duration = Duration::from_millis(10);
/// How often a lane is asked for that another transaction holds, such as the order of an owner or a save that wakes it: about
/// as long as a save to thousands of endpoints takes.
const TRIES: usize = 20;
/// A node whose clock is behind looks again after this time at what only seems to be due.
const LOOKED_AT_AGAIN_MS: i64 = 1_000;

pub(super) type Renewing = Gathering<Renewal, LeaseStanding>;
pub(super) type Releasing = Gathering<Release, LeaseStanding>;

/// A lease to be held for longer.
pub(super) struct Renewal {
    lease: Lease,
    /// The store's `lease_now`.
    now: Option<i64>,
    /// Milliseconds.
    lasts: i64,
}

/// A lane to be given back.
pub(super) struct Release {
    lease: Lease,
    /// The store's `lease_now`.
    now: Option<i64>,
    /// The time on the clock of its owner, Unix milliseconds.
    owners_now: i64,
}

pub(super) async fn renew(
    renewing: &Renewing,
    lease: Lease,
    (now, lease_for): (Option<i64>, Duration),
) -> StoreResult<()> {
    for _ in 0..TRIES {
        let asked = Renewal { lease, now, lasts: span(lease_for) };
        if is_done(renewing.ask(asked).await?)? {
            return Ok(());
        }
    }
    Err(StoreError::Busy(0))
}

pub(super) async fn release(
    releasing: &Releasing,
    lease: Lease,
    (now, owners_now): (Option<i64>, Timestamp),
) -> StoreResult<()> {
    for _ in 0..TRIES {
        let asked = Release { lease, now, owners_now: millis(owners_now) };
        if is_done(releasing.ask(asked).await?)? {
            return Ok(());
        }
    }
    Err(StoreError::Busy(0))
}

fn is_done(standing: LeaseStanding) -> StoreResult<bool> {
    match standing {
        LeaseStanding::Ours(_) => Ok(true),
        LeaseStanding::Busy => Ok(false),
        LeaseStanding::Over => Err(StoreError::Fenced),
    }
}

pub(super) fn renewing(pool: Pool) -> Renewing {
    let write = move |asked| -> Answers<LeaseStanding> {
        let pool = pool.clone();
        Box::pin(async move { renew_all(&pool.session().await?, asked).await })
    };
    let linger = Linger { apart: RENEWALS_APART, enough: TOGETHER_MAX, weigh: |_| 1 };
    Gathering::new(TOGETHER_MAX, LANES_OF_NODE_MAX, write).lingering(linger)
}

pub(super) fn releasing(pool: Pool) -> Releasing {
    let write = move |asked| -> Answers<LeaseStanding> {
        let pool = pool.clone();
        Box::pin(async move { release_all(&pool, asked).await })
    };
    let linger = Linger { apart: RELEASES_APART, enough: TOGETHER_MAX, weigh: |_| 1 };
    Gathering::new(TOGETHER_MAX, LANES_OF_NODE_MAX, write).lingering(linger)
}

/// One statement, which is a transaction by itself.
async fn renew_all(session: &Session, asked: Vec<Renewal>) -> StoreResult<Vec<StoreResult<LeaseStanding>>> {
    let leases: Vec<Lease> = asked.iter().map(|renewal| renewal.lease).collect();
    let keys = Keys::of(&leases);
    let (nows, lasts) = asked.iter().map(|renewal| (renewal.now, renewal.lasts)).unzip();
    let values = values![keys.accounts, keys.endpoints, keys.epochs, List::<Option<i64>>(nows), List::<i64>(lasts)];
    let read = |row: &Row| {
        Ok(Ok(match (row.value(0)?, row.value(1)?) {
            (true, _) => LeaseStanding::Ours(0),
            (false, true) => LeaseStanding::Busy,
            (false, false) => LeaseStanding::Over,
        }))
    };
    list(session, &renew_sql(), values, read).await
}

/// Whether each of those asked for, in their order, was renewed, and whether it is leased to who asks.
pub(super) fn renew_sql() -> String {
    format!(
        "with asked as materialized (
             select * from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[])
             with ordinality as asked (account, endpoint, epoch, now, lasts, nth)),
         held as materialized (
             select asked.nth, asked.now, asked.lasts, l.account, l.endpoint from asked
             join lane as l on l.account = asked.account and l.endpoint = asked.endpoint and l.epoch = asked.epoch
                 and l.lease_until is not null
             order by l.account, l.endpoint for no key update of l skip locked),
         renewed as (
             update lane as l set lease_until = coalesce(held.now, {DATABASE_NOW}) + held.lasts
             from held where l.account = held.account and l.endpoint = held.endpoint returning held.nth)
         select renewed.nth is not null, l.account is not null from asked
         left join renewed on renewed.nth = asked.nth
         left join lane as l on l.account = asked.account and l.endpoint = asked.endpoint and l.epoch = asked.epoch
             and l.lease_until is not null
         order by asked.nth"
    )
}

async fn release_all(pool: &Pool, asked: Vec<Release>) -> StoreResult<Vec<StoreResult<LeaseStanding>>> {
    let mut session = pool.session().await?;
    session.begin(None);
    let leases: Vec<Lease> = asked.iter().map(|release| release.lease).collect();
    let standings = hold_free_lanes(&session, &leases).await?;
    let ours = asked.into_iter().zip(&standings).filter(|(_, standing)| matches!(standing, LeaseStanding::Ours(_)));
    let ours: Vec<Release> = ours.map(|(release, _)| release).collect();
    if !ours.is_empty() {
        give_back(&session, &ours).await?;
        session.commit().await?;
    }
    Ok(standings.into_iter().map(Ok).collect())
}

/// Gives back lanes that are held.
async fn give_back(session: &Session, ours: &[Release]) -> StoreResult<()> {
    let lanes: LaneKeys = ours.iter().map(|release| (release.lease.account, release.lease.endpoint)).collect();
    align(session, &lanes, ours.iter().map(|release| release.now).max().flatten()).await?;
    let leases: Vec<Lease> = ours.iter().map(|release| release.lease).collect();
    let keys = Keys::of(&leases);
    let (nows, owners_nows) = ours.iter().map(|release| (release.now, release.owners_now)).unzip();
    let values = values![keys.accounts, keys.endpoints, List::<Option<i64>>(nows), List::<i64>(owners_nows)];
    run(session, &give_back_sql(), values).await
}

/// A lane is due at its next work. What is due by the database's clock and not yet by that of the owner, which is behind,
/// is due when both agree or shortly: else the owner would take it up again at once, and again find nothing to do.
pub(super) fn give_back_sql() -> String {
    format!(
        "with next as materialized (
             select l.account, l.endpoint, asked.owners_now, asked.now, {} as due_at
             from (select account, endpoint, coalesce(now, {DATABASE_NOW}) as now, owners_now
                   from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[])
                   as given (account, endpoint, now, owners_now)) as asked
             join lane as l on l.account = asked.account and l.endpoint = asked.endpoint)
         update lane as l set owner = null, lease_until = null, due_at = case
             when next.due_at > next.owners_now and next.due_at <= next.now
             then next.now + least(next.due_at - next.owners_now, {LOOKED_AT_AGAIN_MS})
             else next.due_at end
         from next where l.account = next.account and l.endpoint = next.endpoint",
        next_due("asked.now")
    )
}
