//! What a replay's scope holds: which deliveries have failed, which fan-outs are repeated, what it would come to.

use jiff::Timestamp;
use provider::frontier::Place;
use rusqlite::Connection;
use store::{DeliverySummary, Foreseen, ReplayScope, ReplayWay, StoreError, StoreResult};
use webinar::Zones;
use wire::{AccountId, DeliveryId, EndpointId, EventId, FanOutId, ParticipantNumber};

use crate::columns::{Id, ParticipantReader, change, find, list, millis, number};
use crate::{journal, lanes};

/// A delivery that may be revived: given up, or waiting for its own next attempt. ?5 is the time after which it must have
/// failed, ?6 the time up to which, ?7 now, ?8 the replay that must not have had it already.
const IS_FAILED: &str = "(state = 'abandoned' or (state = 'retrying' and charged > 0 and due_at > ?7))
    and coalesce(last_at, 0) between coalesce(?5, 0) and ?6 and replay is not ?8
    and exists (select 1 from participant as p
        where p.account = exception.account and p.participant = exception.participant)";

/// Asks for failed deliveries in a range of a fan-out.
pub(crate) fn failed_sql(what: &str) -> String {
    format!(
        "select {what} from exception where account = ?1 and fan_out = ?2 and participant between ?3 and ?4 and {IS_FAILED}"
    )
}

/// Puts one of them into the queue.
pub(crate) fn revive_sql() -> String {
    format!(
        "update exception set state = 'retrying', due_at = ?7, attempt = min(attempt + (state = 'abandoned'), 65535),
             charged = 0, replay = ?8
         where account = ?1 and fan_out = ?2 and participant between ?3 and ?4 and {IS_FAILED}
         and exists (select 1 from fan_out where account = ?1 and fan_out = ?2 and state in ('running', 'swept'))"
    )
}

/// Fan-outs of which something may have failed, from one on: of an endpoint, or of all. An event that is paused or called
/// off keeps what it has.
pub(crate) const FAILED_FAN_OUTS: &str = "select fan_out, endpoint from fan_out indexed by fan_out_failed
    where account = ?1 and endpoint = ?4 and ?2 is null and fan_out >= ?3 and (abandoned > 0 or retrying > 0)
    and state in ('running', 'swept') order by fan_out limit ?5";
/// The same of an event.
pub(crate) const FAILED_FAN_OUTS_OF_EVENT: &str = "select fan_out, endpoint from fan_out indexed by fan_out_by_event
    where account = ?1 and event = ?2 and fan_out >= ?3 and (?4 is null or endpoint = ?4)
    and (abandoned > 0 or retrying > 0) and state in ('running', 'swept') order by fan_out limit ?5";
const FAILED_FAN_OUTS_OF_ALL: &str = "select fan_out, endpoint from fan_out
    where account = ?1 and ?2 is null and ?4 is null and fan_out >= ?3 and (abandoned > 0 or retrying > 0)
    and state in ('running', 'swept') order by fan_out limit ?5";
/// The newest version that an endpoint was told of, or is being told of, after another.
pub(crate) const NEWER: &str = "select max(n.version) from fan_out as n indexed by fan_out_by_series
    where n.account = ?1 and n.endpoint = ?2 and n.series = ?3 and n.version > ?4
    and (n.delivered > 0 or n.state in ('running', 'paused'))";

/// ?1 to ?8: account, fan-out, first and last participant, since, until, now, replay.
type Parameters<'a> = (i64, [u8; 16], i64, i64, Option<i64>, i64, i64, &'a [u8]);

/// Which failed deliveries are meant.
pub(crate) struct Failed {
    pub(crate) account: AccountId,
    pub(crate) scope: ReplayScope,
    /// Only what had failed by then.
    pub(crate) until: Timestamp,
    pub(crate) now: Timestamp,
    /// The replay that looks, or no bytes.
    pub(crate) replay: Vec<u8>,
}

pub(crate) fn foresee(
    connection: &Connection,
    account: AccountId,
    scope: ReplayScope,
    now: Timestamp,
) -> StoreResult<Option<Foreseen>> {
    if !exists(connection, account, scope)? {
        return Ok(None);
    }
    let failed = Failed { account, scope, until: now, now, replay: Vec::new() };
    let revived = match scope {
        ReplayScope::Event { .. } => (0, None),
        ReplayScope::Delivery(_) | ReplayScope::Failed { .. } => failed.count(connection)?,
    };
    if revived.0 > 0 || matches!(scope, ReplayScope::Failed { .. }) {
        let example = example(connection, account, revived.1)?;
        return Ok(Some(Foreseen { deliveries: revived.0, example, way: ReplayWay::Revive, newer: None }));
    }
    let (deliveries, first) = match scope {
        ReplayScope::Delivery(id) => (u64::from(!is_waiting(connection, account, id)?), Some(id)),
        ReplayScope::Failed { .. } | ReplayScope::Event { .. } => everyone(connection, account, scope)?,
    };
    let newer = newer_version(connection, account, scope)?;
    let example = example(connection, account, first)?;
    Ok(Some(Foreseen { deliveries, example, way: ReplayWay::Resend, newer }))
}

fn exists(connection: &Connection, account: AccountId, scope: ReplayScope) -> StoreResult<bool> {
    let is_there = |sql: &str, id: &[u8; 16]| Ok(find(connection, sql, (number(account), id), |_| Ok(()))?.is_some());
    let has_event = |id: EventId| is_there("select 1 from event where account = ?1 and event = ?2", id.as_bytes());
    let has_endpoint = |id: Option<EndpointId>| match id {
        Some(id) => is_there("select 1 from endpoint where account = ?1 and endpoint = ?2", id.as_bytes()),
        None => Ok(true),
    };
    match scope {
        ReplayScope::Delivery(id) => Ok(journal::delivery(connection, account, id)?.is_some()),
        ReplayScope::Failed { event, endpoint, .. } => {
            Ok(event.map_or(Ok(true), has_event)? && has_endpoint(endpoint)?)
        }
        ReplayScope::Event { event, endpoint } => Ok(has_event(event)? && has_endpoint(endpoint)?),
    }
}

fn example(
    connection: &Connection,
    account: AccountId,
    id: Option<DeliveryId>,
) -> StoreResult<Option<DeliverySummary>> {
    let Some(id) = id else { return Ok(None) };
    Ok(journal::delivery(connection, account, id)?.map(|delivery| delivery.summary))
}

/// It has its turn without a replay.
fn is_waiting(connection: &Connection, account: AccountId, id: DeliveryId) -> StoreResult<bool> {
    let sql = "select 1 from exception
        where account = ?1 and fan_out = ?2 and participant = ?3 and state in ('retrying', 'held')";
    let key = (number(account), *id.fan_out().as_bytes(), id.participant().get().cast_signed());
    Ok(find(connection, sql, key, |_| Ok(()))?.is_some())
}

/// How many the repeated fan-outs are for together, and the first of them.
fn everyone(connection: &Connection, account: AccountId, scope: ReplayScope) -> StoreResult<(u64, Option<DeliveryId>)> {
    let ReplayScope::Event { event, .. } = scope else { return Ok((0, None)) };
    let repeated = repeated(connection, account, scope)?;
    let Some((fan_out, _)) = repeated.first() else { return Ok((0, None)) };
    let audience = lanes::audience_of_event(connection, account, event)?.ok_or(StoreError::Missing("the event"))?;
    let sql = "select audience from event where account = ?1 and event = ?2";
    let counted = find(connection, sql, (number(account), event.as_bytes()), |row| row.get::<_, Option<i64>>(0))?;
    let people = match counted.flatten() {
        Some(counted) => counted.unsigned_abs(),
        None => audience.count(connection)?,
    };
    // Nobody's zone is looked at here.
    let mut reader = ParticipantReader::new(&Zones::bundled());
    let first = audience.page(connection, Place::default(), 1, &mut reader)?;
    let number = first.first().and_then(|one| ParticipantNumber::new(one.place().participant).ok());
    Ok((people * repeated.len() as u64, number.map(|number| DeliveryId::new(*fan_out, number))))
}

/// The fan-outs that a replay that resends repeats, in order of their endpoints.
pub(crate) fn repeated(
    connection: &Connection,
    account: AccountId,
    scope: ReplayScope,
) -> StoreResult<Vec<(FanOutId, EndpointId)>> {
    match scope {
        ReplayScope::Delivery(id) => {
            let sql = "select fan_out, endpoint from fan_out where account = ?1 and fan_out = ?2";
            list(connection, sql, (number(account), id.fan_out().as_bytes()), read_fan_out)
        }
        ReplayScope::Event { event, endpoint } => {
            let sql = "select fan_out, endpoint from fan_out
                where account = ?1 and event = ?2 and (?3 is null or endpoint = ?3) and replay is null";
            let only = endpoint.map(|id| id.as_bytes().to_vec());
            let mut found = list(connection, sql, (number(account), event.as_bytes(), only), read_fan_out)?;
            found.sort_by_key(|(_, endpoint)| *endpoint);
            Ok(found)
        }
        ReplayScope::Failed { .. } => Ok(Vec::new()),
    }
}

/// The newest version that one of the endpoints knows, where it is newer than what would be sent.
pub(crate) fn newer_version(
    connection: &Connection,
    account: AccountId,
    scope: ReplayScope,
) -> StoreResult<Option<u32>> {
    let mut newest = None;
    for (fan_out, endpoint) in repeated(connection, account, scope)? {
        let sql = "select series, version from fan_out where account = ?1 and fan_out = ?2";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?));
        let Some((series, version)) = find(connection, sql, (number(account), fan_out.as_bytes()), read)? else {
            continue;
        };
        let key = (number(account), endpoint.as_bytes(), series, version);
        newest = newest.max(find(connection, NEWER, key, |row| row.get::<_, Option<u32>>(0))?.flatten());
    }
    Ok(newest)
}

impl Failed {
    /// How many there are, and one of them.
    fn count(&self, connection: &Connection) -> StoreResult<(u64, Option<DeliveryId>)> {
        let (mut count, mut first) = (0, None);
        for (fan_out, _) in self.fan_outs(connection, &[], i64::MAX)? {
            let sql = failed_sql("count(*), min(participant)");
            let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
            let (found, one) = find(connection, &sql, self.values(fan_out, 0), read)?.unwrap_or_default();
            count += found.unsigned_abs();
            let one = one.and_then(|number| ParticipantNumber::new(number.unsigned_abs()).ok());
            first = first.or(one.map(|number| DeliveryId::new(fan_out, number)));
        }
        Ok((count, first))
    }

    /// Fan-outs of the scope from `from` on, each with its endpoint.
    pub(crate) fn fan_outs(
        &self,
        connection: &Connection,
        from: &[u8],
        limit: i64,
    ) -> StoreResult<Vec<(FanOutId, EndpointId)>> {
        let owner = number(self.account);
        let (event, endpoint) = match self.scope {
            ReplayScope::Delivery(id) => {
                let sql = "select fan_out, endpoint from fan_out
                    where account = ?1 and fan_out = ?2 and fan_out >= ?3 and state in ('running', 'swept')";
                return list(connection, sql, (owner, id.fan_out().as_bytes(), from), read_fan_out);
            }
            ReplayScope::Failed { event, endpoint, .. } => (event, endpoint),
            ReplayScope::Event { event, endpoint } => (Some(event), endpoint),
        };
        let sql = match (event, endpoint) {
            (Some(_), _) => FAILED_FAN_OUTS_OF_EVENT,
            (None, Some(_)) => FAILED_FAN_OUTS,
            (None, None) => FAILED_FAN_OUTS_OF_ALL,
        };
        let event = event.map(|id| id.as_bytes().to_vec());
        let endpoint = endpoint.map(|id| id.as_bytes().to_vec());
        list(connection, sql, (owner, event, from, endpoint, limit), read_fan_out)
    }

    /// Numbers of those in a fan-out from `from` on.
    pub(crate) fn participants(
        &self,
        connection: &Connection,
        fan_out: FanOutId,
        from: i64,
        limit: u64,
    ) -> StoreResult<Vec<i64>> {
        let sql = format!("{} order by participant limit {limit}", failed_sql("participant"));
        list(connection, &sql, self.values(fan_out, from), |row| row.get(0))
    }

    /// Puts one into the queue; whether it still had failed.
    pub(crate) fn revive(&self, connection: &Connection, fan_out: FanOutId, participant: i64) -> StoreResult<bool> {
        let mut values = self.values(fan_out, participant);
        values.3 = participant;
        Ok(change(connection, &revive_sql(), values)? > 0)
    }

    /// The parameters of the queries above, for a fan-out from a participant on.
    fn values(&self, fan_out: FanOutId, from: i64) -> Parameters<'_> {
        let (range, since) = match self.scope {
            ReplayScope::Delivery(id) => {
                let number = id.participant().get().cast_signed();
                (from.max(number)..=number, None)
            }
            ReplayScope::Failed { since, .. } => (from..=i64::MAX, since.map(millis)),
            ReplayScope::Event { .. } => (from..=i64::MAX, None),
        };
        let (until, now) = (millis(self.until), millis(self.now));
        (number(self.account), *fan_out.as_bytes(), *range.start(), *range.end(), since, until, now, &self.replay)
    }
}

fn read_fan_out(row: &rusqlite::Row<'_>) -> rusqlite::Result<(FanOutId, EndpointId)> {
    Ok((row.get::<_, Id<_>>(0)?.0, row.get::<_, Id<_>>(1)?.0))
}
