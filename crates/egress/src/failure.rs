//! Why an attempt has no answer: a coarse kind to branch on, words for everyone, the detail for the operator's log only.

mod words;

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;
use std::{fmt, io};

use provider::target::TargetError;

use crate::stream::AllowanceSpent;

/// An attempt without a complete answer. `Display` and [`Failure::code`] may be shown to tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What to branch on.
    pub kind: FailureKind,
    /// In words, with the mend; names no address that a name led to.
    pub reason: Cow<'static, str>,
    /// Addresses and error texts of libraries: for the operator's log, never for tenants.
    pub detail: String,
}

/// What went wrong, coarsely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The name could not be looked up.
    Dns,
    /// The rules forbid the URL or an address it leads to. Nothing was dialled.
    InvalidTarget,
    /// No address accepted a connection.
    Connect,
    /// The handshake failed or the certificate is not trusted. Nothing was sent.
    Tls,
    /// Time was up in this phase. From [`Phase::Head`] on the receiver may have acted.
    Timeout(Phase),
    /// The connection ended before the answer did; the receiver may have acted.
    ConnectionLost,
    /// The answer is not HTTP/1.1; the receiver may have acted.
    BadAnswer,
    /// The answer's head, or what came before it, is beyond every limit; the receiver may have acted.
    TooLarge,
}

/// The part of an attempt that was under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name.
    Dns,
    /// Connecting.
    Connect,
    /// The TLS handshake.
    Tls,
    /// From sending the request to the end of the answer's head.
    Head,
    /// Reading the body.
    Body,
}

impl Failure {
    /// With the words that hold for every failure of this kind.
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self::because(words::of_kind(kind), kind, detail)
    }

    fn because(reason: impl Into<Cow<'static, str>>, kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), detail: detail.into() }
    }

    /// `limit` is that of the phase, or of the whole attempt where that came first.
    pub(crate) fn timeout(phase: Phase, limit: Duration) -> Self {
        let detail = format!("time was up while {phase}");
        Self::because(words::of_timeout(phase, limit), FailureKind::Timeout(phase), detail)
    }

    /// Classifies what the system says of a connection that was not made.
    pub(crate) fn of_connecting(error: &io::Error, detail: String) -> Self {
        Self::because(words::of_connecting(error), FailureKind::Connect, detail)
    }

    /// Classifies what rustls reports of a handshake.
    pub(crate) fn of_handshake(error: &io::Error) -> Self {
        Self::because(words::of_handshake(error), FailureKind::Tls, with_causes(error))
    }

    /// Classifies what hyper reports after the request was handed to a connection.
    pub(crate) fn of_exchange(error: &hyper::Error, phase: Phase) -> Self {
        let io_error = find_cause::<io::Error>(error);
        let inner = io_error.and_then(io::Error::get_ref);
        let is_spent = inner.and_then(|inner| inner.downcast_ref::<AllowanceSpent>()).is_some();
        let is_of_tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some();
        let is_malformed_body = io_error
            .is_some_and(|cause| matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData));
        let kind = if is_spent || error.is_parse_too_large() {
            FailureKind::TooLarge
        } else if error.is_parse() || (is_malformed_body && !is_of_tls) {
            FailureKind::BadAnswer
        } else {
            FailureKind::ConnectionLost
        };
        let reason = match kind {
            FailureKind::ConnectionLost => words::of_lost_connection(io_error, phase),
            _ => words::of_kind(kind),
        };
        Self::because(reason, kind, format!("while {phase}: {}", with_causes(error)))
    }

    /// A stable code of the coarse kind.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.kind {
            FailureKind::Dns => "E_DNS",
            FailureKind::InvalidTarget => "E_INVALID_TARGET",
            FailureKind::Connect => "E_CONNECT",
            FailureKind::Tls => "E_TLS",
            FailureKind::Timeout(_) => "E_TIMEOUT",
            FailureKind::ConnectionLost => "E_CONNECTION_LOST",
            FailureKind::BadAnswer => "E_BAD_ANSWER",
            FailureKind::TooLarge => "E_TOO_LARGE",
        }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::new(FailureKind::InvalidTarget, error.operator_detail())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Failure {}

/// Reads well after "while".
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "looking up the host name",
            Self::Connect => "connecting",
            Self::Tls => "shaking hands for TLS",
            Self::Head => "waiting for the answer",
            Self::Body => "reading the body of the answer",
        })
    }
}

/// An error and its causes on one line.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}
