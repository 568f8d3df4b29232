//! How many requests an endpoint may have in flight: more while its answers come as quickly as before, fewer when they
//! come more slowly. What a failing endpoint gets is decided in `lane`.

use std::time::Duration;

/// Requests in flight to one endpoint at most, unless its owner says otherwise: enough for 30,000 a second at 2 ms each.
pub const CONCURRENCY_MAX_DEFAULT: u32 = 64;
/// The most an owner may ask for: each costs a connection at either end.
pub const CONCURRENCY_MAX: u32 = 256;
/// An endpoint of which nothing is known yet: should it hang, no more than these are tied up.
const START: u32 = 8;
/// A receiver that answers within this time is in no distress, however much quicker it may once have been.
const QUICK: Duration = Duration::from_millis(50);
/// Answers that take this many times the usual are a queue at the receiver.
const SLOWDOWN: u32 = 2;
/// The share kept when the receiver slows down: four fifths.
const KEPT: (u32, u32) = (4, 5);
/// Rounds after which the usual latency is measured anew: a receiver may have become slower for good.
const ROUNDS_REMEMBERED: u32 = 50;
/// The share of the window left while it is measured, so that the receiver's own queue does not count.
const MEASURING_DIVISOR: u32 = 4;

/// The window of one healthy endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    limit: u32,
    max: u32,
    phase: Phase,
    round: Round,
    rounds: u32,
    usual: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Looking for the first sign of strain: every answer earns one more.
    Climbing,
    /// Every round earns one more, or costs some.
    Steady,
    /// Waiting for what is in flight before measuring.
    Draining,
    /// Measuring the usual latency with few in flight.
    Measuring,
}

/// As many answers as may be in flight: the time in which a change of the window shows.
#[derive(Clone, Copy, Debug)]
struct Round {
    length: u32,
    answers: u32,
    total: Duration,
    was_full: bool,
}

impl Concurrency {
    /// For an endpoint that may have `max` requests in flight, of which nothing is known yet.
    pub fn new(max: u32) -> Concurrency {
        let max = max.clamp(1, CONCURRENCY_MAX);
        let limit = START.min(max);
        Concurrency { limit, max, phase: Phase::Climbing, round: Round::of(limit), rounds: 0, usual: None }
    }

    /// How many may be in flight now.
    pub fn limit(&self) -> u32 {
        match self.phase {
            Phase::Climbing | Phase::Steady => self.limit,
            Phase::Draining | Phase::Measuring => (self.limit / MEASURING_DIVISOR).max(1),
        }
    }

    /// The owner allows another number.
    pub fn set_max(&mut self, max: u32) {
        self.max = max.clamp(1, CONCURRENCY_MAX);
        self.limit = self.limit.min(self.max);
    }

    /// Notes an answer that took `latency` while so many requests were in flight with it.
    pub fn note_answer(&mut self, latency: Duration, in_flight: usize) {
        let is_full = in_flight >= self.limit() as usize;
        if self.phase == Phase::Climbing && is_full && latency <= self.tolerated() {
            self.limit = (self.limit + 1).min(self.max);
        }
        self.round.answers += 1;
        self.round.total += latency;
        self.round.was_full |= is_full;
        if self.round.answers >= self.round.length {
            self.end_round();
        }
    }

    /// Notes that a request failed as the endpoint's fault.
    pub fn note_failure(&mut self) {
        self.limit = (self.limit / 2).max(1);
        self.begin(Phase::Steady);
    }

    fn end_round(&mut self) {
        let latency = self.round.total / self.round.answers.max(1);
        match self.phase {
            Phase::Climbing | Phase::Steady => self.adjust(latency),
            Phase::Draining => self.begin(Phase::Measuring),
            Phase::Measuring => {
                self.usual = Some(latency);
                self.begin(Phase::Steady);
            }
        }
    }

    fn adjust(&mut self, latency: Duration) {
        let mut phase = self.phase;
        if latency > self.tolerated() {
            self.limit = (self.limit * KEPT.0 / KEPT.1).max(1);
            phase = Phase::Steady;
        } else if self.round.was_full {
            self.limit = (self.limit + 1).min(self.max);
        }
        self.usual = Some(self.usual.map_or(latency, |usual| usual.min(latency)));
        self.rounds += 1;
        if self.rounds >= ROUNDS_REMEMBERED {
            self.rounds = 0;
            phase = if latency > QUICK { Phase::Draining } else { phase };
        }
        self.begin(phase);
    }

    fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.round = Round::of(match phase {
            Phase::Climbing | Phase::Steady | Phase::Draining => self.limit,
            Phase::Measuring => self.limit(),
        });
    }

    /// Latency up to which the receiver is taken to keep up.
    fn tolerated(&self) -> Duration {
        self.usual.map_or(Duration::MAX, |usual| (usual * SLOWDOWN).max(QUICK))
    }
}

impl Round {
    fn of(answers: u32) -> Round {
        Round { length: answers, answers: 0, total: Duration::ZERO, was_full: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receiver that works on `workers` requests at a time, each for `work`: what comes beyond that queues.
    fn serve(concurrency: &mut Concurrency, workers: u32, work: Duration, answers: u32) {
        for _ in 0..answers {
            let in_flight = concurrency.limit();
            let latency = work * in_flight.div_ceil(workers);
            concurrency.note_answer(latency, in_flight as usize);
        }
    }

    #[test]
    fn a_receiver_that_keeps_up_gets_the_whole_window_within_a_few_rounds() {
        let mut concurrency = Concurrency::new(64);
        serve(&mut concurrency, 1_000, Duration::from_millis(200), 3 * 64);
        assert_eq!(concurrency.limit(), 64);
    }

    #[test]
    fn a_receiver_that_queues_gets_about_as_much_as_it_can_work_on() {
        let mut concurrency = Concurrency::new(256);
        serve(&mut concurrency, 20, Duration::from_millis(100), 5_000);
        assert!((15..=48).contains(&concurrency.limit()), "{concurrency:?}");
    }

    #[test]
    fn a_quick_receiver_is_not_held_back_for_being_quicker_once() {
        let mut concurrency = Concurrency::new(64);
        serve(&mut concurrency, 1, Duration::from_micros(300), 2_000);
        assert_eq!(concurrency.limit(), 64);
    }

    #[test]
    fn one_that_becomes_slower_for_good_finds_a_window_again() {
        let mut concurrency = Concurrency::new(64);
        serve(&mut concurrency, 1_000, Duration::from_millis(100), 500);
        serve(&mut concurrency, 1_000, Duration::from_millis(1_000), 500);
        let in_distress = concurrency.limit();
        serve(&mut concurrency, 1_000, Duration::from_millis(1_000), 20_000);
        assert!(in_distress < 32, "{in_distress}");
        assert_eq!(concurrency.limit(), 64);
    }

    #[test]
    fn failures_halve_the_window_and_leave_one() {
        let mut concurrency = Concurrency::new(64);
        serve(&mut concurrency, 1_000, Duration::from_millis(10), 500);
        concurrency.note_failure();
        assert_eq!(concurrency.limit(), 32);
        (0..10).for_each(|_| concurrency.note_failure());
        assert_eq!(concurrency.limit(), 1);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut concurrency = Concurrency::new(64);
        (0..1_000).for_each(|_| concurrency.note_answer(Duration::from_millis(5), 1));
        assert_eq!(concurrency.limit(), START);
    }

    #[test]
    fn the_owners_limit_holds_at_once() {
        let mut concurrency = Concurrency::new(64);
        serve(&mut concurrency, 1_000, Duration::from_millis(10), 500);
        concurrency.set_max(3);
        assert_eq!(concurrency.limit(), 3);
        assert_eq!(Concurrency::new(0).limit(), 1);
    }
}
