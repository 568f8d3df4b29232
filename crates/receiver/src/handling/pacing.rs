//! How fast a handler may go: a schedule for each of its rates, and every one must allow an attempt.
//! Times are since some fixed moment on a clock that never goes back.

use std::time::Duration;

use super::HandlerRate;

/// The schedules of a handler's rates.
#[derive(Debug, Clone, Default)]
pub struct Paces {
    paces: Vec<Pace>,
}

/// The schedule of one rate (the generic cell rate algorithm): when the next attempt would be due if all had been evenly
/// spaced.
#[derive(Debug, Clone)]
struct Pace {
    interval: Duration,
    /// How far the attempts of a burst may be ahead of even spacing.
    ahead_max: Duration,
    even_next: Duration,
}

/// One in so many of a window's attempts may begin at once after a pause. The others are spaced so that burst and even
/// flow together stay within the rate in ANY window of its length: the other side may count from wherever it likes.
const BURST_SHARE: u32 = 10;

impl Paces {
    /// The schedules of these rates; nothing has begun so far.
    #[must_use]
    pub fn new(rates: &[HandlerRate]) -> Paces {
        Paces { paces: rates.iter().map(Pace::new).collect() }
    }

    /// How long the next attempt has to wait at `now`.
    #[must_use]
    pub fn wait(&self, now: Duration) -> Duration {
        self.paces.iter().map(|pace| pace.wait(now)).max().unwrap_or_default()
    }

    /// Notes that an attempt begins at `now`.
    pub fn note(&mut self, now: Duration) {
        for pace in &mut self.paces {
            pace.even_next = pace.even_next.max(now) + pace.interval;
        }
    }
}

impl Pace {
    fn new(rate: &HandlerRate) -> Pace {
        let attempts = rate.attempts.max(1);
        let burst = (attempts / BURST_SHARE).max(1);
        let evenly = u128::from(attempts - burst + 1);
        // Rounded up: a shorter interval would let one too many through.
        let nanos = rate.per.as_nanos().div_ceil(evenly);
        let interval = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Pace { interval, ahead_max: interval.saturating_mul(burst - 1), even_next: Duration::ZERO }
    }

    fn wait(&self, now: Duration) -> Duration {
        self.even_next.saturating_sub(now).saturating_sub(self.ahead_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(attempts: u32, seconds: u64) -> HandlerRate {
        HandlerRate { attempts, per: Duration::from_secs(seconds) }
    }

    /// When attempts begin in the first `seconds`, if each begins as soon as it may.
    fn begun(rates: &[HandlerRate], seconds: u64) -> Vec<Duration> {
        let (mut paces, mut now, mut begun) = (Paces::new(rates), Duration::from_secs(1_000), Vec::new());
        let end = now + Duration::from_secs(seconds);
        while now < end {
            begun.push(now);
            paces.note(now);
            now += paces.wait(now);
        }
        begun
    }

    fn most_in_any(window: Duration, begun: &[Duration]) -> usize {
        let within = |(place, first)| begun.partition_point(|later| *later < first + window) - place;
        begun.iter().copied().enumerate().map(within).max().unwrap_or_default()
    }

    #[test]
    fn no_window_ever_holds_more_than_the_rate_and_little_less() {
        for (attempts, seconds) in [(1, 1), (2, 1), (7, 3), (30, 1), (100, 60), (10_000, 300)] {
            let rate = rate(attempts, seconds);
            let begun = begun(&[rate], seconds * 4);
            let most = most_in_any(rate.per, &begun);
            assert!(most <= attempts as usize, "{most} of {attempts}");
            let least = attempts as usize * 4 * 9 / 10;
            assert!(begun.len() >= least, "{} of {attempts} four times", begun.len());
        }
    }

    #[test]
    fn every_rate_holds() {
        let zapier = [rate(30, 1), rate(10_000, 300)];
        let begun = begun(&zapier, 600);
        assert!(most_in_any(zapier[0].per, &begun) <= 30);
        assert!(most_in_any(zapier[1].per, &begun) <= 10_000);
    }

    #[test]
    fn a_pause_earns_a_small_burst_and_no_more() {
        let mut paces = Paces::new(&[rate(100, 60)]);
        let now = Duration::from_secs(86_400);
        let at_once = (0..100).take_while(|_| {
            let may = paces.wait(now).is_zero();
            paces.note(now);
            may
        });
        assert_eq!(at_once.count(), 10);
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut paces = Paces::new(&[]);
        paces.note(Duration::ZERO);
        assert_eq!(paces.wait(Duration::ZERO), Duration::ZERO);
    }
}
