//! The delivery log in SQL: fan-outs newest first, in each the exceptions and then what segments say was delivered.
//! Outcomes that ended before their fan-out's `logged_since` are passed over: their rows lie in partitions that others
//! still need, and go with them (`partitions`).

mod listing;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::attempt::Outcome;
use provider::segment::{self, Entry};
use store::{
    AttemptRecord, DeliveryCursor, DeliveryDetail, DeliveryFilter, DeliveryStatus, DeliverySummary, Journal, Page,
    StoreError, StoreResult, delivery_id,
};
use tokio_postgres::Row;
use wire::{AccountId, DeliveryId, EndpointId, EventId, FanOutId};

use crate::PostgresStore;
use crate::columns::{Columns, Id, List, find, list, number, unknown, values};
use crate::failures::{self, KeptFailure};
use crate::session::Session;

#[async_trait]
impl Journal for PostgresStore {
    async fn deliveries(
        &self,
        account: AccountId,
        filter: DeliveryFilter,
        after: Option<DeliveryCursor>,
        limit: usize,
    ) -> StoreResult<Page<DeliverySummary, DeliveryCursor>> {
        listing::page(&self.look().await?, account, filter, (after, limit)).await
    }

    async fn delivery(&self, account: AccountId, id: DeliveryId) -> StoreResult<Option<DeliveryDetail>> {
        delivery(&self.look().await?, account, id).await
    }
}

/// A fan-out as the log needs it.
#[derive(Clone, Copy)]
struct FanOutRow {
    id: FanOutId,
    event: EventId,
    endpoint: EndpointId,
    /// Unix milliseconds; nothing of it is in the partitions of earlier days.
    created_at: i64,
    /// Unix milliseconds; what ended before is in the log no more.
    logged_since: i64,
}

impl FanOutRow {
    fn delivered(self, entry: &Entry) -> StoreResult<DeliverySummary> {
        DeliverySummary::delivered(self.id, self.event, self.endpoint, entry)
    }
}

/// The columns that [`read_fan_out`] reads.
const FAN_OUT: &str = "fan_out, event, endpoint, created_at, logged_since";

/// The exceptions of a fan-out, with more conditions. What is due while its lane waits for a failing endpoint is tried
/// when the lane is.
fn exception_sql(rest: &str) -> String {
    format!(
        "select x.participant, x.state, greatest(x.due_at, case when x.due_at is not null then l.open_until end),
             x.attempt, x.last_outcome, x.last_at
         from exception as x
         left join lane as l on l.account = x.account and l.endpoint = x.endpoint
         where x.account = $1 and x.fan_out = $2 {rest}"
    )
}

/// Segments that may hold an outcome for somebody. Whoever reads by fan-out names its first day, so that the partitions
/// before that are not looked into.
const SEGMENTS_AROUND: &str = "select outcomes from segment
    where account = $1 and fan_out = $2 and last_participant >= $3 and first_participant <= $3
    and day >= (to_timestamp($4 / 1000.0) at time zone 'utc')::date - 1";

async fn fan_out(session: &Session, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOutRow>> {
    let sql = format!("select {FAN_OUT} from fan_out where account = $1 and fan_out = $2");
    find(session, &sql, values![number(account), id.bytes()], read_fan_out).await
}

/// One delivery with its attempts, if it is in the log.
pub(crate) async fn delivery(
    session: &Session,
    account: AccountId,
    id: DeliveryId,
) -> StoreResult<Option<DeliveryDetail>> {
    let Some(fan_out) = fan_out(session, account, id.fan_out()).await? else { return Ok(None) };
    let participant = id.participant().get();
    let entries = logged_entries(session, account, fan_out, participant).await?;
    let sql = exception_sql("and x.participant = $3");
    let key = values![number(account), fan_out.id.bytes(), participant.cast_signed()];
    let exception = find(session, &sql, key, |row| read_exception(row, fan_out)).await?;
    let mut found = match (exception, entries.iter().find(|entry| entry.outcome.is_delivered())) {
        (Some(exception), _) => vec![exception],
        (None, Some(entry)) => vec![fan_out.delivered(entry)?],
        (None, None) => return Ok(None),
    };
    let failures = complete(session, account, fan_out, &mut found).await?;
    add_people(session, account, &mut found).await?;
    let attempts = entries.iter().filter_map(|entry| {
        let record = AttemptRecord::of_entry(entry)?;
        let failure = kept_failure(&failures, participant, record.number, record.finished_at);
        Some(AttemptRecord { failure, ..record })
    });
    let attempts = attempts.collect();
    Ok(found.pop().map(|summary| DeliveryDetail { attempts, summary }))
}

/// Every record of one delivery that the log still has, first attempt first.
async fn logged_entries(
    session: &Session,
    account: AccountId,
    fan_out: FanOutRow,
    participant: u64,
) -> StoreResult<Vec<Entry>> {
    let key = values![number(account), fan_out.id.bytes(), participant.cast_signed(), fan_out.created_at];
    let mut found = Vec::new();
    for entries in list(session, SEGMENTS_AROUND, key, |row| unpack(row.value(0)?)).await? {
        let is_wanted = |entry: &Entry| entry.participant == participant && entry.finished_ms >= fan_out.logged_since;
        found.extend(entries.into_iter().filter(is_wanted));
    }
    found.sort_by_key(|entry| (entry.finished_ms, entry.attempt));
    Ok(found)
}

fn unpack(packed: &[u8]) -> StoreResult<Vec<Entry>> {
    segment::unpack(packed).map_err(StoreError::broken)
}

fn read_fan_out(row: &Row) -> StoreResult<FanOutRow> {
    Ok(FanOutRow {
        id: row.id(0)?,
        event: row.id(1)?,
        endpoint: row.id(2)?,
        created_at: row.value(3)?,
        logged_since: row.value(4)?,
    })
}

/// The delivery of an exception, without its person and why it failed.
fn read_exception(row: &Row, fan_out: FanOutRow) -> StoreResult<DeliverySummary> {
    let participant = row.count(0)?;
    let attempt: u16 = row.small(3)?;
    let word = row.value(1)?;
    let status = DeliveryStatus::of_name(word).ok_or_else(|| unknown("a delivery's state", word))?;
    let attempts = status.attempts_made(attempt);
    let outcome = row.small_if_any::<u16>(4)?.and_then(Outcome::from_number);
    let last = outcome.zip(row.moment_if_any(5)?).map(|(outcome, finished_at)| AttemptRecord {
        number: attempts.max(1),
        outcome,
        finished_at,
        latency_tenth_ms: None,
        failure: None,
    });
    Ok(DeliverySummary {
        id: delivery_id(fan_out.id, participant)?,
        event: fan_out.event,
        endpoint: fan_out.endpoint,
        participant,
        person: None,
        status,
        attempts,
        last,
        next_attempt_at: row.moment_if_any(2)?,
    })
}

/// Adds to exceptions why they failed last; what is kept of all failures of these deliveries.
async fn complete(
    session: &Session,
    account: AccountId,
    fan_out: FanOutRow,
    found: &mut [DeliverySummary],
) -> StoreResult<Vec<KeptFailure>> {
    let participants = found.iter().map(|delivery| delivery.participant.cast_signed()).collect();
    let kept = failures::of_deliveries(session, account, (fan_out.id, fan_out.created_at), participants).await?;
    for delivery in found.iter_mut().filter(|delivery| delivery.status != DeliveryStatus::Delivered) {
        let Some(last) = &mut delivery.last else { continue };
        last.failure = kept_failure(&kept, delivery.participant, delivery.attempts, last.finished_at);
        last.latency_tenth_ms = last.failure.as_ref().map(|failure| failure.phases.total_tenth_ms());
    }
    Ok(kept)
}

fn kept_failure(
    kept: &[KeptFailure],
    participant: u64,
    attempt: u16,
    finished_at: Timestamp,
) -> Option<provider::attempt::FailureDetail> {
    let is_it = |failure: &&KeptFailure| {
        (failure.participant, failure.attempt, failure.finished_at) == (participant, attempt, finished_at)
    };
    kept.iter().find(is_it).map(|failure| failure.detail.clone())
}

/// Adds who they are for, as the roster knows them now.
async fn add_people(session: &Session, account: AccountId, found: &mut [DeliverySummary]) -> StoreResult<()> {
    let numbers: Vec<i64> = found.iter().map(|delivery| delivery.participant.cast_signed()).collect();
    let sql = "select participant, name, email from participant where account = $1 and participant = any($2)";
    let people: std::collections::HashMap<u64, (String, String)> =
        list(session, sql, values![number(account), List(numbers)], |row| {
            Ok((row.count(0)?, (row.value(1)?, row.value(2)?)))
        })
        .await?
        .into_iter()
        .collect();
    for delivery in found {
        delivery.person = people.get(&delivery.participant).cloned();
    }
    Ok(())
}
