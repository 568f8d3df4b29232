//! When a whole handler rests: its target is down or asks for less, so that further attempts would only cost messages.
//! Times are since some fixed moment on a clock that never goes back.

use std::time::Duration;

use super::{RunFailure, RunFailureKind};

/// Whether a handler's target answers, or since how many failures it does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rest {
    /// In a row; none while it answers.
    failures: u32,
    /// Nothing begins before; then one run, to see.
    until: Duration,
}

/// What the end of an attempt says of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetSign {
    /// It answers, if only to refuse this message.
    Alive,
    /// It is down or asks for less.
    Down {
        /// What it asked for.
        after: Option<Duration>,
    },
    /// Nothing: the attempt took too long, or the handler broke.
    Silent,
}

const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// A target that is back is noticed within this time.
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// A target may ask for more time, but not for so long that nobody would notice a mistake.
const ASKED_MAX: Duration = Duration::from_secs(3600);

impl TargetSign {
    /// What the handler's own answer says.
    #[must_use]
    pub fn of(failure: Option<&RunFailure>) -> TargetSign {
        match failure.map(|failure| failure.kind) {
            Some(RunFailureKind::Target { after }) => TargetSign::Down { after },
            Some(RunFailureKind::Retry { .. } | RunFailureKind::Hopeless) | None => TargetSign::Alive,
        }
    }
}

impl Rest {
    /// Whether the target is taken to be down: one run at a time, to see.
    #[must_use]
    pub fn is_resting(self) -> bool {
        self.failures > 0
    }

    /// How many runs may be under way at `now`.
    #[must_use]
    pub fn window(self, concurrency: usize, now: Duration) -> usize {
        match self.failures {
            0 => concurrency,
            _ if now < self.until => 0,
            _ => 1,
        }
    }

    /// How long nothing begins from `now` on.
    #[must_use]
    pub fn wait(self, now: Duration) -> Duration {
        if self.is_resting() { self.until.saturating_sub(now) } else { Duration::ZERO }
    }

    /// Decides after an attempt that ended at `now`. What was under way when the rest began comes back well or not; the
    /// rest stands, and grows only where the target asks for it.
    #[must_use]
    pub fn after(self, sign: TargetSign, now: Duration) -> Rest {
        let has_just_begun = self.is_resting() && now < self.until;
        match sign {
            TargetSign::Alive if has_just_begun => self,
            TargetSign::Alive => Rest::default(),
            TargetSign::Down { after } if has_just_begun => Rest { until: self.until.max(now + asked(after)), ..self },
            TargetSign::Down { after } => {
                let failures = self.failures.saturating_add(1);
                Rest { failures, until: now + pause(failures).max(asked(after)) }
            }
            TargetSign::Silent if self.is_resting() && !has_just_begun => {
                Rest { until: now + pause(self.failures), ..self }
            }
            TargetSign::Silent => self,
        }
    }
}

fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (PAUSE_FIRST * (1 << doublings)).min(PAUSE_MAX)
}

fn asked(after: Option<Duration>) -> Duration {
    after.unwrap_or_default().min(ASKED_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: TargetSign = TargetSign::Down { after: None };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_target_that_stays_down_is_tried_after_one_two_four_seconds_and_at_last_every_five_minutes() {
        let (mut rest, mut now, mut waits) = (Rest::default(), at(100), Vec::new());
        for _ in 0..12 {
            rest = rest.after(DOWN, now);
            waits.push(rest.wait(now).as_secs());
            now += rest.wait(now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn nothing_begins_while_it_rests_then_one_to_see() {
        let rest = Rest::default().after(DOWN, at(100));
        assert_eq!(rest.window(4, at(100)), 0);
        assert_eq!(rest.window(4, at(101)), 1);
        assert_eq!(Rest::default().window(4, at(100)), 4);
    }

    #[test]
    fn an_answer_to_the_one_ends_the_rest() {
        let rest = Rest::default().after(DOWN, at(100)).after(TargetSign::Alive, at(101));
        assert_eq!(rest, Rest::default());
    }

    #[test]
    fn what_was_under_way_neither_ends_nor_lengthens_the_rest() {
        let rest = Rest::default().after(DOWN, at(100));
        for straggler in [DOWN, TargetSign::Alive, TargetSign::Silent] {
            assert_eq!(rest.after(straggler, at(100)), rest);
        }
    }

    #[test]
    fn the_target_may_ask_for_a_longer_rest_of_an_hour_at_most() {
        let asks = |seconds| TargetSign::Down { after: Some(at(seconds)) };
        assert_eq!(Rest::default().after(asks(90), at(100)).wait(at(100)), at(90));
        assert_eq!(Rest::default().after(asks(86_400), at(100)).wait(at(100)), at(3_600));
        assert_eq!(Rest::default().after(DOWN, at(100)).after(asks(90), at(100)).wait(at(100)), at(90));
    }

    #[test]
    fn a_silence_is_no_reason_to_rest_but_ends_no_rest_either() {
        assert_eq!(Rest::default().after(TargetSign::Silent, at(100)), Rest::default());
        let rest = Rest::default().after(DOWN, at(100)).after(TargetSign::Silent, at(131));
        assert_eq!(rest.wait(at(131)), at(1));
    }

    #[test]
    fn only_failures_of_the_target_are_signs_against_it() {
        let failure = |kind| RunFailure { kind, reason: String::new() };
        assert_eq!(TargetSign::of(None), TargetSign::Alive);
        assert_eq!(TargetSign::of(Some(&failure(RunFailureKind::Hopeless))), TargetSign::Alive);
        assert_eq!(TargetSign::of(Some(&failure(RunFailureKind::Retry { after: None }))), TargetSign::Alive);
        assert_eq!(TargetSign::of(Some(&failure(RunFailureKind::Target { after: None }))), DOWN);
    }
}
