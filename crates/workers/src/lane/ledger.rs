//! The ledger: what has ended since the last commit, gathered into one settlement.

use std::time::Duration;

use jiff::Timestamp;
use provider::attempt::FailureDetail;
use provider::frontier::Place;
use provider::judge::Verdict;
use provider::segment::{Entry, Segment};
use store::{Exception, ExceptionState, FailedAttempt, Settlement};
use tokio::time::Instant;
use wire::FanOutId;

use super::plan::Row;
use super::sender::Done;

/// Outcomes not yet committed.
#[derive(Default)]
pub(crate) struct Ledger {
    /// A lane has few fan-outs open at a time, so a list is searched faster than a map.
    entries: Vec<(FanOutId, Vec<Entry>)>,
    delivered: Vec<(FanOutId, u64)>,
    exceptions: Vec<Exception>,
    recovered: Vec<(FanOutId, u64)>,
    /// First attempts among them, for the speed.
    first_attempts: u64,
    failures: Vec<FailedAttempt>,
    count: usize,
    oldest: Option<Instant>,
}

/// As many outcomes as make the cost of a commit small for each.
const WORTH_A_COMMIT: usize = 64;
/// Fewer wait this long for company: one row for each answer of a slow receiver would be a row for each delivery.
const COMPANY_TIME: Duration = Duration::from_millis(50);

impl Ledger {
    /// Finished attempts it holds.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// People who were tried for the first time.
    pub(crate) fn first_attempts(&self) -> u64 {
        self.first_attempts
    }

    /// There are enough outcomes for a commit, or the first has waited for others long enough.
    pub(crate) fn is_worth_a_commit(&self) -> bool {
        self.count >= WORTH_A_COMMIT || self.oldest.is_some_and(|oldest| oldest.elapsed() >= COMPANY_TIME)
    }

    pub(crate) fn record(&mut self, done: &Done, verdict: Verdict, row: Row, now: Timestamp) {
        let (fan_out, place) = (done.errand.letter.fan_out.id, done.errand.place);
        let latency_tenth_ms = done.phases.total_tenth_ms();
        let attempt = done.errand.attempt;
        let finished_ms = now.as_millisecond();
        let entry =
            Entry { participant: place.participant, attempt, outcome: done.outcome, finished_ms, latency_tenth_ms };
        at(&mut self.entries, fan_out).push(entry);
        self.count += 1;
        self.first_attempts += u64::from(attempt == 1);
        self.oldest.get_or_insert_with(Instant::now);
        if let Some(reason) = &done.reason {
            let detail = FailureDetail { phases: done.phases, reason: reason.clone() };
            let participant = place.participant;
            self.failures.push(FailedAttempt { fan_out, participant, attempt, finished_at: now, detail });
        }

        let state = match verdict {
            Verdict::Delivered => {
                *at(&mut self.delivered, fan_out) += 1;
                if row == Row::Exists {
                    self.recovered.push((fan_out, place.participant));
                }
                return;
            }
            Verdict::RetryAt { due, charged } => {
                ExceptionState::Retrying { due, attempt: attempt.saturating_add(1), charged }
            }
            Verdict::Abandon => ExceptionState::Abandoned { attempts: attempt },
        };
        self.exceptions.push(Exception { fan_out, place, state, last: Some((done.outcome, now)) });
    }

    /// Notes that somebody was erased before their turn.
    pub(crate) fn record_erased(&mut self, fan_out: FanOutId, place: Place) {
        self.exceptions.push(Exception { fan_out, place, state: ExceptionState::Erased { attempts: 0 }, last: None });
        self.count += 1;
        self.oldest.get_or_insert_with(Instant::now);
    }

    /// Everything so far, packed; the ledger is empty afterwards.
    pub(crate) fn take(&mut self) -> Settlement {
        let full = std::mem::take(self);
        let segments =
            full.entries.into_iter().filter_map(|(fan_out, entries)| Some((fan_out, Segment::pack(entries)?)));
        Settlement {
            segments: segments.collect(),
            delivered: full.delivered,
            exceptions: full.exceptions,
            recovered: full.recovered,
            failures: full.failures,
            ..Settlement::default()
        }
    }
}

/// The value kept for `fan_out`, made if there is none.
fn at<T: Default>(list: &mut Vec<(FanOutId, T)>, fan_out: FanOutId) -> &mut T {
    let found = list.iter().position(|(id, _)| *id == fan_out);
    let index = found.unwrap_or_else(|| {
        list.push((fan_out, T::default()));
        list.len() - 1
    });
    &mut list[index].1
}
