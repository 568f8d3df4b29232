//! What settlements say, row by row: each row of a table once, in the order of keys.

use std::collections::BTreeMap;

use jiff::Timestamp;
use provider::attempt::Outcome;
use provider::frontier::Place;
use provider::lane::LaneState;
use provider::segment::Segment;
use store::{Exception, ExceptionState, FailedAttempt, NewNotice};
use wire::{AccountId, EndpointId, FanOutId};

use super::{Asked, last_failure};
use crate::backlog::LaneKeys;
use crate::columns::{Id, number, values};
use crate::outcome::{Fate, Mark, Witness, find_out};
use crate::session::Pool;

/// Whose delivery of which fan-out.
pub(super) type DeliveryKey = (AccountId, FanOutId, u64);

/// The rows of settlements.
#[derive(Default)]
pub(super) struct Batch<'a> {
    pub(super) segments: Vec<(AccountId, FanOutId, &'a Segment)>,
    pub(super) fan_outs: BTreeMap<(AccountId, FanOutId), Progress>,
    pub(super) exceptions: BTreeMap<DeliveryKey, ExceptionRow>,
    pub(super) recovered: Vec<DeliveryKey>,
    pub(super) failures: Vec<(AccountId, &'a FailedAttempt)>,
    pub(super) lanes: BTreeMap<(AccountId, EndpointId), LaneChange>,
    pub(super) notices: Vec<(AccountId, &'a NewNotice)>,
    /// Lanes with rows that may not agree with an order that came meanwhile.
    pub(super) to_align: LaneKeys,
    /// What rows that are due at once are due by.
    pub(super) now: Option<i64>,
    count: usize,
}

/// How far a fan-out has got.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) cursor: Option<Place>,
    pub(super) delivered: u64,
    pub(super) is_swept: bool,
}

/// What becomes of a delivery that did not simply succeed.
pub(super) struct ExceptionRow {
    pub(super) endpoint: EndpointId,
    pub(super) index: u64,
    pub(super) state: ExceptionState,
    pub(super) last: Option<(Outcome, Timestamp)>,
}

/// What a commit changes of a lane's own row; mostly nothing.
#[derive(Default)]
pub(super) struct LaneChange {
    pub(super) health: Option<LaneState>,
    pub(super) per_minute: Option<u32>,
    pub(super) last_failure: Option<(Timestamp, String)>,
}

impl<'a> Batch<'a> {
    pub(super) fn of(asked: impl Iterator<Item = &'a Asked>) -> Batch<'a> {
        let mut batch = Batch::default();
        asked.for_each(|asked| batch.take(asked));
        // Removed in the same commit, it need not be written first.
        for key in &batch.recovered {
            batch.exceptions.remove(key);
        }
        batch.recovered.sort_unstable();
        batch.recovered.dedup();
        batch
    }

    /// There is nobody to write for.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn take(&mut self, asked: &'a Asked) {
        let (settlement, account, endpoint) = (&asked.settlement, asked.lease.account, asked.lease.endpoint);
        self.count += 1;
        self.segments.extend(settlement.segments.iter().map(|(fan_out, segment)| (account, *fan_out, segment)));
        for (fan_out, place) in &settlement.cursors {
            self.progress(account, *fan_out).cursor = Some(*place);
        }
        for (fan_out, count) in &settlement.delivered {
            self.progress(account, *fan_out).delivered += count;
        }
        for fan_out in &settlement.swept {
            self.progress(account, *fan_out).is_swept = true;
        }
        for exception in &settlement.exceptions {
            self.take_exception(account, endpoint, exception);
        }
        let recovered = settlement.recovered.iter().map(|(fan_out, participant)| (account, *fan_out, *participant));
        self.recovered.extend(recovered);
        self.failures.extend(settlement.failures.iter().map(|failed| (account, failed)));
        self.notices.extend(settlement.notice.iter().map(|notice| (account, notice)));
        if last_failure(settlement).is_some() {
            self.to_align.insert((account, endpoint));
            self.now = self.now.max(asked.now);
        }
        let last_failure = settlement.failures.last();
        if settlement.health.is_some() || settlement.per_minute.is_some() || last_failure.is_some() {
            let lane = self.lanes.entry((account, endpoint)).or_default();
            lane.health = settlement.health.or(lane.health);
            lane.per_minute = settlement.per_minute.or(lane.per_minute);
            let told = last_failure.map(|failed| (failed.finished_at, failed.detail.reason.as_str().to_owned()));
            lane.last_failure = told.or(lane.last_failure.take());
        }
    }

    fn progress(&mut self, account: AccountId, fan_out: FanOutId) -> &mut Progress {
        self.fan_outs.entry((account, fan_out)).or_default()
    }

    fn take_exception(&mut self, account: AccountId, endpoint: EndpointId, exception: &Exception) {
        let Exception { fan_out, place, state, last } = *exception;
        let key = (account, fan_out, place.participant);
        // What the last attempt was stays known where the next says nothing of it.
        let last = last.or_else(|| self.exceptions.get(&key)?.last);
        self.exceptions.insert(key, ExceptionRow { endpoint, index: place.index, state, last });
    }

    /// What became of the transaction that wrote this. A segment is its witness: the times and attempts in it are those of
    /// no other commit. What has none is small, and safe to read anew.
    pub(super) async fn find_out(&self, pool: &Pool, mark: &Mark) -> Fate {
        let Some((account, fan_out, segment)) = self.segments.first() else {
            return find_out(pool, mark, None).await;
        };
        let sql = "select 1 from segment where account = $1 and fan_out = $2 and last_participant = $3
            and first_participant = $4 and outcomes = $5";
        let (first, last) = (segment.first.cast_signed(), segment.last.cast_signed());
        let values = values![number(*account), fan_out.bytes(), last, first, segment.bytes.as_slice()];
        find_out(pool, mark, Some(Witness { sql, values })).await
    }
}
