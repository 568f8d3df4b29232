//! Lanes in SQL: claiming, and the frozen audience page by page. Leases run on the database's clock, so that nodes need not
//! agree on the time. Holding and giving back is in `lanes/leases.rs`, what there is to do in `lanes/work.rs`, what is due
//! again in `lanes/retries.rs`, committing outcomes in `settle`.

mod audiences;
mod hold;
mod leases;
mod looks;
mod retries;
mod work;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::frontier::Place;
use store::{Due, FanOut, LaneWork, Lanes, Lease, Member, Room, Settled, Settlement, StoreResult};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_postgres::Row;
use wire::{AccountId, FanOutId, NodeId};

use crate::PostgresStore;
use crate::columns::{Columns, Id, LEASE_NOW, List, ParticipantReader, find, list, number, values};
use crate::session::Pool;
use crate::settle::{Settling, last_failure};

pub(crate) use audiences::audience_of_event;
pub(crate) use hold::{Crossing, Keys, LeaseStanding, hold_sql, read_held, standings};

use leases::{Releasing, Renewing};
use looks::{LATELY_MS, Look, Looks};
use retries::Glancing;

/// What the lanes of a process do together.
pub(crate) struct Together {
    pub(crate) settling: Settling,
    looks: Looks,
    renewing: Renewing,
    releasing: Releasing,
    glancing: Glancing,
    audiences: audiences::Known,
    /// One lane at a time counts audiences, so that the many lanes of one save do not all count the same people.
    counting: Mutex<()>,
}

impl Together {
    pub(crate) fn new(pool: &Pool) -> Together {
        Together {
            settling: Settling::new(pool.clone()),
            looks: Looks::new(),
            renewing: leases::renewing(pool.clone()),
            releasing: leases::releasing(pool.clone()),
            glancing: retries::glancing(pool.clone()),
            audiences: audiences::Known::default(),
            counting: Mutex::new(()),
        }
    }
}

/// A lane that another node is claiming, or that is being committed to, is passed over: it is looked at again soon. So is
/// what has been due or free for less than $7.
pub(crate) fn claim_sql() -> String {
    format!(
        "with due as materialized (
             select account, endpoint, due_at from lane
             where due_at between coalesce($6, {LEASE_NOW} - $7 - {LATELY_MS}) and {LEASE_NOW} - $7
             and (lease_until is null or lease_until <= {LEASE_NOW} - $7)
             and account <> all($5)
             order by due_at, account, endpoint limit $4 for no key update skip locked)
         update lane as l set owner = $2, lease_until = {LEASE_NOW} + $3, epoch = l.epoch + 1
         from due where l.account = due.account and l.endpoint = due.endpoint
         returning l.account, l.endpoint, l.epoch, due.due_at"
    )
}

#[async_trait]
impl Lanes for PostgresStore {
    async fn claim(&self, owner: NodeId, now: Timestamp, lease_for: Duration, room: Room) -> StoreResult<Vec<Lease>> {
        let full: Vec<i64> = room.full_accounts.iter().map(|account| number(*account)).collect();
        let (owner, lanes) = (owner.as_bytes().as_slice(), room.lanes as i64);
        let at = self.lease_now(now);
        let session = self.session().await?;
        let began = Instant::now();
        // A test that tells the time itself may let days pass between two looks.
        let look = if at.is_some() { Look::Whole } else { self.together.looks.next(began) };
        let overdue_by = span(room.overdue_by);
        let values = values![at, owner, span(lease_for), lanes, List(full), look.first(), overdue_by];
        let read = |row: &Row| {
            let lease = Lease { account: row.account(0)?, endpoint: row.id(1)?, epoch: row.count(2)? };
            Ok((row.value::<i64>(3)?, lease))
        };
        // A transaction by itself, which writes nothing where nothing is due.
        let mut claimed = list(&session, &claim_sql(), values, read).await?;
        // What an update returns comes in no certain order.
        claimed.sort_by_key(|(due_at, lease)| (*due_at, lease.account, lease.endpoint));
        let reached = claimed.last().map(|(due_at, _)| *due_at).filter(|_| claimed.len() == room.lanes);
        self.together.looks.note(look, reached, (began, Instant::now()));
        Ok(claimed.into_iter().map(|(_, lease)| lease).collect())
    }

    async fn renew(&self, lease: Lease, now: Timestamp, lease_for: Duration) -> StoreResult<()> {
        leases::renew(&self.together.renewing, lease, (self.lease_now(now), lease_for)).await
    }

    async fn release(&self, lease: Lease, now: Timestamp) -> StoreResult<()> {
        leases::release(&self.together.releasing, lease, (self.lease_now(now), now)).await
    }

    async fn work(&self, lease: Lease) -> StoreResult<LaneWork> {
        work::work(self, lease).await
    }

    async fn fan_out(&self, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOut>> {
        let session = self.session().await?;
        find(&session, &work::fan_out_sql(), values![number(account), id.bytes()], work::read_fan_out).await
    }

    async fn audience_page(
        &self,
        account: AccountId,
        fan_out: FanOutId,
        after: Place,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        let session = self.session().await?;
        let audience = self.together.audiences.of(&session, account, fan_out).await?;
        audience.page(&session, after, limit, &mut ParticipantReader::new(&self.zones)).await
    }

    async fn due_retries(&self, lease: Lease, now: Timestamp, limit: usize) -> StoreResult<Due> {
        retries::due_retries(self, lease, (self.lease_now(now), limit)).await
    }

    async fn settle(&self, lease: Lease, settlement: Arc<Settlement>) -> StoreResult<Settled> {
        let now = last_failure(&settlement).and_then(|at| self.lease_now(at));
        self.together.settling.settle(lease, settlement, now).await
    }
}

/// A duration in milliseconds.
fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
