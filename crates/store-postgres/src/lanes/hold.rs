//! Holding leased lanes for a transaction that many share: whose lane is in other hands at the moment takes no part in it, so
//! that no account waits for the rows of another.

use store::{Lease, StoreResult};
use tokio_postgres::Row;

use crate::columns::{Columns, Id, List, find, list, number, values};
use crate::session::Session;

/// What to do about a lane that another transaction holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crossing {
    /// Leave it out.
    Pass,
    /// Wait for it.
    Wait,
}

/// How a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseStanding {
    /// Ours, and held until the transaction ends; with the owner's orders so far.
    Ours(u64),
    /// Ours, but the lane is in other hands just now.
    Busy,
    /// No longer ours.
    Over,
}

/// Holds lanes as far as their leases stand, in the order of their keys, and says which are ours. $1 to $3 are the columns
/// of [`Keys`]. This changes no row: a lane that only commits leaves no dead version of itself behind.
pub(crate) fn hold_sql(crossing: Crossing) -> String {
    let crossing = match crossing {
        Crossing::Pass => " skip locked",
        Crossing::Wait => "",
    };
    format!("select asked.nth, l.signal from {LEASED} order by l.account, l.endpoint for no key update of l{crossing}")
}

/// Lanes that are leased to who asks.
const LEASED: &str =
    "unnest($1::bigint[], $2::bytea[], $3::bigint[]) with ordinality as asked (account, endpoint, epoch, nth)
     join lane as l on l.account = asked.account and l.endpoint = asked.endpoint and l.epoch = asked.epoch
         and l.lease_until is not null";

/// Holds lanes that are free; how each of those asked for stands.
pub(crate) async fn hold_free_lanes(session: &Session, leases: &[Lease]) -> StoreResult<Vec<LeaseStanding>> {
    let keys = Keys::of(leases);
    let values = values![keys.accounts, keys.endpoints, keys.epochs];
    let held = list(session, &hold_sql(Crossing::Pass), values, read_held).await?;
    standings(session, leases, &held).await
}

/// The columns that [`hold_sql`] brings.
pub(crate) fn read_held(row: &Row) -> StoreResult<(u64, u64)> {
    Ok((row.count(0)?, row.count(1)?))
}

/// How each of those asked for stands, of whom these are held.
pub(crate) async fn standings(
    session: &Session,
    leases: &[Lease],
    held: &[(u64, u64)],
) -> StoreResult<Vec<LeaseStanding>> {
    let mut standings = vec![LeaseStanding::Over; leases.len()];
    if held.len() < leases.len() {
        // Epochs only rise: what does not match now never will.
        let keys = Keys::of(leases);
        let sql = format!("select asked.nth from {LEASED}");
        for nth in list(session, &sql, values![keys.accounts, keys.endpoints, keys.epochs], |row| row.count(0)).await? {
            put(&mut standings, nth, LeaseStanding::Busy);
        }
    }
    held.iter().for_each(|(nth, signal)| put(&mut standings, *nth, LeaseStanding::Ours(*signal)));
    Ok(standings)
}

/// The owner's orders so far; `None` where the lane is no longer ours.
pub(crate) async fn signal_of(session: &Session, lease: Lease) -> StoreResult<Option<u64>> {
    let sql = "select signal from lane where account = $1 and endpoint = $2 and epoch = $3 and lease_until is not null";
    let key = values![number(lease.account), lease.endpoint.bytes(), lease.epoch.cast_signed()];
    find(session, sql, key, |row| row.count(0)).await
}

/// Keys of leases, column by column.
pub(crate) struct Keys<'a> {
    pub(crate) accounts: List<i64>,
    pub(crate) endpoints: List<&'a [u8]>,
    pub(crate) epochs: List<i64>,
}

impl Keys<'_> {
    pub(crate) fn of(leases: &[Lease]) -> Keys<'_> {
        Keys {
            accounts: List(leases.iter().map(|lease| number(lease.account)).collect()),
            endpoints: List(leases.iter().map(|lease| lease.endpoint.bytes()).collect()),
            epochs: List(leases.iter().map(|lease| lease.epoch.cast_signed()).collect()),
        }
    }
}

/// SQL counts from 1.
fn put(standings: &mut [LeaseStanding], nth: u64, standing: LeaseStanding) {
    if let Some(place) = standings.get_mut((nth as usize).saturating_sub(1)) {
        *place = standing;
    }
}
