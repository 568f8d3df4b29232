//! Lanes in SQL: leasing with a fencing epoch, what is due, and the frozen audience page by page.
//! Committing outcomes is in `settle`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::frontier::Place;
use provider::pace::Rate;
use provider::segment;
use rusqlite::{Connection, Row};
use store::{
    Due, FanOut, FanOutWork, LaneWork, Lanes, Lease, Member, OPEN_FAN_OUTS_MAX, PACED_FAN_OUTS_MAX, Recipient, Retry,
    Room, Settled, Settlement, StoreError, StoreResult, Vault,
};
use webinar::{MangoId, SeriesId, Zones};
use wire::{AccountId, EventId, FanOutId, NodeId};

use crate::SqliteStore;
use crate::audience::Audience;
use crate::backlog::align;
use crate::columns::{AccountColumn, Id, Millis, ParticipantReader, change, find, list, millis, number, run};
use crate::due::reschedule;
use crate::journal::entries_of;
use crate::settle::settle;
use crate::subscriptions::{self, read_text};

/// Whether there is anything to claim, asked of a reader so that idle polling writes nothing.
pub(crate) const ANY_DUE: &str = "select 1 from lane where due_at <= ?1 and (lease_until is null or lease_until <= ?1)
    and account not in (select value from json_each(?2)) limit 1";
pub(crate) const CLAIM: &str = "update lane set owner = ?2, lease_until = ?3, epoch = epoch + 1
    where (account, endpoint) in (
        select account, endpoint from lane
        where due_at <= ?1 and (lease_until is null or lease_until <= ?1)
        and account not in (select value from json_each(?5))
        order by due_at, account, endpoint limit ?4)
    returning account, endpoint, epoch, due_at";
pub(crate) const DUE_RETRIES: &str = "select x.fan_out, x.participant, x.place, x.attempt,
    p.name, p.email, p.phone, p.timezone, x.charged, f.series, f.version, f.even_if_outdated
    from exception as x
    join fan_out as f on f.account = x.account and f.fan_out = x.fan_out and f.state in ('running', 'swept')
    join participant as p on p.account = x.account and p.participant = x.participant
    where x.account = ?1 and x.endpoint = ?2 and x.due_at <= ?3
    order by x.due_at, x.fan_out, x.participant limit ?4";
pub(crate) const SEGMENTS_BEYOND: &str =
    "select outcomes from segment where account = ?1 and fan_out = ?2 and last_participant > ?3";
pub(crate) const EXCEPTIONS_BEYOND: &str =
    "select participant from exception where account = ?1 and fan_out = ?2 and participant > ?3";

#[async_trait]
impl Lanes for SqliteStore {
    async fn claim(&self, owner: NodeId, now: Timestamp, lease_for: Duration, room: Room) -> StoreResult<Vec<Lease>> {
        let full: Vec<u32> = room.full_accounts.iter().map(AccountId::as_u32).collect();
        let full = serde_json::to_string(&full).map_err(StoreError::broken)?;
        let by = millis(now - room.overdue_by);
        let values = (by, full.clone());
        let is_any_due = self.readers.read(move |connection| find(connection, ANY_DUE, values, |_| Ok(()))).await?;
        if is_any_due.is_none() {
            return Ok(Vec::new());
        }
        let values = (by, *owner.as_bytes(), millis(now + lease_for), room.lanes as i64, full);
        self.writer
            .write(move |connection| {
                let mut claimed = list(connection, CLAIM, values, |row| {
                    let lease = Lease {
                        account: row.get::<_, AccountColumn>(0)?.0,
                        endpoint: row.get::<_, Id<_>>(1)?.0,
                        epoch: row.get::<_, i64>(2)?.unsigned_abs(),
                    };
                    Ok((row.get::<_, i64>(3)?, lease))
                })?;
                // What an update returns comes in no certain order.
                claimed.sort_by_key(|(due_at, lease)| (*due_at, lease.account, lease.endpoint));
                Ok(claimed.into_iter().map(|(_, lease)| lease).collect())
            })
            .await
    }

    async fn renew(&self, lease: Lease, now: Timestamp, lease_for: Duration) -> StoreResult<()> {
        let sql = "update lane set lease_until = ?4
                   where account = ?1 and endpoint = ?2 and epoch = ?3 and lease_until is not null";
        let until = millis(now + lease_for);
        self.writer
            .write(move |connection| {
                let key = (number(lease.account), lease.endpoint.as_bytes(), lease.epoch.cast_signed(), until);
                if change(connection, sql, key)? == 0 { Err(StoreError::Fenced) } else { Ok(()) }
            })
            .await
    }

    async fn release(&self, lease: Lease, now: Timestamp) -> StoreResult<()> {
        let sql = "update lane set owner = null, lease_until = null
                   where account = ?1 and endpoint = ?2 and epoch = ?3 and lease_until is not null";
        self.writer
            .write(move |connection| {
                let key = (number(lease.account), lease.endpoint.as_bytes(), lease.epoch.cast_signed());
                if change(connection, sql, key)? == 0 {
                    return Err(StoreError::Fenced);
                }
                align(connection, lease.account, lease.endpoint, now)?;
                reschedule(connection, lease.account, lease.endpoint, now)
            })
            .await
    }

    async fn work(&self, lease: Lease) -> StoreResult<LaneWork> {
        // Counted on a reader: a million people take a tenth of a second, which no writer may wait for. One lane at a
        // time, so that the many lanes of one save do not all count the same people.
        let is_any_uncounted =
            self.readers.read(move |connection| Ok(!uncounted(connection, lease)?.is_empty())).await?;
        if is_any_uncounted {
            let counting = self.counting.lock().await;
            let counted = self.readers.read(move |connection| count_audiences(connection, lease)).await?;
            if !counted.is_empty() {
                self.writer.write(move |connection| save_audiences(connection, lease.account, &counted)).await?;
            }
            drop(counting);
        }
        let vault = self.vault.clone();
        self.readers.read(move |connection| open_work(connection, &vault, lease)).await
    }

    async fn fan_out(&self, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOut>> {
        let sql = format!("{FAN_OUT} and f.fan_out = ?2");
        self.readers
            .read(move |connection| find(connection, &sql, (number(account), id.as_bytes()), read_fan_out))
            .await
    }

    async fn audience_page(
        &self,
        account: AccountId,
        fan_out: FanOutId,
        after: Place,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        let zones = self.zones.clone();
        self.readers
            .read(move |connection| {
                let audience = audience_of(connection, account, fan_out)?.ok_or(StoreError::Missing("the fan-out"))?;
                audience.page(connection, after, limit, &mut ParticipantReader::new(&zones))
            })
            .await
    }

    async fn due_retries(&self, lease: Lease, now: Timestamp, limit: usize) -> StoreResult<Due> {
        let zones = self.zones.clone();
        self.readers.read(move |connection| due_retries(connection, lease, (now, limit), &zones)).await
    }

    async fn settle(&self, lease: Lease, settlement: Arc<Settlement>) -> StoreResult<Settled> {
        self.writer.write(move |connection| settle(connection, lease, &settlement)).await
    }
}

const FAN_OUT: &str = "select f.fan_out, f.cursor_participant, f.cursor_index, e.event, e.type, e.cause, e.series,
    e.version, e.series_part, e.attendee_instant, coalesce(json_array_length(f.listed), e.audience),
    f.origin, f.replay, f.per_minute
    from fan_out as f join event as e on e.account = f.account and e.event = f.event where f.account = ?1";
const AUDIENCE: &str = "select e.event, e.series, e.mangoes, e.excluded, e.revision, e.listed from event as e";

/// Fan-outs in order: of those with a pace of their own, or of the others. A slow one keeps none of the places of those
/// that may go on.
pub(crate) fn open_sql(pace: &str) -> String {
    format!(
        "{FAN_OUT} and f.endpoint = ?2 and f.state = 'running' and f.per_minute is {pace} order by f.position limit ?3"
    )
}

/// The frozen audience of a fan-out: its event's, or the few it lists.
pub(crate) fn audience_of(
    connection: &Connection,
    account: AccountId,
    fan_out: FanOutId,
) -> StoreResult<Option<Audience>> {
    let sql = "select e.event, e.series, e.mangoes, e.excluded, e.revision, coalesce(f.listed, e.listed)
        from fan_out as f join event as e on e.account = f.account and e.event = f.event
        where f.account = ?1 and f.fan_out = ?2";
    find(connection, sql, (number(account), fan_out.as_bytes()), |row| read_audience(row, account))
}

/// The frozen audience of an event.
pub(crate) fn audience_of_event(
    connection: &Connection,
    account: AccountId,
    event: EventId,
) -> StoreResult<Option<Audience>> {
    let sql = format!("{AUDIENCE} where e.account = ?1 and e.event = ?2");
    find(connection, &sql, (number(account), event.as_bytes()), |row| read_audience(row, account))
}

fn open_work(connection: &Connection, vault: &Vault, lease: Lease) -> StoreResult<LaneWork> {
    let endpoint = subscriptions::endpoint(connection, vault, lease.account, lease.endpoint)?
        .ok_or(StoreError::Missing("the endpoint"))?;
    let signal = signal_of(connection, lease)?;
    let read = |row: &Row<'_>| {
        let cursor =
            Place { participant: row.get::<_, i64>(1)?.unsigned_abs(), index: row.get::<_, i64>(2)?.unsigned_abs() };
        Ok(FanOutWork { fan_out: read_fan_out(row)?, cursor, finished_beyond: Vec::new() })
    };
    let values = (number(lease.account), lease.endpoint.as_bytes(), OPEN_FAN_OUTS_MAX as i64);
    let mut fan_outs = list(connection, &open_sql("null"), values, read)?;
    fan_outs.extend(list(connection, &open_sql("not null"), (values.0, values.1, PACED_FAN_OUTS_MAX as i64), read)?);
    for work in &mut fan_outs {
        work.finished_beyond = finished_beyond(connection, lease.account, work)?;
    }
    Ok(LaneWork { endpoint, fan_outs, signal })
}

/// The owner's orders so far; `Fenced` where the lane is no longer ours.
pub(crate) fn signal_of(connection: &Connection, lease: Lease) -> StoreResult<u64> {
    let sql = "select signal from lane where account = ?1 and endpoint = ?2 and epoch = ?3 and lease_until is not null";
    let key = (number(lease.account), lease.endpoint.as_bytes(), lease.epoch.cast_signed());
    let signal = find(connection, sql, key, |row| row.get::<_, i64>(0))?.ok_or(StoreError::Fenced)?;
    Ok(signal.unsigned_abs())
}

fn due_retries(
    connection: &Connection,
    lease: Lease,
    (now, limit): (Timestamp, usize),
    zones: &Zones,
) -> StoreResult<Due> {
    let mut reader = ParticipantReader::new(zones);
    let values = (number(lease.account), lease.endpoint.as_bytes(), millis(now), limit as i64);
    let found = list(connection, DUE_RETRIES, values, |row| {
        let place =
            Place { participant: row.get::<_, i64>(1)?.unsigned_abs(), index: row.get::<_, i64>(2)?.unsigned_abs() };
        let retry = Retry {
            fan_out: row.get::<_, Id<_>>(0)?.0,
            attempt: row.get(3)?,
            charged: row.get(8)?,
            recipient: Recipient { place, participant: reader.read(row, 4)? },
            is_outdated: false,
        };
        Ok((retry, (row.get::<_, Id<SeriesId>>(9)?.0, row.get::<_, u32>(10)?), row.get::<_, bool>(11)?))
    })?;
    let mut newer = Newer { connection, lease, known: HashMap::new() };
    let mut retries = Vec::with_capacity(found.len());
    for (retry, (series, version), even_if_outdated) in found {
        let is_outdated = !even_if_outdated && newer.reached(retry.recipient.place.participant, series, version)?;
        retries.push(Retry { is_outdated, ..retry });
    }
    Ok(Due { retries, signal: signal_of(connection, lease)? })
}

/// Which versions of series came after which, asked once for each; most series have no newer one.
struct Newer<'a> {
    connection: &'a Connection,
    lease: Lease,
    known: HashMap<(SeriesId, u32), Vec<FanOutId>>,
}

pub(crate) const NEWER_VERSIONS: &str =
    "select fan_out from fan_out where account = ?1 and endpoint = ?2 and series = ?3 and version > ?4";

impl Newer<'_> {
    /// Whether this person has got a newer version from this endpoint.
    fn reached(&mut self, participant: u64, series: SeriesId, version: u32) -> StoreResult<bool> {
        let (connection, lease) = (self.connection, self.lease);
        let fan_outs = match self.known.entry((series, version)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let values = (number(lease.account), lease.endpoint.as_bytes(), series.as_bytes(), version);
                unknown.insert(list(connection, NEWER_VERSIONS, values, |row| Ok(row.get::<_, Id<FanOutId>>(0)?.0))?)
            }
        };
        for fan_out in fan_outs {
            let entries = entries_of(connection, lease.account, *fan_out, participant)?;
            if entries.iter().any(|entry| entry.outcome.is_delivered()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Who has an outcome or a row although the cursor has not passed them: a crash lost only the order, not the fact.
fn finished_beyond(connection: &Connection, account: AccountId, work: &FanOutWork) -> StoreResult<Vec<u64>> {
    let key = (number(account), work.fan_out.id.as_bytes(), work.cursor.participant.cast_signed());
    let mut beyond = Vec::new();
    for packed in list(connection, SEGMENTS_BEYOND, key, |row| row.get::<_, Vec<u8>>(0))? {
        let entries = segment::unpack(&packed).map_err(StoreError::broken)?;
        beyond.extend(entries.iter().map(|entry| entry.participant).filter(|at| *at > work.cursor.participant));
    }
    beyond.extend(list(connection, EXCEPTIONS_BEYOND, key, |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))?);
    beyond.sort_unstable();
    beyond.dedup();
    Ok(beyond)
}

fn count_audiences(connection: &Connection, lease: Lease) -> StoreResult<Vec<(EventId, u64)>> {
    let uncounted = uncounted(connection, lease)?;
    uncounted.into_iter().map(|(event, audience)| Ok((event, audience.count(connection)?))).collect()
}

/// The next events of a lane whose audience has not been counted.
fn uncounted(connection: &Connection, lease: Lease) -> StoreResult<Vec<(EventId, Audience)>> {
    if signal_of(connection, lease).is_err() {
        // Whose lane it is not has nothing to count, and is told so with the work.
        return Ok(Vec::new());
    }
    let sql = format!(
        "{AUDIENCE} where e.account = ?1 and e.audience is null and e.event in (
             select event from (
                 select event from fan_out where account = ?1 and endpoint = ?2 and state = 'running'
                 and per_minute is null order by position limit ?3)
             union all select event from (
                 select event from fan_out where account = ?1 and endpoint = ?2 and state = 'running'
                 and per_minute is not null order by position limit ?4))"
    );
    let (unpaced, paced) = (OPEN_FAN_OUTS_MAX as i64, PACED_FAN_OUTS_MAX as i64);
    let values = (number(lease.account), lease.endpoint.as_bytes(), unpaced, paced);
    list(connection, &sql, values, |row| Ok((row.get::<_, Id<_>>(0)?.0, read_audience(row, lease.account)?)))
}

fn save_audiences(connection: &Connection, account: AccountId, counted: &[(EventId, u64)]) -> StoreResult<()> {
    let sql = "update event set audience = ?3 where account = ?1 and event = ?2";
    for (event, audience) in counted {
        run(connection, sql, (number(account), event.as_bytes(), audience.cast_signed()))?;
    }
    Ok(())
}

fn read_audience(row: &Row<'_>, account: AccountId) -> rusqlite::Result<Audience> {
    let split = |bytes: Vec<u8>| {
        bytes.chunks_exact(12).filter_map(|id| id.try_into().ok().map(MangoId::from_bytes)).collect::<Vec<_>>()
    };
    Ok(Audience {
        account,
        series: row.get::<_, Id<_>>(1)?.0,
        mangoes: split(row.get(2)?),
        excluded: split(row.get(3)?),
        revision: row.get(4)?,
        listed: row.get(5)?,
    })
}

fn read_fan_out(row: &Row<'_>) -> rusqlite::Result<FanOut> {
    let id = row.get::<_, Id<FanOutId>>(0)?.0;
    Ok(FanOut {
        id,
        origin: row.get::<_, Option<Id<_>>>(11)?.map_or(id, |origin| origin.0),
        replay: row.get::<_, Option<Id<_>>>(12)?.map(|replay| replay.0),
        rate: row.get::<_, Option<u32>>(13)?.and_then(|per_minute| Rate::steady(per_minute).ok()),
        event: row.get::<_, Id<_>>(3)?.0,
        event_type: read_text(row, 4)?,
        trigger: read_text(row, 5)?,
        series: row.get::<_, Id<_>>(6)?.0,
        version: row.get(7)?,
        series_part: row.get::<_, Vec<u8>>(8)?.into(),
        attendee_instant: row.get::<_, Option<Millis>>(9)?.map(|at| at.0),
        audience: row.get::<_, Option<i64>>(10)?.unwrap_or(0).unsigned_abs(),
    })
}
