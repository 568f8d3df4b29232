//! The judge: from a failed attempt to what becomes of the run. What it says of the handler's target is decided in
//! `rest`.

use std::time::Duration;

use jiff::Timestamp;

use super::{HandlerRules, RunFailure, RunFailureKind};

/// What becomes of a run after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunVerdict {
    /// Another attempt.
    Again {
        /// When it is due.
        due: Timestamp,
    },
    /// None: it is a dead letter until somebody asks for it anew.
    Park,
}

/// A number in [0, 1) from the binary's source of chance.
#[derive(Debug, Clone, Copy)]
pub struct Jitter(f64);

/// The other side may ask for more time, but not for so long that nobody would notice a mistake.
const AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// Retries spread by a tenth to either side, so that failures of one moment do not return in one moment.
const JITTER_SHARE: f64 = 0.1;

impl Jitter {
    /// From 64 random bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Jitter {
        Jitter((bits >> 11) as f64 / (1_u64 << 53) as f64)
    }

    fn spread(self, delay: Duration) -> Duration {
        delay.mul_f64(1.0 + JITTER_SHARE * (2.0 * self.0 - 1.0))
    }
}

/// Decides what becomes of a run whose attempt number `attempts` (from 1) failed at `now`. The other side may put the
/// next attempt off, by a day at most, and never bring it forward.
#[must_use]
pub fn judge(failure: &RunFailure, attempts: u32, rules: &HandlerRules, now: Timestamp, jitter: Jitter) -> RunVerdict {
    let asked = match failure.kind {
        RunFailureKind::Hopeless => return RunVerdict::Park,
        RunFailureKind::Retry { after } | RunFailureKind::Target { after } => after.unwrap_or_default(),
    };
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(delay) = rules.retry.get(place) else { return RunVerdict::Park };
    let wait = jitter.spread(*delay).max(asked.min(AFTER_MAX));
    RunVerdict::Again { due: now.checked_add(wait).unwrap_or(Timestamp::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: Jitter = Jitter(0.5);

    fn verdict(kind: RunFailureKind, attempts: u32) -> Option<Duration> {
        let failure = RunFailure { kind, reason: "the table is locked".to_owned() };
        match judge(&failure, attempts, &HandlerRules::named("crm"), Timestamp::UNIX_EPOCH, MIDDLE) {
            RunVerdict::Again { due } => Some(due.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()),
            RunVerdict::Park => None,
        }
    }

    fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn the_usual_schedule_makes_eight_attempts_and_parks() {
        let delays: Vec<_> = (1..=8).map(|attempts| verdict(RunFailureKind::Retry { after: None }, attempts)).collect();
        let wanted = [5, 30, 300, 1_800, 7_200, 18_000, 36_000].map(seconds);
        assert_eq!(delays[..7], wanted);
        assert_eq!(delays[7], None);
    }

    #[test]
    fn what_is_hopeless_is_parked_at_once() {
        assert_eq!(verdict(RunFailureKind::Hopeless, 1), None);
    }

    #[test]
    fn a_target_that_is_down_costs_an_attempt_like_any_other() {
        assert_eq!(verdict(RunFailureKind::Target { after: None }, 2), seconds(30));
        assert_eq!(verdict(RunFailureKind::Target { after: seconds(60) }, 8), None);
    }

    #[test]
    fn the_other_side_may_ask_for_later_but_not_for_sooner_or_for_ever() {
        assert_eq!(verdict(RunFailureKind::Retry { after: seconds(120) }, 1), seconds(120));
        assert_eq!(verdict(RunFailureKind::Retry { after: seconds(1) }, 1), seconds(5));
        assert_eq!(verdict(RunFailureKind::Target { after: Some(Duration::MAX) }, 1), Some(AFTER_MAX));
    }

    #[test]
    fn retries_spread_by_a_tenth() {
        let (least, most) = (Jitter::from_bits(0), Jitter::from_bits(u64::MAX));
        let delay = Duration::from_secs(100);
        assert_eq!(least.spread(delay), Duration::from_secs(90));
        assert!((Duration::from_secs(109)..=Duration::from_secs(110)).contains(&most.spread(delay)));
    }
}
