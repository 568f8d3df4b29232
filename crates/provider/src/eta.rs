//! How fast a lane has been lately, and when a fan-out will have reached everyone at that speed.

use std::time::Duration;

use jiff::Timestamp;

/// Measures how many people a lane reaches for the first time in a minute.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    since: Duration,
    reached: u64,
    per_minute: Option<f64>,
}

/// A measurement takes at least this long: less would be chance, and a write for each.
const MEASURED_FOR: Duration = Duration::from_secs(5);
/// What a new measurement weighs beside those before it.
const NEW_WEIGHT: f64 = 0.5;

impl Speed {
    /// Nothing is known at `now`, a time on a clock that never goes back.
    pub fn unknown(now: Duration) -> Speed {
        Speed { since: now, reached: 0, per_minute: None }
    }

    /// Notes that so many more people were reached.
    pub fn note(&mut self, people: u64) {
        self.reached += people;
    }

    /// The speed, where it has been measured anew.
    pub fn measured(&mut self, now: Duration) -> Option<u32> {
        let lasted = now.saturating_sub(self.since);
        if lasted < MEASURED_FOR {
            return None;
        }
        let new = self.reached as f64 * 60.0 / lasted.as_secs_f64();
        let before = self.per_minute.unwrap_or(new);
        let per_minute = before + (new - before) * NEW_WEIGHT;
        *self = Speed { since: now, reached: 0, per_minute: Some(per_minute) };
        Some(per_minute.round() as u32)
    }
}

/// When the last of `pending` people will have been tried once, if `ahead` others come first and `per_minute` are
/// reached in a minute. `None` where that cannot be known.
pub fn eta(pending: u64, ahead: u64, per_minute: u32, now: Timestamp) -> Option<Timestamp> {
    let minutes = pending.saturating_add(ahead) as f64 / f64::from(per_minute);
    let wait = Duration::try_from_secs_f64(minutes * 60.0).ok()?;
    now.checked_add(jiff::SignedDuration::try_from(wait).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_lane_is_measured_as_it_is() {
        let mut speed = Speed::unknown(Duration::ZERO);
        speed.note(500);
        assert_eq!(speed.measured(Duration::from_secs(4)), None);
        assert_eq!(speed.measured(Duration::from_secs(5)), Some(6_000));
        speed.note(500);
        assert_eq!(speed.measured(Duration::from_secs(10)), Some(6_000));
    }

    #[test]
    fn a_change_of_speed_shows_after_a_few_measurements() {
        let mut speed = Speed::unknown(Duration::ZERO);
        let measured: Vec<_> = (1..=8_u64)
            .map(|round| {
                speed.note(if round == 1 { 1_000 } else { 10 });
                speed.measured(Duration::from_secs(5 * round))
            })
            .collect();
        assert!(measured[7] < Some(300), "{measured:?}");
    }

    #[test]
    fn the_eta_counts_those_who_come_first() {
        let now = Timestamp::from_second(1_790_000_000).expect("in range");
        assert_eq!(eta(600, 600, 1_200, now), Some(now + Duration::from_secs(60)));
        assert_eq!(eta(0, 0, 1, now), Some(now));
        assert_eq!(eta(1, 0, 0, now), None, "at no speed it never ends");
        assert_eq!(eta(u64::MAX, u64::MAX, 1, now), None);
    }
}
