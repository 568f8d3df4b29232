//! The delivery log in SQL: fan-outs newest first, in each the exceptions and then what segments say was delivered.

use std::cmp::Reverse;

use async_trait::async_trait;
use provider::attempt::Outcome;
use provider::segment::{self, Entry};
use rusqlite::{Connection, Row};
use store::{
    AttemptRecord, DeliveryCursor, DeliveryDetail, DeliveryFilter, DeliveryPart, DeliveryStatus, DeliverySummary,
    Journal, Page, StoreError, StoreResult, delivery_id,
};
use wire::{AccountId, DeliveryId, EndpointId, EventId, FanOutId};

use crate::SqliteStore;
use crate::columns::{Id, Millis, broken, find, list, number, unknown};
use crate::failures;

#[async_trait]
impl Journal for SqliteStore {
    async fn deliveries(
        &self,
        account: AccountId,
        filter: DeliveryFilter,
        after: Option<DeliveryCursor>,
        limit: usize,
    ) -> StoreResult<Page<DeliverySummary, DeliveryCursor>> {
        self.readers
            .read(move |connection| {
                let mut listing = Listing { connection, account, filter, wanted: limit + 1, found: Vec::new() };
                listing.fill(after)?;
                let page = Page::cut(listing.found, limit, |(cursor, _)| *cursor);
                let items: StoreResult<Vec<_>> =
                    page.items.into_iter().map(|(_, delivery)| with_person(connection, account, delivery)).collect();
                Ok(Page { items: items?, next: page.next })
            })
            .await
    }

    async fn delivery(&self, account: AccountId, id: DeliveryId) -> StoreResult<Option<DeliveryDetail>> {
        self.readers.read(move |connection| delivery(connection, account, id)).await
    }
}

/// A fan-out as the log needs it.
#[derive(Clone, Copy)]
struct FanOutRow {
    id: FanOutId,
    event: EventId,
    endpoint: EndpointId,
}

impl FanOutRow {
    fn delivered(self, entry: &Entry) -> StoreResult<DeliverySummary> {
        DeliverySummary::delivered(self.id, self.event, self.endpoint, entry)
    }
}

/// A page in the making.
struct Listing<'a> {
    connection: &'a Connection,
    account: AccountId,
    filter: DeliveryFilter,
    wanted: usize,
    found: Vec<(DeliveryCursor, DeliverySummary)>,
}

/// Fan-outs looked at in one query; most pages end within the first.
const FAN_OUTS_AT_ONCE: i64 = 32;

impl Listing<'_> {
    fn fill(&mut self, after: Option<DeliveryCursor>) -> StoreResult<()> {
        if let Some(cursor) = after
            && let Some(fan_out) = self.fan_out(cursor.fan_out)?
            && self.is_wanted(fan_out)
        {
            self.fill_from(fan_out, cursor.part, cursor.participant)?;
        }
        let mut before = after.map_or(vec![0xff; 17], |cursor| cursor.fan_out.as_bytes().to_vec());
        while self.found.len() < self.wanted {
            let next = self.fan_outs_before(&before)?;
            let Some(last) = next.last() else { return Ok(()) };
            before = last.id.as_bytes().to_vec();
            for fan_out in next {
                if self.found.len() < self.wanted {
                    self.fill_from(fan_out, DeliveryPart::Exceptions, u64::MAX)?;
                }
            }
        }
        Ok(())
    }

    fn is_wanted(&self, fan_out: FanOutRow) -> bool {
        self.filter.event.is_none_or(|event| event == fan_out.event)
            && self.filter.endpoint.is_none_or(|endpoint| endpoint == fan_out.endpoint)
    }

    /// What is left of a fan-out below `participant` in `part`, and the parts after it.
    fn fill_from(&mut self, fan_out: FanOutRow, part: DeliveryPart, participant: u64) -> StoreResult<()> {
        let below = i64::try_from(participant).unwrap_or(i64::MAX);
        let below_in_segments = match part {
            DeliveryPart::Exceptions => {
                self.add_exceptions(fan_out, below)?;
                i64::MAX
            }
            DeliveryPart::Delivered => below,
        };
        let wants_delivered = self.filter.status.is_none_or(|status| status == DeliveryStatus::Delivered);
        if wants_delivered && self.found.len() < self.wanted {
            self.add_delivered(fan_out, below_in_segments)?;
        }
        Ok(())
    }

    fn add_exceptions(&mut self, fan_out: FanOutRow, below: i64) -> StoreResult<()> {
        if self.filter.status == Some(DeliveryStatus::Delivered) {
            return Ok(());
        }
        let state = self.filter.status.map(DeliveryStatus::name);
        let only = self.filter.participant.map(u64::cast_signed);
        let room = (self.wanted - self.found.len()) as i64;
        let values = (number(self.account), fan_out.id.as_bytes(), below, only, state, room);
        for delivery in list(self.connection, &exceptions_sql(), values, |row| read_exception(row, fan_out))? {
            self.push(fan_out, DeliveryPart::Exceptions, delivery);
        }
        Ok(())
    }

    fn add_delivered(&mut self, fan_out: FanOutRow, below: i64) -> StoreResult<()> {
        let only = self.filter.participant.map(u64::cast_signed);
        let mut statement = self.connection.prepare_cached(SEGMENTS_BELOW).map_err(broken)?;
        let values = (number(self.account), fan_out.id.as_bytes(), below, only);
        let mut rows = statement.query(values).map_err(broken)?;
        // Segments overlap a little where requests overtook each other, so one is held back until it is certain that
        // no later segment reaches above it.
        let mut held: Vec<Entry> = Vec::new();
        while let Some(row) = rows.next().map_err(broken)? {
            let entries = unpack(row.get_ref(0).and_then(|value| Ok(value.as_blob()?)).map_err(broken)?)?;
            let highest = entries.last().map_or(0, |entry| entry.participant);
            let certain = held.iter().position(|entry| entry.participant <= highest).unwrap_or(held.len());
            self.push_delivered(fan_out, held.drain(..certain));
            if self.found.len() >= self.wanted {
                return Ok(());
            }
            let wanted = entries.into_iter().filter(|entry| {
                entry.outcome.is_delivered()
                    && entry.participant.cast_signed() < below
                    && self.filter.participant.is_none_or(|only| only == entry.participant)
            });
            held.extend(wanted);
            held.sort_unstable_by_key(|entry| (Reverse(entry.participant), entry.finished_ms, entry.attempt));
        }
        self.push_delivered(fan_out, held.into_iter());
        Ok(())
    }

    fn push_delivered(&mut self, fan_out: FanOutRow, entries: impl Iterator<Item = Entry>) {
        for entry in entries {
            if self.found.len() < self.wanted
                && let Ok(delivery) = fan_out.delivered(&entry)
            {
                self.push(fan_out, DeliveryPart::Delivered, delivery);
            }
        }
    }

    fn push(&mut self, fan_out: FanOutRow, part: DeliveryPart, delivery: DeliverySummary) {
        let cursor = DeliveryCursor { fan_out: fan_out.id, part, participant: delivery.participant };
        // Who answered twice, such as a straggler and its retry, has two records; the log shows the first.
        if self.found.last().is_none_or(|(last, _)| *last != cursor) {
            self.found.push((cursor, delivery));
        }
    }

    fn fan_out(&self, id: FanOutId) -> StoreResult<Option<FanOutRow>> {
        fan_out(self.connection, self.account, id)
    }

    fn fan_outs_before(&self, before: &[u8]) -> StoreResult<Vec<FanOutRow>> {
        let sql = if self.filter.event.is_some() { FAN_OUTS_OF_EVENT } else { FAN_OUTS };
        let event = self.filter.event.map(|id| id.as_bytes().to_vec());
        let endpoint = self.filter.endpoint.map(|id| id.as_bytes().to_vec());
        let state = self.filter.status.map(DeliveryStatus::name);
        let values = (number(self.account), before, event, endpoint, FAN_OUTS_AT_ONCE, state);
        list(self.connection, sql, values, read_fan_out)
    }
}

pub(crate) const FAN_OUTS: &str = "select fan_out, event, endpoint from fan_out
    where account = ?1 and fan_out < ?2 and ?3 is null and (?4 is null or endpoint = ?4)
    and (?6 is not 'retrying' or retrying > 0) and (?6 is not 'abandoned' or abandoned > 0)
    and (?6 is not 'held' or held > 0) and (?6 not in ('superseded', 'skipped') or ?6 is null or called_off > 0)
    and (?6 is not 'erased' or erased > 0) and is_logged = 1
    order by fan_out desc limit ?5";
/// Left to itself, SQLite walks through all the account's fan-outs, which are already in order.
pub(crate) const FAN_OUTS_OF_EVENT: &str = "select fan_out, event, endpoint from fan_out indexed by fan_out_by_event
    where account = ?1 and fan_out < ?2 and event = ?3 and (?4 is null or endpoint = ?4)
    and (?6 is not 'retrying' or retrying > 0) and (?6 is not 'abandoned' or abandoned > 0)
    and (?6 is not 'held' or held > 0) and (?6 not in ('superseded', 'skipped') or ?6 is null or called_off > 0)
    and (?6 is not 'erased' or erased > 0) and is_logged = 1
    order by fan_out desc limit ?5";
/// What is due while its lane waits for a failing endpoint is tried when the lane is.
fn exception_sql(rest: &str) -> String {
    let detail = failures::DETAIL;
    format!(
        "select x.participant, x.state, max(x.due_at, coalesce(l.open_until, 0)), x.attempt,
             x.last_outcome, x.last_at, {detail}
         from exception as x
         left join lane as l on l.account = x.account and l.endpoint = x.endpoint
         left join attempt_failure as f on f.account = x.account and f.fan_out = x.fan_out
             and f.participant = x.participant and f.attempt = x.attempt - (x.state in ('retrying', 'held'))
             and f.finished_at = x.last_at
         where x.account = ?1 and x.fan_out = ?2 {rest}"
    )
}

/// The exceptions of a fan-out below a participant, highest first.
pub(crate) fn exceptions_sql() -> String {
    exception_sql(
        "and x.participant < ?3 and (?4 is null or x.participant = ?4) and (?5 is null or x.state = ?5)
         order by x.participant desc limit ?6",
    )
}

pub(crate) const SEGMENTS_BELOW: &str = "select outcomes from segment
    where account = ?1 and fan_out = ?2 and first_participant < ?3
    and (?4 is null or (last_participant >= ?4 and first_participant <= ?4))
    order by last_participant desc";
pub(crate) const SEGMENTS_AROUND: &str = "select outcomes from segment
    where account = ?1 and fan_out = ?2 and last_participant >= ?3 and first_participant <= ?3";

fn fan_out(connection: &Connection, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOutRow>> {
    let sql = "select fan_out, event, endpoint from fan_out where account = ?1 and fan_out = ?2";
    find(connection, sql, (number(account), id.as_bytes()), read_fan_out)
}

pub(crate) fn delivery(
    connection: &Connection,
    account: AccountId,
    id: DeliveryId,
) -> StoreResult<Option<DeliveryDetail>> {
    let Some(fan_out) = fan_out(connection, account, id.fan_out())? else { return Ok(None) };
    let participant = id.participant().get();
    let entries = entries_of(connection, account, fan_out.id, participant)?;
    let sql = exception_sql("and x.participant = ?3");
    let key = (number(account), fan_out.id.as_bytes(), participant.cast_signed());
    let exception = find(connection, &sql, key, |row| read_exception(row, fan_out))?;
    let summary = match (exception, entries.iter().find(|entry| entry.outcome.is_delivered())) {
        (Some(exception), _) => exception,
        (None, Some(entry)) => fan_out.delivered(entry)?,
        (None, None) => return Ok(None),
    };
    let mut failures = failures::of_delivery(connection, account, fan_out.id, participant)?;
    let attempts = entries.iter().filter_map(|entry| {
        let record = AttemptRecord::of_entry(entry)?;
        let kept = failures.iter().position(|(attempt, at, _)| (*attempt, *at) == (record.number, record.finished_at));
        Some(AttemptRecord { failure: kept.map(|index| failures.swap_remove(index).2), ..record })
    });
    Ok(Some(DeliveryDetail { attempts: attempts.collect(), summary: with_person(connection, account, summary)? }))
}

/// Every record of one delivery, first attempt first.
pub(crate) fn entries_of(
    connection: &Connection,
    account: AccountId,
    fan_out: FanOutId,
    participant: u64,
) -> StoreResult<Vec<Entry>> {
    let key = (number(account), fan_out.as_bytes(), participant.cast_signed());
    let mut found = Vec::new();
    for packed in list(connection, SEGMENTS_AROUND, key, |row| row.get::<_, Vec<u8>>(0))? {
        found.extend(unpack(&packed)?.into_iter().filter(|entry| entry.participant == participant));
    }
    found.sort_by_key(|entry| (entry.finished_ms, entry.attempt));
    Ok(found)
}

fn unpack(packed: &[u8]) -> StoreResult<Vec<Entry>> {
    segment::unpack(packed).map_err(StoreError::broken)
}

fn with_person(
    connection: &Connection,
    account: AccountId,
    mut delivery: DeliverySummary,
) -> StoreResult<DeliverySummary> {
    let sql = "select name, email from participant where account = ?1 and participant = ?2";
    let key = (number(account), delivery.participant.cast_signed());
    delivery.person = find(connection, sql, key, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(delivery)
}

fn read_fan_out(row: &Row<'_>) -> rusqlite::Result<FanOutRow> {
    Ok(FanOutRow {
        id: row.get::<_, Id<_>>(0)?.0,
        event: row.get::<_, Id<_>>(1)?.0,
        endpoint: row.get::<_, Id<_>>(2)?.0,
    })
}

fn read_exception(row: &Row<'_>, fan_out: FanOutRow) -> rusqlite::Result<DeliverySummary> {
    let participant = row.get::<_, i64>(0)?.unsigned_abs();
    let attempt: u16 = row.get(3)?;
    let outcome = row.get::<_, Option<u16>>(4)?.and_then(Outcome::from_number);
    let last_at = row.get::<_, Option<Millis>>(5)?.map(|at| at.0);
    let word = row.get_ref(1)?.as_str()?;
    let status = DeliveryStatus::of_name(word).ok_or_else(|| unknown("a delivery's state", word))?;
    let attempts = status.attempts_made(attempt);
    let failure = failures::read_detail(row, 6)?;
    let last = outcome.zip(last_at).map(|(outcome, finished_at)| AttemptRecord {
        number: attempts.max(1),
        outcome,
        finished_at,
        latency_tenth_ms: failure.as_ref().map(|failure| failure.phases.total_tenth_ms()),
        failure,
    });
    Ok(DeliverySummary {
        id: delivery_id(fan_out.id, participant).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, 0))?,
        event: fan_out.event,
        endpoint: fan_out.endpoint,
        participant,
        person: None,
        status,
        attempts,
        last,
        next_attempt_at: row.get::<_, Option<Millis>>(2)?.map(|at| at.0),
    })
}
