//! The delivery log, in memory: all of it is made anew for every question.

use std::cmp::Reverse;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::lane::LaneState;
use provider::segment::Entry;
use store::{
    AttemptRecord, DeliveryCursor, DeliveryDetail, DeliveryFilter, DeliveryPart, DeliveryStatus, DeliverySummary,
    Exception, ExceptionState, Journal, Page, StoreResult,
};
use wire::{AccountId, DeliveryId, FanOutId, ParticipantNumber};

use super::Model;
use super::tables::{FanOutRow, Tables};

#[async_trait]
impl Journal for Model {
    async fn deliveries(
        &self,
        account: AccountId,
        filter: DeliveryFilter,
        after: Option<DeliveryCursor>,
        limit: usize,
    ) -> StoreResult<Page<DeliverySummary, DeliveryCursor>> {
        let log = self.tables().log(account);
        let rest = log.into_iter().filter(|(cursor, _)| after.is_none_or(|after| order(*cursor) > order(after)));
        let wanted: Vec<_> = rest.filter(|(_, delivery)| is_wanted(&filter, delivery)).take(limit + 1).collect();
        let page = Page::cut(wanted, limit, |(cursor, _)| *cursor);
        Ok(Page { items: page.items.into_iter().map(|(_, delivery)| delivery).collect(), next: page.next })
    }

    async fn delivery(&self, account: AccountId, id: DeliveryId) -> StoreResult<Option<DeliveryDetail>> {
        let tables = self.tables();
        let Some(row) = tables.fan_outs.get(&(account, id.fan_out())) else { return Ok(None) };
        // A row comes first in the log, and says how the delivery stands now.
        let summary = tables.log(account).into_iter().map(|(_, delivery)| delivery).find(|found| found.id == id);
        let mut entries: Vec<&Entry> = row.entries.iter().collect();
        entries.retain(|entry| entry.participant == id.participant().get());
        entries.sort_by_key(|entry| (entry.finished_ms, entry.attempt));
        let attempts = entries.into_iter().map(|entry| row.record(entry)).collect();
        Ok(summary.map(|summary| DeliveryDetail { summary, attempts }))
    }
}

/// Newest fan-out first, rows before successes, highest participant first.
fn order(cursor: DeliveryCursor) -> (Reverse<FanOutId>, u8, Reverse<u64>) {
    let part = match cursor.part {
        DeliveryPart::Exceptions => 0,
        DeliveryPart::Delivered => 1,
    };
    (Reverse(cursor.fan_out), part, Reverse(cursor.participant))
}

fn is_wanted(filter: &DeliveryFilter, delivery: &DeliverySummary) -> bool {
    filter.event.is_none_or(|event| event == delivery.event)
        && filter.endpoint.is_none_or(|endpoint| endpoint == delivery.endpoint)
        && filter.participant.is_none_or(|participant| participant == delivery.participant)
        && filter.status.is_none_or(|status| status == delivery.status)
}

impl Tables {
    /// The whole log of an account, in order.
    pub(super) fn log(&self, account: AccountId) -> Vec<(DeliveryCursor, DeliverySummary)> {
        let mut log = Vec::new();
        for ((_, id), row) in self.fan_outs.iter().filter(|((owner, _), _)| *owner == account) {
            let at = |part, participant| DeliveryCursor { fan_out: *id, part, participant };
            for (participant, exception) in &row.exceptions {
                let delivery = self.with_row(account, row, exception);
                log.push((at(DeliveryPart::Exceptions, *participant), delivery));
            }
            let mut delivered: Vec<&Entry> = row.entries.iter().filter(|entry| entry.outcome.is_delivered()).collect();
            delivered.sort_by_key(|entry| (entry.participant, entry.finished_ms, entry.attempt));
            delivered.dedup_by_key(|entry| entry.participant);
            for entry in delivered {
                let delivery = DeliverySummary {
                    status: DeliveryStatus::Delivered,
                    attempts: entry.attempt,
                    last: Some(row.record(entry)),
                    ..self.blank(account, *id, row, entry.participant)
                };
                log.push((at(DeliveryPart::Delivered, entry.participant), delivery));
            }
        }
        log.sort_by_key(|(cursor, _)| order(*cursor));
        log
    }

    fn with_row(&self, account: AccountId, row: &FanOutRow, exception: &Exception) -> DeliverySummary {
        let (status, attempts, next_attempt_at) = match exception.state {
            ExceptionState::Retrying { due, attempt, .. } => {
                let health = self.endpoints.get(&(account, row.endpoint)).map(|row| row.endpoint.health);
                let at = match health {
                    Some(LaneState::Open { until, .. }) => due.max(until),
                    _ => due,
                };
                (DeliveryStatus::Retrying, attempt - 1, Some(at))
            }
            ExceptionState::Held { attempt, .. } => (DeliveryStatus::Held, attempt - 1, None),
            ExceptionState::Abandoned { attempts } => (DeliveryStatus::Abandoned, attempts, None),
            ExceptionState::Superseded { attempts } => (DeliveryStatus::Superseded, attempts, None),
            ExceptionState::Skipped { attempts } => (DeliveryStatus::Skipped, attempts, None),
            ExceptionState::Erased { attempts } => (DeliveryStatus::Erased, attempts, None),
        };
        let last = exception.last.map(|(outcome, finished_at)| {
            let failure = row.failures.get(&(exception.place.participant, attempts, finished_at)).cloned();
            AttemptRecord {
                number: attempts.max(1),
                outcome,
                finished_at,
                latency_tenth_ms: failure.as_ref().map(|failure| failure.phases.total_tenth_ms()),
                failure,
            }
        });
        let blank = self.blank(account, exception.fan_out, row, exception.place.participant);
        DeliverySummary { status, attempts, last, next_attempt_at, ..blank }
    }

    fn blank(&self, account: AccountId, fan_out: FanOutId, row: &FanOutRow, participant: u64) -> DeliverySummary {
        let number = ParticipantNumber::new(participant).expect("participants are numbered from one");
        let person = self.people.get(&(account, participant)).map(|person| &person.participant);
        DeliverySummary {
            id: DeliveryId::new(fan_out, number),
            event: row.event,
            endpoint: row.endpoint,
            participant,
            person: person.map(|person| (person.name.clone(), person.email.clone())),
            status: DeliveryStatus::Delivered,
            attempts: 0,
            last: None,
            next_attempt_at: None,
        }
    }
}

impl FanOutRow {
    fn record(&self, entry: &Entry) -> AttemptRecord {
        let finished_at = Timestamp::from_millisecond(entry.finished_ms).expect("a time of the suite");
        AttemptRecord {
            number: entry.attempt,
            outcome: entry.outcome,
            finished_at,
            latency_tenth_ms: Some(entry.latency_tenth_ms),
            failure: self.failures.get(&(entry.participant, entry.attempt, finished_at)).cloned(),
        }
    }
}
