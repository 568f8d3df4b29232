//! Holding leased lanes for a transaction that many share: whose lane is in other hands at the moment takes no part in it, so
//! that no account waits for the rows of another.

use store::{Lease, StoreResult};
use tokio_postgres::Row;

use crate::columns::{Columns, Id, List, find, list, number, values};
use crate::outcome::{MARK, Mark};
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
pub(crate) enum Standing {
    /// Ours, and held until the transaction ends; with the owner's orders so far.
    Ours(u64),
    /// Ours, but another transaction holds the lane just now.
    Busy,
    /// No longer ours.
    Over,
}

/// Lanes that are held: how each of those asked for stands, and the mark of the transaction, where any is.
pub(crate) struct Held {
    pub(crate) standings: Vec<Standing>,
    pub(crate) mark: Option<Mark>,
}

/// Holds lanes as far as their leases stand, in the order of their keys. This changes no row: a lane that only commits
/// leaves no dead version of itself behind.
pub(crate) async fn hold(session: &Session, leases: &[Lease], crossing: Crossing) -> StoreResult<Held> {
    let mut held = Held { standings: vec![Standing::Over; leases.len()], mark: None };
    let read = |row: &Row| Ok((row.count(0)?, row.count(1)?, Mark::read(row, 2)?));
    let values = Keys::of(leases);
    let values = values![values.accounts, values.endpoints, values.epochs];
    for (nth, signal, mark) in list(session, &hold_sql(crossing), values, read).await? {
        put(&mut held.standings, nth, Standing::Ours(signal));
        held.mark = Some(mark);
    }
    let is_any_missing = held.standings.contains(&Standing::Over);
    if is_any_missing && crossing == Crossing::Pass {
        // Epochs only rise: what does not match now never will.
        for nth in list(session, STILL_LEASED, values, |row| row.count(0)).await? {
            if !matches!(held.standings.get(index(nth)), Some(Standing::Ours(_))) {
                put(&mut held.standings, nth, Standing::Busy);
            }
        }
    }
    Ok(held)
}

/// The owner's orders so far; `None` where the lane is no longer ours.
pub(crate) async fn signal_of(session: &Session, lease: Lease) -> StoreResult<Option<u64>> {
    let sql = "select signal from lane where account = $1 and endpoint = $2 and epoch = $3 and lease_until is not null";
    let key = values![number(lease.account), lease.endpoint.bytes(), lease.epoch.cast_signed()];
    find(session, sql, key, |row| row.count(0)).await
}

pub(crate) fn hold_sql(crossing: Crossing) -> String {
    let crossing = match crossing {
        Crossing::Pass => " skip locked",
        Crossing::Wait => "",
    };
    format!(
        "select asked.nth, l.signal, {MARK}
         from unnest($1::bigint[], $2::bytea[], $3::bigint[]) with ordinality as asked (account, endpoint, epoch, nth)
         join lane as l on l.account = asked.account and l.endpoint = asked.endpoint and l.epoch = asked.epoch
             and l.lease_until is not null
         order by l.account, l.endpoint for no key update of l{crossing}"
    )
}

const STILL_LEASED: &str = "select asked.nth
    from unnest($1::bigint[], $2::bytea[], $3::bigint[]) with ordinality as asked (account, endpoint, epoch, nth)
    join lane as l on l.account = asked.account and l.endpoint = asked.endpoint and l.epoch = asked.epoch
        and l.lease_until is not null";

/// Keys of leases, column by column.
pub(super) struct Keys<'a> {
    pub(super) accounts: List<i64>,
    pub(super) endpoints: List<&'a [u8]>,
    pub(super) epochs: List<i64>,
}

impl Keys<'_> {
    pub(super) fn of(leases: &[Lease]) -> Keys<'_> {
        Keys {
            accounts: List(leases.iter().map(|lease| number(lease.account)).collect()),
            endpoints: List(leases.iter().map(|lease| lease.endpoint.bytes()).collect()),
            epochs: List(leases.iter().map(|lease| lease.epoch.cast_signed()).collect()),
        }
    }
}

/// SQL counts from 1.
fn index(nth: u64) -> usize {
    (nth as usize).saturating_sub(1)
}

fn put(standings: &mut [Standing], nth: u64, standing: Standing) {
    if let Some(place) = standings.get_mut(index(nth)) {
        *place = standing;
    }
}
