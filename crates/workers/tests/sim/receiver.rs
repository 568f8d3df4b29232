//! Receivers of every kind: what each does with a request that has arrived.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use egress::{FailureKind, Phase};
use tokio::time::Instant;
use wire::FanOutId;

use crate::chance::Dice;
use crate::options::EndpointOptions;
use crate::sometimes::Sometimes;

/// How a receiver behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    Fine,
    /// So often it does not answer in time; it may have acted, and late.
    Hanging {
        one_in: u64,
    },
    /// Every so-manieth person is refused, the first so many times.
    Refusing {
        one_in: u64,
        status: u16,
        times: u32,
    },
    Failing {
        status: u16,
        asks: Asked,
    },
    /// More than so many in a second are too many.
    Throttling {
        per_second: usize,
        asks: Asked,
    },
    Resetting {
        one_in: u64,
        has_acted: bool,
    },
    Unreachable(FailureKind),
    Redirecting,
    Gone,
}

/// A `Retry-After`, and the seconds that must be kept on its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) text: Option<&'static str>,
    pub(crate) seconds: u64,
}

const fn asked(text: &'static str, seconds: u64) -> Asked {
    Asked { text: Some(text), seconds }
}

const ASKED: [Asked; 10] = [
    Asked { text: None, seconds: 0 },
    asked("0", 0),
    asked("3", 3),
    asked("120", 120),
    asked("99999999999999999999", 3_600),
    asked("inf", 0),
    asked("-1", 0),
    asked("1e300", 0),
    asked("Fri, 31 Dec 9999 23:59:59 GMT", 3_600),
    asked("Thu, 01 Jan 1970 00:00:00 GMT", 0),
];

/// What becomes of a request at the receiver.
pub(crate) struct Reaction {
    /// The receiver takes it for delivered, whatever the sender learns.
    pub(crate) has_acted: bool,
    pub(crate) after: Duration,
    pub(crate) reply: Reply,
    pub(crate) seen: Option<Sometimes>,
}

/// What the sender learns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Answer(u16, Asked),
    Break(FailureKind),
    Silence,
}

pub(crate) struct Receiver {
    temper: Temper,
    spell: Option<(Temper, Instant)>,
    refuses_for_ever_one_in: u64,
    latency_ms_max: u64,
    arrivals: VecDeque<Instant>,
    refused: HashMap<(FanOutId, u64), u32>,
}

impl Temper {
    pub(crate) fn draw_bad(dice: &mut Dice) -> Temper {
        let (one_in, asks) = (dice.between(2, 12), dice.pick(&ASKED));
        match dice.below(10) {
            0 => Temper::Hanging { one_in },
            1 | 2 => {
                let status = dice.pick(&[400, 401, 404, 409, 422, 451, 499]);
                Temper::Refusing { one_in, status, times: dice.pick(&[1, 2, 4]) }
            }
            3 | 4 => Temper::Failing { status: dice.pick(&[500, 502, 503, 504, 599, 408, 425, 600]), asks },
            5 => Temper::Throttling { per_second: dice.between(1, 8) as usize, asks },
            6 => Temper::Resetting { one_in, has_acted: dice.one_in(2) },
            7 => Temper::Unreachable(dice.pick(&[FailureKind::Connect, FailureKind::Dns, FailureKind::Tls])),
            8 => Temper::Redirecting,
            _ => Temper::Gone,
        }
    }
}

impl Receiver {
    pub(crate) fn new(options: &EndpointOptions) -> Receiver {
        Receiver {
            temper: options.temper,
            spell: None,
            refuses_for_ever_one_in: options.refuses_for_ever_one_in,
            latency_ms_max: options.latency_ms_max,
            arrivals: VecDeque::new(),
            refused: HashMap::new(),
        }
    }

    pub(crate) fn begin_spell(&mut self, temper: Temper, until: Instant) {
        self.spell = Some((temper, until));
    }

    /// From here on it behaves, but for the people it will never take.
    pub(crate) fn heal(&mut self) {
        (self.temper, self.spell, self.latency_ms_max) = (Temper::Fine, None, 20);
    }

    /// How long a request is on its way to it.
    pub(crate) fn transit(&self, dice: &mut Dice) -> Duration {
        Duration::from_millis(dice.below(self.latency_ms_max + 1))
    }

    pub(crate) fn never_takes(&self, number: u64) -> bool {
        self.refuses_for_ever_one_in > 0 && number.is_multiple_of(self.refuses_for_ever_one_in)
    }

    pub(crate) fn react(&mut self, dice: &mut Dice, fan_out: FanOutId, number: u64) -> Reaction {
        let now = Instant::now();
        let after = self.transit(dice);
        let temper = match self.spell {
            Some((temper, until)) if now < until => temper,
            _ => self.temper,
        };
        let broken = |has_acted, kind, seen| Reaction { has_acted, after, reply: Reply::Break(kind), seen: Some(seen) };
        match temper {
            Temper::Hanging { one_in } if dice.one_in(one_in) => Reaction {
                has_acted: dice.one_in(2),
                after: Duration::ZERO,
                reply: Reply::Silence,
                seen: Some(Sometimes::TimedOut),
            },
            Temper::Refusing { one_in, status, times } if number.is_multiple_of(one_in) => {
                let count = self.refused.entry((fan_out, number)).or_default();
                *count += 1;
                if *count > times { self.take(dice, number, after) } else { refusal(after, status, Sometimes::Refused) }
            }
            Temper::Failing { status, asks } => answer(after, status, asks, Some(Sometimes::Failed)),
            Temper::Throttling { per_second, asks } => {
                self.arrivals.push_back(now);
                while self.arrivals.front().is_some_and(|at| *at + Duration::from_secs(1) <= now) {
                    self.arrivals.pop_front();
                }
                if self.arrivals.len() > per_second {
                    answer(
                        after,
                        429,
                        asks,
                        Some(if asks.seconds == 0 { Sometimes::OddRetryAfter } else { Sometimes::Throttled }),
                    )
                } else {
                    self.take(dice, number, after)
                }
            }
            Temper::Resetting { one_in, has_acted } if dice.one_in(one_in) => {
                let seen = if has_acted { Sometimes::ResetAfter } else { Sometimes::ResetBefore };
                broken(has_acted, FailureKind::ConnectionLost, seen)
            }
            Temper::Unreachable(kind) => broken(false, kind, Sometimes::Unreachable),
            Temper::Redirecting => refusal(after, 307, Sometimes::Redirected),
            Temper::Gone => refusal(after, 410, Sometimes::Gone),
            Temper::Fine | Temper::Hanging { .. } | Temper::Refusing { .. } | Temper::Resetting { .. } => {
                self.take(dice, number, after)
            }
        }
    }

    fn take(&self, dice: &mut Dice, number: u64, after: Duration) -> Reaction {
        if self.never_takes(number) {
            return refusal(after, 422, Sometimes::Refused);
        }
        answer(after, dice.pick(&[200, 200, 200, 202, 204]), ASKED[0], None)
    }
}

fn refusal(after: Duration, status: u16, seen: Sometimes) -> Reaction {
    answer(after, status, ASKED[0], Some(seen))
}

fn answer(after: Duration, status: u16, asks: Asked, seen: Option<Sometimes>) -> Reaction {
    Reaction { has_acted: (200..300).contains(&status), after, reply: Reply::Answer(status, asks), seen }
}

/// What a request that nobody answered ends with.
pub(crate) const NO_ANSWER: FailureKind = FailureKind::Timeout(Phase::Head);
