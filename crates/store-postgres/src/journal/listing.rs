//! A page of the delivery log in the making.

use std::cmp::Reverse;

use provider::segment::Entry;
use store::{DeliveryCursor, DeliveryFilter, DeliveryPart, DeliveryStatus, DeliverySummary, Page, StoreResult};
use wire::AccountId;

use super::{FAN_OUT, FanOutRow, add_people, complete, exception_sql, read_exception, read_fan_out, unpack};
use crate::columns::{Columns, Id, list, number, values};
use crate::session::Session;

/// Fan-outs looked at in one query; most pages end within the first.
const FAN_OUTS_AT_ONCE: i64 = 32;
/// Segments read in one query, of some hundred outcomes each.
const SEGMENTS_AT_ONCE: i64 = 32;

struct Listing<'a> {
    session: &'a Session,
    account: AccountId,
    filter: DeliveryFilter,
    wanted: usize,
    found: Vec<(DeliveryCursor, DeliverySummary)>,
}

/// The deliveries behind `after`, at most `limit`.
pub(super) async fn page(
    session: &Session,
    account: AccountId,
    filter: DeliveryFilter,
    (after, limit): (Option<DeliveryCursor>, usize),
) -> StoreResult<Page<DeliverySummary, DeliveryCursor>> {
    let mut listing = Listing { session, account, filter, wanted: limit + 1, found: Vec::new() };
    listing.fill(after).await?;
    let page = Page::cut(listing.found, limit, |(cursor, _)| *cursor);
    let mut items: Vec<DeliverySummary> = page.items.into_iter().map(|(_, delivery)| delivery).collect();
    add_people(session, account, &mut items).await?;
    Ok(Page { items, next: page.next })
}

impl Listing<'_> {
    async fn fill(&mut self, after: Option<DeliveryCursor>) -> StoreResult<()> {
        if let Some(cursor) = after
            && let Some(fan_out) = super::fan_out(self.session, self.account, cursor.fan_out).await?
            && self.is_wanted(fan_out)
        {
            self.fill_from(fan_out, cursor.part, cursor.participant).await?;
        }
        let mut before = after.map_or(vec![0xff; 17], |cursor| cursor.fan_out.bytes().to_vec());
        while self.found.len() < self.wanted {
            let next = self.fan_outs_before(&before).await?;
            let Some(last) = next.last() else { return Ok(()) };
            before = last.id.bytes().to_vec();
            for fan_out in next {
                if self.found.len() < self.wanted {
                    self.fill_from(fan_out, DeliveryPart::Exceptions, u64::MAX).await?;
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
    async fn fill_from(&mut self, fan_out: FanOutRow, part: DeliveryPart, participant: u64) -> StoreResult<()> {
        let below = i64::try_from(participant).unwrap_or(i64::MAX);
        let below_in_segments = match part {
            DeliveryPart::Exceptions => {
                self.add_exceptions(fan_out, below).await?;
                i64::MAX
            }
            DeliveryPart::Delivered => below,
        };
        let wants_delivered = self.filter.status.is_none_or(|status| status == DeliveryStatus::Delivered);
        if wants_delivered && self.found.len() < self.wanted {
            self.add_delivered(fan_out, below_in_segments).await?;
        }
        Ok(())
    }

    async fn add_exceptions(&mut self, fan_out: FanOutRow, below: i64) -> StoreResult<()> {
        if self.filter.status == Some(DeliveryStatus::Delivered) {
            return Ok(());
        }
        let state = self.filter.status.map(DeliveryStatus::name);
        let only = self.filter.participant.map(u64::cast_signed);
        let room = (self.wanted - self.found.len()) as i64;
        let key = values![number(self.account), fan_out.id.bytes(), below, only, state, room];
        let mut found = list(self.session, &exceptions_sql(), key, |row| read_exception(row, fan_out)).await?;
        if !found.is_empty() {
            complete(self.session, self.account, fan_out, &mut found).await?;
        }
        for delivery in found {
            self.push(fan_out, DeliveryPart::Exceptions, delivery);
        }
        Ok(())
    }

    async fn add_delivered(&mut self, fan_out: FanOutRow, below: i64) -> StoreResult<()> {
        let only = self.filter.participant.map(u64::cast_signed);
        // Segments overlap a little where requests overtook each other, so one is held back until it is certain that
        // no later segment reaches above it.
        let mut held: Vec<Entry> = Vec::new();
        let (mut last, mut segment) = (i64::MAX, i64::MAX);
        loop {
            let key = values![
                number(self.account),
                fan_out.id.bytes(),
                below,
                only,
                fan_out.created_at,
                last,
                segment,
                SEGMENTS_AT_ONCE
            ];
            let read = |row: &tokio_postgres::Row| Ok((unpack(row.value(0)?)?, row.value(1)?, row.value(2)?));
            let segments: Vec<(Vec<Entry>, i64, i64)> = list(self.session, SEGMENTS_BELOW, key, read).await?;
            let is_last = (segments.len() as i64) < SEGMENTS_AT_ONCE;
            for (entries, last_of_it, number) in segments {
                (last, segment) = (last_of_it, number);
                let highest = entries.last().map_or(0, |entry| entry.participant);
                let certain = held.iter().position(|entry| entry.participant <= highest).unwrap_or(held.len());
                self.push_delivered(fan_out, held.drain(..certain));
                if self.found.len() >= self.wanted {
                    return Ok(());
                }
                let wanted = entries.into_iter().filter(|entry| self.is_listed(fan_out, entry, below));
                held.extend(wanted);
                held.sort_unstable_by_key(|entry| (Reverse(entry.participant), entry.finished_ms, entry.attempt));
            }
            if is_last {
                self.push_delivered(fan_out, held.into_iter());
                return Ok(());
            }
        }
    }

    fn is_listed(&self, fan_out: FanOutRow, entry: &Entry, below: i64) -> bool {
        entry.outcome.is_delivered()
            && entry.finished_ms >= fan_out.logged_since
            && entry.participant.cast_signed() < below
            && self.filter.participant.is_none_or(|only| only == entry.participant)
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

    async fn fan_outs_before(&self, before: &[u8]) -> StoreResult<Vec<FanOutRow>> {
        let sql = fan_outs_sql(&self.filter);
        let event = self.filter.event.as_ref().map(Id::bytes);
        let endpoint = self.filter.endpoint.as_ref().map(Id::bytes);
        let key = values![number(self.account), before, event, endpoint, FAN_OUTS_AT_ONCE];
        list(self.session, &sql, key, read_fan_out).await
    }
}

/// Fan-outs below $2 in falling order, of the event $3 or of all, to the endpoint $4 or to all, which hold something in
/// the state that is asked for.
fn fan_outs_sql(filter: &DeliveryFilter) -> String {
    let holds = match filter.status {
        None | Some(DeliveryStatus::Delivered) => "",
        Some(DeliveryStatus::Retrying) => " and retrying > 0",
        Some(DeliveryStatus::Held) => " and held > 0",
        Some(DeliveryStatus::Abandoned) => " and abandoned > 0",
        Some(DeliveryStatus::Superseded | DeliveryStatus::Skipped) => " and called_off > 0",
        Some(DeliveryStatus::Erased) => " and erased > 0",
    };
    let of_event = if filter.event.is_some() { "event = $3" } else { "$3::bytea is null" };
    // The fan-outs of an event are few; all of an account, which are in order already, may be many.
    let those = if filter.event.is_some() { "materialized" } else { "not materialized" };
    format!(
        "with those as {those} (
             select {FAN_OUT} from fan_out where account = $1 and fan_out < $2 and {of_event}
             and ($4::bytea is null or endpoint = $4) and is_logged{holds})
         select {FAN_OUT} from those order by fan_out desc limit $5"
    )
}

/// The exceptions of a fan-out below a participant, highest first.
fn exceptions_sql() -> String {
    exception_sql(
        "and x.participant < $3 and ($4::bigint is null or x.participant = $4) and ($5::text is null or x.state = $5)
         order by x.participant desc limit $6",
    )
}

/// $6 and $7 are where the last query ended: the last participant and the number of its last segment.
const SEGMENTS_BELOW: &str = "select outcomes, last_participant, segment from segment
    where account = $1 and fan_out = $2 and first_participant < $3
    and ($4::bigint is null or (last_participant >= $4 and first_participant <= $4))
    and day >= (to_timestamp($5 / 1000.0) at time zone 'utc')::date - 1
    and last_participant <= $6 and (last_participant, segment) < ($6, $7)
    order by last_participant desc, segment desc limit $8";
