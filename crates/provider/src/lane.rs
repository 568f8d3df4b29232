//! The state of a lane: how many requests its endpoint may get now, and how that follows from what came back.

use std::time::Duration;

use jiff::Timestamp;

use crate::judge::{Jitter, Sign};

/// How an endpoint is doing. The owner's own switch (paused, disabled by hand) is beside it, not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// Full window; `failures` in a row so far.
    Healthy {
        /// Endpoint failures since the last answer.
        failures: u32,
    },
    /// Back from a failure: the window doubles with each round of answers.
    SlowStart {
        /// Requests that may be in flight.
        window: u32,
        /// Failures of the outage it comes back from; a relapse goes on from there.
        failures: u32,
    },
    /// Failing or throttled: nothing leaves until `until`, then a single probe.
    Open {
        /// Failed probes so far.
        failures: u32,
        /// When the next probe may leave.
        until: Timestamp,
    },
    /// The endpoint said 410. Its backlog stays.
    Gone {
        /// When it said so.
        since: Timestamp,
    },
}

/// One failure may be chance; a window's worth would be a burst of errors at a receiver that is down.
const FAILURES_TO_OPEN: u32 = 5;
const PROBE_DELAY_FIRST: Duration = Duration::from_secs(5);
/// A receiver that is back is noticed within this time.
const PROBE_DELAY_MAX: Duration = Duration::from_secs(300);

impl Default for LaneState {
    fn default() -> LaneState {
        LaneState::Healthy { failures: 0 }
    }
}

impl LaneState {
    /// Decides the state after an attempt that said `sign` of the endpoint.
    pub fn after(self, sign: Sign, limit: u32, now: Timestamp, jitter: Jitter) -> LaneState {
        match (self, sign) {
            (gone @ LaneState::Gone { .. }, _) => gone,
            (_, Sign::Gone) => LaneState::Gone { since: now },
            (state, Sign::Throttling(wait)) => state.throttled(now + wait),
            (LaneState::Healthy { .. }, Sign::Alive) => LaneState::Healthy { failures: 0 },
            (LaneState::Open { failures, .. }, Sign::Alive) => LaneState::SlowStart { window: 2, failures },
            (LaneState::SlowStart { window, failures }, Sign::Alive) => match window.saturating_add(1) {
                window if window >= limit => LaneState::Healthy { failures: 0 },
                window => LaneState::SlowStart { window, failures },
            },
            (LaneState::Healthy { failures }, Sign::Failing) if failures + 1 < FAILURES_TO_OPEN => {
                LaneState::Healthy { failures: failures + 1 }
            }
            (LaneState::Healthy { .. }, Sign::Failing) => opened(1, now, jitter),
            (LaneState::SlowStart { failures, .. }, Sign::Failing) => opened(failures + 1, now, jitter),
            // What was in flight when the lane opened comes back failed too; that is not news.
            (open @ LaneState::Open { until, .. }, Sign::Failing) if now < until => open,
            (LaneState::Open { failures, .. }, Sign::Failing) => opened(failures.saturating_add(1), now, jitter),
        }
    }

    /// How many requests may be in flight now, of at most `limit`.
    pub fn window(self, limit: u32, now: Timestamp) -> u32 {
        match self {
            LaneState::Healthy { .. } => limit,
            LaneState::SlowStart { window, .. } => window.min(limit),
            LaneState::Open { until, .. } => u32::from(now >= until),
            LaneState::Gone { .. } => 0,
        }
    }

    /// The moment before which nothing may leave, if there is one.
    pub fn closed_until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            LaneState::Open { until, .. } if until > now => Some(until),
            _ => None,
        }
    }

    fn throttled(self, until: Timestamp) -> LaneState {
        match self {
            LaneState::Open { failures, until: already } => LaneState::Open { failures, until: already.max(until) },
            LaneState::SlowStart { failures, .. } => LaneState::Open { failures, until },
            LaneState::Healthy { .. } | LaneState::Gone { .. } => LaneState::Open { failures: 0, until },
        }
    }
}

fn opened(failures: u32, now: Timestamp, jitter: Jitter) -> LaneState {
    let doubled = PROBE_DELAY_FIRST.saturating_mul(1 << (failures - 1).min(16));
    LaneState::Open { failures, until: now + jitter.spread(doubled.min(PROBE_DELAY_MAX)) }
}

#[cfg(test)]
mod tests;
