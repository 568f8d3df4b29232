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
        /// Since when nothing has been accepted.
        since: Timestamp,
    },
    /// The endpoint said 410. Its backlog stays.
    Gone {
        /// When it said so.
        since: Timestamp,
    },
    /// It has failed for so long that nothing is tried any more. Its backlog stays.
    Disabled {
        /// Since when.
        since: Timestamp,
    },
}

/// What bounds a lane.
#[derive(Clone, Copy, Debug)]
pub struct LanePolicy {
    /// Requests in flight at most while all is well.
    pub window: u32,
    /// An endpoint that has failed for this long is disabled.
    pub disable_after: Duration,
}

/// One failure may be chance; a window's worth would be a burst of errors at a receiver that is down.
const FAILURES_TO_OPEN: u32 = 5;
const PROBE_DELAY_FIRST: Duration = Duration::from_secs(5);
/// A receiver that is back is noticed within this time.
const PROBE_DELAY_MAX: Duration = Duration::from_secs(300);
/// Three days: long enough for a weekend, shorter than the schedule of a delivery.
pub const DISABLE_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);
/// An endpoint with little to send may fail rarely: time alone does not disable it.
const FAILURES_TO_DISABLE: u32 = 20;

impl Default for LaneState {
    fn default() -> LaneState {
        LaneState::Healthy { failures: 0 }
    }
}

impl LaneState {
    /// Decides the state after an attempt that said `sign` of the endpoint.
    pub fn after(self, sign: Sign, policy: LanePolicy, now: Timestamp, jitter: Jitter) -> LaneState {
        match (self, sign) {
            (ended @ (LaneState::Gone { .. } | LaneState::Disabled { .. }), _) => ended,
            (_, Sign::Gone) => LaneState::Gone { since: now },
            (state, Sign::Throttling(wait)) => state.throttled(now, now + wait),
            (LaneState::Healthy { .. }, Sign::Alive) => LaneState::Healthy { failures: 0 },
            // What was in flight when the lane opened comes back, well or not; the wait that was asked for stands.
            (open @ LaneState::Open { until, .. }, Sign::Alive | Sign::Failing(_)) if now < until => open,
            (LaneState::Open { failures, .. }, Sign::Alive) => LaneState::SlowStart { window: 2, failures },
            (LaneState::SlowStart { window, failures }, Sign::Alive) => match window.saturating_add(1) {
                window if window >= policy.window => LaneState::Healthy { failures: 0 },
                window => LaneState::SlowStart { window, failures },
            },
            (LaneState::Healthy { failures }, Sign::Failing(Duration::ZERO)) if failures + 1 < FAILURES_TO_OPEN => {
                LaneState::Healthy { failures: failures + 1 }
            }
            (LaneState::Healthy { .. }, Sign::Failing(asked)) => {
                Outage { failures: 1, since: now }.wait(asked, now, jitter)
            }
            (LaneState::SlowStart { failures, .. }, Sign::Failing(asked)) => {
                Outage { failures: failures.saturating_add(1), since: now }.wait(asked, now, jitter)
            }
            (LaneState::Open { failures, since, .. }, Sign::Failing(asked)) => {
                let outage = Outage { failures: failures.saturating_add(1), since };
                if outage.is_over_the(policy.disable_after, now) {
                    return LaneState::Disabled { since: now };
                }
                outage.wait(asked, now, jitter)
            }
        }
    }

    /// Its name, as stores and people know it.
    pub fn name(self) -> &'static str {
        match self {
            LaneState::Healthy { .. } => "healthy",
            LaneState::SlowStart { .. } => "slow_start",
            LaneState::Open { .. } => "open",
            LaneState::Gone { .. } => "gone",
            LaneState::Disabled { .. } => "disabled",
        }
    }

    /// How many requests may be in flight now, of at most `limit`.
    pub fn window(self, limit: u32, now: Timestamp) -> u32 {
        match self {
            LaneState::Healthy { .. } => limit,
            LaneState::SlowStart { window, .. } => window.min(limit),
            LaneState::Open { until, .. } => u32::from(now >= until),
            LaneState::Gone { .. } | LaneState::Disabled { .. } => 0,
        }
    }

    /// Nothing leaves until its owner says so.
    pub fn is_ended(self) -> bool {
        matches!(self, LaneState::Gone { .. } | LaneState::Disabled { .. })
    }

    fn throttled(self, now: Timestamp, until: Timestamp) -> LaneState {
        match self {
            LaneState::Open { failures, until: already, since } => {
                LaneState::Open { failures, until: already.max(until), since }
            }
            LaneState::SlowStart { failures, .. } => LaneState::Open { failures, until, since: now },
            LaneState::Healthy { .. } | LaneState::Gone { .. } | LaneState::Disabled { .. } => {
                LaneState::Open { failures: 0, until, since: now }
            }
        }
    }
}

/// A row of failures with no success between them.
#[derive(Clone, Copy)]
struct Outage {
    failures: u32,
    since: Timestamp,
}

impl Outage {
    /// Open until the growing delay is over, and not before the time `asked` for.
    fn wait(self, asked: Duration, now: Timestamp, jitter: Jitter) -> LaneState {
        let Outage { failures, since } = self;
        let doubled = PROBE_DELAY_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let until = now + jitter.spread(doubled.min(PROBE_DELAY_MAX));
        LaneState::Open { failures, until: until.max(now + asked), since }
    }

    fn is_over_the(self, limit: Duration, now: Timestamp) -> bool {
        let lasted = Duration::try_from(now.duration_since(self.since)).unwrap_or_default();
        self.failures >= FAILURES_TO_DISABLE && lasted >= limit
    }
}

#[cfg(test)]
mod tests;
