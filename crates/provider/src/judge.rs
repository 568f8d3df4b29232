//! The judge: from one finished attempt to what becomes of the delivery, and what it says of the endpoint.
//! How a lane reacts to the latter is decided in `lane`.

use std::time::Duration;

use jiff::Timestamp;

use crate::attempt::{Failure, Outcome};

/// A finished attempt, as far as the judge cares.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How many attempts before it counted against the schedule.
    pub charged: u16,
    /// What it came to.
    pub outcome: Outcome,
    /// The wait the receiver asked for by `Retry-After`, already within bounds.
    pub asked_wait: Option<Duration>,
    /// A probe of a failing endpoint is not charged to a delivery that has only begun its schedule.
    pub kind: AttemptKind,
}

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptKind {
    /// In the ordinary course of the lane.
    Ordinary,
    /// To find out whether a failing endpoint is back.
    Probe,
}

/// What becomes of the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// Try again.
    RetryAt {
        /// When it is due.
        due: Timestamp,
        /// How many attempts have counted against the schedule by now.
        charged: u16,
    },
    /// The schedule is used up.
    Abandon,
}

/// What an attempt says of the endpoint as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It answers: a success, or a refusal of this one delivery.
    Alive,
    /// It failed, and would fail the others too; it may have asked for this much time.
    Failing(Duration),
    /// It asks for fewer requests, for this long.
    Throttling(Duration),
    /// 410: it is retired.
    Gone,
}

/// When to try again. The times are those of the Standard Webhooks specification: the last attempt is made
/// about 75 hours and 35 minutes after the first.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    delays: Vec<Duration>,
}

/// A number in [0, 1) from the binary's source of chance.
#[derive(Clone, Copy, Debug)]
pub struct Jitter(f64);

const GONE: u16 = 410;
/// Receivers may ask for more time, but not for so long that nobody would notice a mistake.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Where a throttling receiver names no time, or so little that nothing would be gained.
const THROTTLE_WAIT: Duration = Duration::from_secs(5);
/// A delivery that has been refused this often by its own schedule pays for probes too: otherwise one poisonous body
/// could be the only probe of a quiet endpoint, for ever.
const PAYS_FOR_PROBES_FROM: u16 = 3;
/// Retries spread by a tenth to either side, so that failures of one moment do not return in one moment.
const JITTER_SHARE: f64 = 0.1;

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        let hour = 3600;
        RetryPolicy {
            delays: [5, 300, 1800, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour]
                .map(Duration::from_secs)
                .to_vec(),
        }
    }
}

impl RetryPolicy {
    pub(crate) fn delay_after(&self, charged: u16) -> Option<Duration> {
        self.delays.get(usize::from(charged).saturating_sub(1)).copied()
    }
}

impl Jitter {
    /// From 64 random bits.
    pub fn from_bits(bits: u64) -> Jitter {
        Jitter((bits >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// `delay`, up to a tenth shorter or longer.
    pub fn spread(self, delay: Duration) -> Duration {
        delay.mul_f64(1.0 + JITTER_SHARE * (2.0 * self.0 - 1.0))
    }
}

/// Decides what becomes of a delivery after an attempt.
pub fn judge(attempt: &Attempt, policy: &RetryPolicy, now: Timestamp, jitter: Jitter) -> Verdict {
    if attempt.outcome.is_delivered() {
        return Verdict::Delivered;
    }
    let charged = attempt.charged.saturating_add(u16::from(is_charged(attempt)));
    let delay = match policy.delay_after(charged) {
        Some(delay) => delay,
        None if is_charged(attempt) => return Verdict::Abandon,
        // The endpoint's fault, not this delivery's: it stays owed and waits with its lane.
        None => policy.delays.last().copied().unwrap_or(THROTTLE_WAIT),
    };
    let wait = jitter.spread(delay).max(attempt.asked_wait.unwrap_or_default());
    Verdict::RetryAt { due: now + wait, charged }
}

/// Whether a failure counts against the delivery's own schedule.
fn is_charged(attempt: &Attempt) -> bool {
    let pays = attempt.kind == AttemptKind::Ordinary || attempt.charged >= PAYS_FOR_PROBES_FROM;
    pays && !matches!(attempt.outcome, Outcome::Answered(GONE | 429))
}

/// Decides what an attempt says of its endpoint.
pub fn sign_of(attempt: &Attempt) -> Sign {
    let asked_wait = attempt.asked_wait.unwrap_or_default();
    match attempt.outcome {
        Outcome::Answered(GONE) => Sign::Gone,
        Outcome::Answered(429) => Sign::Throttling(asked_wait.max(THROTTLE_WAIT)),
        Outcome::Answered(502..=504) => Sign::Failing(asked_wait),
        Outcome::Answered(408 | 425 | 500..) => Sign::Failing(Duration::ZERO),
        Outcome::Answered(_) => Sign::Alive,
        Outcome::Failed(
            Failure::Dns
            | Failure::ForbiddenTarget
            | Failure::Connect
            | Failure::Tls
            | Failure::Timeout
            | Failure::ConnectionLost
            | Failure::BadAnswer,
        ) => Sign::Failing(Duration::ZERO),
    }
}

/// Reads a `Retry-After` value (RFC 9110 section 10.2.3): whole seconds or an HTTP date. Never more than
/// [`RETRY_AFTER_MAX`]; `None` for what is neither, and for a moment that has passed.
pub fn read_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only the digits count: a number too large for us is a long wait, not an error.
        return Some(text.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs).min(RETRY_AFTER_MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let wait = date.duration_since(now.into()).ok()?;
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests;
