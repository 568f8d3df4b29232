//! What one attempt to deliver came to, as the judge, the lane and the log speak of it.

use std::fmt;
use std::time::Duration;

mod reason;

pub use reason::{REASON_CHARS_MAX, Reason};

/// How an attempt ended: with an HTTP status, or before there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The receiver answered with this status, 100 to 999.
    Answered(u16),
    /// No answer came; why not.
    Failed(Failure),
}

/// Why an attempt brought no answer. The numbers are stored in segments and never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Failure {
    /// The name did not resolve in time or at all.
    Dns = 1,
    /// The target is one that may not be called.
    ForbiddenTarget = 2,
    /// No TCP connection.
    Connect = 3,
    /// No TLS session, or a certificate that does not hold.
    Tls = 4,
    /// The time for the whole attempt was over.
    Timeout = 5,
    /// The connection broke before the answer was complete.
    ConnectionLost = 6,
    /// What came back is not HTTP as we accept it.
    BadAnswer = 7,
}

/// Times of an attempt; a phase that did not happen or did not end has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Lookup; none for addresses and reused connections.
    pub dns: Option<Duration>,
    /// TCP connection.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// From handing the request to the connection until the answer's head was read.
    pub first_byte: Option<Duration>,
    /// The whole attempt.
    pub total: Duration,
    /// Whether a kept-alive connection was used.
    pub reused: bool,
}

impl Phases {
    /// The whole attempt, in tenths of a millisecond, as segments keep it.
    pub fn total_tenth_ms(&self) -> u32 {
        u32::try_from(self.total.as_micros() / 100).unwrap_or(u32::MAX)
    }
}

/// What is kept of an attempt that failed, beside its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureDetail {
    /// Where the time went.
    pub phases: Phases,
    /// Why it failed.
    pub reason: Reason,
}

/// A webhook that was sent only to try an endpoint, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// The headers sent, signature and all.
    pub headers: Vec<(String, String)>,
    /// The body sent, JSON.
    pub body: Vec<u8>,
    /// What came back.
    pub outcome: Outcome,
    /// Where the time went.
    pub phases: Phases,
    /// Why it failed; none for a success.
    pub reason: Option<Reason>,
}

impl Failure {
    const ALL: [Failure; 7] = [
        Failure::Dns,
        Failure::ForbiddenTarget,
        Failure::Connect,
        Failure::Tls,
        Failure::Timeout,
        Failure::ConnectionLost,
        Failure::BadAnswer,
    ];

    /// The coarse code that owners of an endpoint see (details are for the operator).
    pub fn code(self) -> &'static str {
        match self {
            Failure::Dns => "E_DNS",
            Failure::ForbiddenTarget => "E_INVALID_TARGET",
            Failure::Connect => "E_CONNECT",
            Failure::Tls => "E_TLS",
            Failure::Timeout => "E_TIMEOUT",
            Failure::ConnectionLost => "E_CONNECTION_LOST",
            Failure::BadAnswer => "E_BAD_ANSWER",
        }
    }
}

impl Outcome {
    /// True for a 2xx: the receiver has it.
    pub fn is_delivered(self) -> bool {
        matches!(self, Outcome::Answered(200..=299))
    }

    /// The stored number: the status itself, or the failure's number (below 100).
    pub fn number(self) -> u16 {
        match self {
            Outcome::Answered(status) => status,
            Outcome::Failed(failure) => failure as u16,
        }
    }

    /// The outcome with this stored number; `None` where a newer version wrote one we do not know.
    pub fn from_number(number: u16) -> Option<Outcome> {
        match number {
            100..=999 => Some(Outcome::Answered(number)),
            _ => Failure::ALL.into_iter().find(|failure| *failure as u16 == number).map(Outcome::Failed),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Answered(status) => write!(f, "HTTP {status}"),
            Outcome::Failed(failure) => f.write_str(match failure {
                Failure::Dns => "the host name did not resolve",
                Failure::ForbiddenTarget => "the target address may not be called",
                Failure::Connect => "no connection to the receiver",
                Failure::Tls => "no valid TLS session with the receiver",
                Failure::Timeout => "no complete answer in time",
                Failure::ConnectionLost => "the connection broke before the answer was complete",
                Failure::BadAnswer => "the answer is not valid HTTP, or its head is too large",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_survives_its_number() {
        for number in 0..=u16::MAX {
            if let Some(outcome) = Outcome::from_number(number) {
                assert_eq!(outcome.number(), number);
            }
        }
        assert_eq!(Failure::ALL.len(), (1..100).filter(|n| Outcome::from_number(*n).is_some()).count());
    }
}
