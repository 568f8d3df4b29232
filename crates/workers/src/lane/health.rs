//! How the lane's endpoint is doing: what attempts say of it, and what its owner says.

use std::mem::discriminant;

use jiff::Timestamp;
use provider::concurrency::Concurrency;
use provider::judge::{Jitter, Sign};
use provider::lane::{LanePolicy, LaneState};
use store::{DisabledBecause, NewNotice};
use wire::NoticeId;

use super::Lane;
use super::sender::Done;
use super::share::Voice;

impl Lane {
    pub(super) fn note_health(&mut self, done: &Done, sign: Sign, now: Timestamp, jitter: Jitter) {
        match sign {
            Sign::Alive => {
                self.share.note(Voice::Answering);
                self.concurrency.note_answer(done.phases.total, self.in_flight.len() + 1);
            }
            Sign::Failing(_) => {
                self.share.note(Voice::Silent);
                self.concurrency.note_failure();
            }
            Sign::Throttling(_) | Sign::Gone => {}
        }
        let policy = LanePolicy { window: self.concurrency.limit(), disable_after: self.context.bounds.disable_after };
        let health = self.health.after(sign, policy, now, jitter);
        if discriminant(&health) != discriminant(&self.health) {
            tracing::info!(endpoint = %self.lease.endpoint, health = health.name(), after = %done.outcome, "an endpoint changed");
        }
        if let (LaneState::Open { .. }, LaneState::SlowStart { .. }) = (self.health, health) {
            // What it could bear before says little.
            self.concurrency = Concurrency::new(self.settings.concurrency_max);
        }
        if health.is_ended() && !self.health.is_ended() {
            self.notice = Some(self.given_up(health, now));
        }
        self.health = health;
    }

    /// Tells the owner that the endpoint gets nothing more.
    fn given_up(&self, health: LaneState, now: Timestamp) -> NewNotice {
        let id = NoticeId::from_bytes(self.context.chance.id_bytes(now));
        let because = match (self.health, health) {
            (LaneState::Open { since, .. }, LaneState::Disabled { .. }) => DisabledBecause::FailingSince(since),
            _ => DisabledBecause::Gone,
        };
        NewNotice::endpoint_disabled(id, self.lease.endpoint, because, now)
    }

    /// The owner may have said that the endpoint is well again.
    pub(super) fn take_over_health(&mut self, health: LaneState) {
        // What was read before our last commit says less than we know.
        let is_current = !self.commit.is_under_way() && self.plan.knows_all_commits();
        // Where the store knew of no failing, there was nothing to forgive: what we have learned since stands.
        let was_failing = !matches!(self.stored_health, LaneState::Healthy { .. });
        if health == LaneState::default() && was_failing && is_current {
            (self.health, self.stored_health) = (health, health);
            self.concurrency = Concurrency::new(self.settings.concurrency_max);
        }
    }
}
