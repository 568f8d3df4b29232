//! The pace of a lane: how many requests a second its owner allows, and when the next may leave. A schedule, so that
//! nothing is ever put back into a queue because it came too early.

use std::num::NonZeroU32;
use std::time::Duration;

/// What an owner allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_minute: NonZeroU32,
    burst: NonZeroU32,
}

/// Why a rate is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Slower than once a minute, or faster than any lane can be.
    #[error("a rate is {RATE_PER_MINUTE_MIN} to {RATE_PER_MINUTE_MAX} requests a minute")]
    PerMinute,
    /// No request at all, or more than a lane may have in flight for a while.
    #[error("a burst is 1 to {BURST_MAX} requests")]
    Burst,
}

/// The slowest: a million people would take two years, so slower is surely a mistake.
pub const RATE_PER_MINUTE_MIN: u32 = 1;
/// The fastest: 100,000 a second is more than one lane sends.
pub const RATE_PER_MINUTE_MAX: u32 = 6_000_000;
/// Requests that may leave at once after a rest.
pub const BURST_MAX: u32 = 10_000;
const TENTHS_IN_A_MINUTE: u32 = 600;

impl Rate {
    /// `per_minute` requests a minute, of which `burst` may leave at once after a rest.
    pub fn new(per_minute: u32, burst: u32) -> Result<Rate, RateError> {
        let in_range = (RATE_PER_MINUTE_MIN..=RATE_PER_MINUTE_MAX).contains(&per_minute);
        let per_minute = NonZeroU32::new(per_minute).filter(|_| in_range).ok_or(RateError::PerMinute)?;
        let burst = NonZeroU32::new(burst).filter(|burst| burst.get() <= BURST_MAX).ok_or(RateError::Burst)?;
        Ok(Rate { per_minute, burst })
    }

    /// `per_minute` requests a minute, evenly: only as many at once as make up for a timer that comes late.
    pub fn steady(per_minute: u32) -> Result<Rate, RateError> {
        Rate::new(per_minute, (per_minute / TENTHS_IN_A_MINUTE).clamp(1, BURST_MAX))
    }

    /// Requests a minute.
    pub fn per_minute(self) -> u32 {
        self.per_minute.get()
    }

    /// Requests that may leave at once after a rest.
    pub fn burst(self) -> u32 {
        self.burst.get()
    }

    fn interval(self) -> Duration {
        Duration::from_secs(60) / self.per_minute.get()
    }
}

/// The schedule of one endpoint (the generic cell rate algorithm): it only remembers when the next request would be due
/// if all had been evenly spaced. Times are since some fixed moment on a clock that never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    even_next: Duration,
}

impl Pace {
    /// A pace whose endpoint has rested long enough at `now` to take a burst.
    pub fn rested(now: Duration) -> Pace {
        Pace { even_next: now }
    }

    /// How long the next request has to wait at `now`.
    pub fn wait(self, rate: Rate, now: Duration) -> Duration {
        let ahead_max = rate.interval() * (rate.burst() - 1);
        self.even_next.saturating_sub(now).saturating_sub(ahead_max)
    }

    /// Keeps to another rate from `now` on: what the former one still had to wait for does not count.
    pub fn fit(&mut self, rate: Rate, now: Duration) {
        self.even_next = self.even_next.min(now + rate.interval() * rate.burst());
    }

    /// Notes that a request leaves at `now`.
    pub fn note(&mut self, rate: Rate, now: Duration) {
        self.even_next = self.even_next.max(now) + rate.interval();
    }

    /// Nothing is remembered that a new pace would not know.
    pub fn is_rested(self, now: Duration) -> bool {
        self.even_next <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn rate(per_minute: u32, burst: u32) -> Rate {
        Rate::new(per_minute, burst).expect("a rate")
    }

    fn take(pace: &mut Pace, rate: Rate, now: Duration) -> bool {
        let may_leave = pace.wait(rate, now).is_zero();
        if may_leave {
            pace.note(rate, now);
        }
        may_leave
    }

    /// How many requests leave in `seconds` if one is tried each millisecond.
    fn sent_in(seconds: u64, rate: Rate) -> u32 {
        let mut pace = Pace::rested(START);
        let sent = (0..seconds * 1_000).filter(|ms| take(&mut pace, rate, START + Duration::from_millis(*ms)));
        sent.count() as u32
    }

    #[test]
    fn requests_leave_evenly_after_the_burst() {
        assert_eq!(sent_in(10, rate(600, 1)), 100);
        assert_eq!(sent_in(10, rate(600, 25)), 124);
        assert_eq!(sent_in(60, rate(1, 1)), 1);
    }

    #[test]
    fn the_wait_it_names_is_the_wait_it_takes() {
        let (rate, mut pace) = (rate(120, 1), Pace::rested(START));
        assert!(take(&mut pace, rate, START));
        let wait = pace.wait(rate, START + Duration::from_millis(100));
        assert_eq!(wait, Duration::from_millis(400));
        assert!(take(&mut pace, rate, START + Duration::from_millis(500)));
    }

    #[test]
    fn a_rest_earns_one_burst_and_no_more() {
        let (rate, mut pace) = (rate(60, 3), Pace::rested(START));
        let much_later = START + Duration::from_secs(86_400);
        assert!(take(&mut pace, rate, START));
        assert!(pace.is_rested(much_later));
        let sent = (0..100).filter(|_| take(&mut pace, rate, much_later)).count();
        assert_eq!(sent, 3);
    }

    #[test]
    fn a_faster_rate_holds_at_once() {
        let (slow, fast, mut pace) = (rate(1, 10_000), rate(6_000, 100), Pace::rested(START));
        (0..10_000).for_each(|_| pace.note(slow, START));
        assert!(pace.wait(fast, START) > Duration::from_secs(86_400));
        pace.fit(fast, START);
        assert!(pace.wait(fast, START) <= Duration::from_millis(10));
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        assert_eq!(Rate::new(0, 1), Err(RateError::PerMinute));
        assert_eq!(Rate::new(RATE_PER_MINUTE_MAX + 1, 1), Err(RateError::PerMinute));
        assert_eq!(Rate::new(1, 0), Err(RateError::Burst));
        assert_eq!(Rate::new(1, BURST_MAX + 1), Err(RateError::Burst));
    }
}
