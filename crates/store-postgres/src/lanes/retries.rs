//! What is due again in a lane, and whether a newer version has reached the person meanwhile.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use provider::frontier::Place;
use provider::segment;
use store::{Due, LANES_OF_NODE_MAX, Lease, Recipient, Retry, StoreError, StoreResult};
use tokio_postgres::Row;
use webinar::SeriesId;
use wire::FanOutId;

use super::hold::Keys;
use crate::PostgresStore;
use crate::columns::{Columns, DATABASE_NOW, Id, LEASE_NOW, List, ParticipantReader, list, number, values};
use crate::gather::{Answers, Gathering, Linger};
use crate::session::{Pool, Session};

/// Lanes that are looked at together: a millisecond or two.
const TOGETHER_MAX: usize = 1_024;
/// Each lane looks every second; one that has just been opened waits so long at the most.
const GLANCES_APART: Duration = Duration::from_millis(25);
/// Deliveries whose outcomes are looked for in one statement: some megabytes of segments at the very most.
const LOOKED_FOR_AT_ONCE: usize = 64;

/// Read in the order of an index, so that however many are due no more are read than are wanted.
///
/// The lane's orders so far, beside each delivery that is due; without any, in a row of its own. No row at all where the
/// lease is over.
pub(crate) fn due_retries_sql() -> String {
    format!(
        "select l.signal, due.* from lane as l
         left join lateral (
             select x.fan_out, x.participant, x.place, x.attempt, x.charged, p.name, p.email, p.phone, p.timezone,
                 f.series, f.version, f.even_if_outdated, x.due_at
             from exception as x
             cross join lateral (
                 select f.series, f.version, f.even_if_outdated from fan_out as f
                 where f.account = x.account and f.fan_out = x.fan_out and f.state in ('running', 'swept') offset 0) as f
             cross join lateral (
                 select p.name, p.email, p.phone, p.timezone from participant as p
                 where p.account = x.account and p.participant = x.participant offset 0) as p
             where x.account = l.account and x.endpoint = l.endpoint and x.due_at <= {LEASE_NOW}
             order by x.due_at, x.fan_out, x.participant limit $5) as due on true
         where l.account = $2 and l.endpoint = $3 and l.epoch = $4 and l.lease_until is not null
         order by due.due_at, due.fan_out, due.participant"
    )
}

/// Which version of which series a delivery is of.
type Version = (SeriesId, u32);

/// A delivery that is due, and of which version it is, where a newer one takes its place.
struct Found {
    retry: Retry,
    version: Option<Version>,
}

/// What a glance at a lane shows, if it is still ours.
pub(super) type Glancing = Gathering<(Lease, Option<i64>), Option<Glance>>;

/// The owner's orders so far, and whether there is any use in reading what is due.
pub(super) struct Glance {
    signal: u64,
    is_any_due: bool,
}

/// Looks at many lanes at once: of most nothing is due, and each of them asks every second.
pub(super) fn glancing(pool: Pool) -> Glancing {
    let look = move |asked: Vec<(Lease, Option<i64>)>| -> Answers<Option<Glance>> {
        let pool = pool.clone();
        Box::pin(async move { glance(&pool.session().await?, &asked).await })
    };
    let linger = Linger { apart: GLANCES_APART, enough: TOGETHER_MAX, weigh: |_| 1 };
    Gathering::new(TOGETHER_MAX, LANES_OF_NODE_MAX, look).lingering(linger)
}

async fn glance(session: &Session, asked: &[(Lease, Option<i64>)]) -> StoreResult<Vec<StoreResult<Option<Glance>>>> {
    let leases: Vec<Lease> = asked.iter().map(|(lease, _)| *lease).collect();
    let keys = Keys::of(&leases);
    let nows = List(asked.iter().map(|(_, now)| *now).collect::<Vec<Option<i64>>>());
    let read = |row: &Row| {
        let signal: Option<i64> = row.value(0)?;
        let is_any_due = row.value(1)?;
        Ok(Ok(signal.map(|signal| Glance { signal: signal.unsigned_abs(), is_any_due })))
    };
    list(session, &glance_sql(), values![keys.accounts, keys.endpoints, keys.epochs, nows], read).await
}

pub(crate) fn glance_sql() -> String {
    format!(
        "select l.signal, exists (
             select 1 from exception as x where x.account = l.account and x.endpoint = l.endpoint
             and x.due_at <= coalesce(asked.now, {DATABASE_NOW}))
         from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[])
             with ordinality as asked (account, endpoint, epoch, now, nth)
         left join lane as l on l.account = asked.account and l.endpoint = asked.endpoint and l.epoch = asked.epoch
             and l.lease_until is not null
         order by asked.nth"
    )
}

pub(super) async fn due_retries(
    store: &PostgresStore,
    lease: Lease,
    (now, limit): (Option<i64>, usize),
) -> StoreResult<Due> {
    let glance = store.together.glancing.ask((lease, now)).await?.ok_or(StoreError::Fenced)?;
    if !glance.is_any_due {
        return Ok(Due { retries: Vec::new(), signal: glance.signal });
    }
    let session = store.session().await?;
    let mut reader = ParticipantReader::new(&store.zones);
    let key = values![now, number(lease.account), lease.endpoint.bytes(), lease.epoch.cast_signed(), limit as i64];
    let read = |row: &Row| Ok((row.count(0)?, read_found(row, &mut reader)?));
    let rows = list(&session, &due_retries_sql(), key, read).await?;
    let signal = rows.first().map(|(signal, _)| *signal).ok_or(StoreError::Fenced)?;
    let found: Vec<Found> = rows.into_iter().filter_map(|(_, found)| found).collect();
    let outdated = outdated(&session, lease, &found).await?;
    let retries = found.into_iter().enumerate();
    let retries = retries.map(|(nth, found)| Retry { is_outdated: outdated.contains(&nth), ..found.retry });
    Ok(Due { retries: retries.collect(), signal })
}

fn read_found(row: &Row, reader: &mut ParticipantReader) -> StoreResult<Option<Found>> {
    let Some(fan_out) = row.id_if_any(1)? else { return Ok(None) };
    let place = Place { participant: row.count(2)?, index: row.count(3)? };
    let retry = Retry {
        fan_out,
        attempt: row.small(4)?,
        charged: row.small(5)?,
        recipient: Recipient { place, participant: reader.read(row, 6)? },
        is_outdated: false,
    };
    let even_if_outdated: bool = row.value(12)?;
    let version = if even_if_outdated { None } else { Some((row.id(10)?, row.small(11)?)) };
    Ok(Some(Found { retry, version }))
}

/// A newer fan-out of a series to the same endpoint.
#[derive(Clone, Copy)]
struct Newer {
    fan_out: FanOutId,
    version: u32,
    /// Unix milliseconds; nothing of it is in the partitions of earlier days.
    created_at: i64,
    /// Unix milliseconds; what ended before is in the log no more.
    logged_since: i64,
}

/// Which of these are for people who have got a newer version from this endpoint. Mostly there is none, and this is one
/// query.
async fn outdated(session: &Session, lease: Lease, found: &[Found]) -> StoreResult<HashSet<usize>> {
    let mut versions: BTreeMap<SeriesId, u32> = BTreeMap::new();
    for (series, version) in found.iter().filter_map(|found| found.version) {
        let oldest = versions.entry(series).or_insert(version);
        *oldest = version.min(*oldest);
    }
    if versions.is_empty() {
        return Ok(HashSet::new());
    }
    let newer = newer_versions(session, lease, &versions).await?;
    let mut asked = Vec::new();
    for (nth, Found { retry, version }) in found.iter().enumerate() {
        let Some((series, version)) = version else { continue };
        let of_series = newer.get(series).into_iter().flatten().filter(|newer| newer.version > *version);
        asked.extend(of_series.map(|newer| (nth, retry.recipient.place.participant, *newer)));
    }
    let mut outdated = HashSet::new();
    for asked in asked.chunks(LOOKED_FOR_AT_ONCE) {
        outdated.extend(reached(session, lease, asked).await?);
    }
    Ok(outdated)
}

/// Of all that an endpoint was told, only the later versions of these series are read.
pub(crate) const NEWER_VERSIONS: &str = "select asked.series, newer.*
    from unnest($3::bytea[], $4::bigint[]) as asked (series, version)
    cross join lateral (
        select f.fan_out, f.version, f.created_at, f.logged_since from fan_out as f
        where f.account = $1 and f.endpoint = $2 and f.series = asked.series and f.version > asked.version
        offset 0) as newer";

async fn newer_versions(
    session: &Session,
    lease: Lease,
    versions: &BTreeMap<SeriesId, u32>,
) -> StoreResult<HashMap<SeriesId, Vec<Newer>>> {
    let series = List(versions.keys().map(Id::bytes).collect());
    let versions = List(versions.values().map(|version| i64::from(*version)).collect());
    let values = values![number(lease.account), lease.endpoint.bytes(), series, versions];
    let mut newer: HashMap<SeriesId, Vec<Newer>> = HashMap::new();
    let read = |row: &Row| {
        let (created_at, logged_since) = (row.value(3)?, row.value(4)?);
        Ok((row.id(0)?, Newer { fan_out: row.id(1)?, version: row.small(2)?, created_at, logged_since }))
    };
    for (series, found) in list(session, NEWER_VERSIONS, values, read).await? {
        newer.entry(series).or_default().push(found);
    }
    Ok(newer)
}

pub(crate) const SEGMENTS_AROUND: &str = "select asked.nth, around.outcomes
    from unnest($2::bytea[], $3::bigint[], $4::bigint[]) with ordinality as asked (fan_out, participant, created_at, nth)
    cross join lateral (
        select s.outcomes from segment as s
        where s.account = $1 and s.fan_out = asked.fan_out
        and s.last_participant >= asked.participant and s.first_participant <= asked.participant
        and s.day >= (to_timestamp(asked.created_at / 1000.0) at time zone 'utc')::date - 1 offset 0) as around";

/// Those whom the newer fan-out beside them has reached.
async fn reached(session: &Session, lease: Lease, asked: &[(usize, u64, Newer)]) -> StoreResult<Vec<usize>> {
    let fan_outs = List(asked.iter().map(|(_, _, newer)| newer.fan_out.bytes()).collect());
    let participants = List(asked.iter().map(|(_, participant, _)| participant.cast_signed()).collect());
    let created = List(asked.iter().map(|(_, _, newer)| newer.created_at).collect());
    let values = values![number(lease.account), fan_outs, participants, created];
    let read = |row: &Row| {
        // SQL counts from 1.
        let Some((nth, participant, newer)) = asked.get((row.count(0)? as usize).saturating_sub(1)) else {
            return Ok(None);
        };
        let entries = segment::unpack(row.value(1)?).map_err(StoreError::broken)?;
        let is_reached = entries.iter().any(|entry| {
            let is_logged = entry.finished_ms >= newer.logged_since;
            entry.participant == *participant && entry.outcome.is_delivered() && is_logged
        });
        Ok(is_reached.then_some(*nth))
    };
    Ok(list(session, SEGMENTS_AROUND, values, read).await?.into_iter().flatten().collect())
}
