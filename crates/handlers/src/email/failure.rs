//! What follows when a mail server does not take a mail. A server's own words are never repeated: they name the address.

use std::error::Error as _;
use std::io;

use lettre::transport::smtp::Error;
use receiver::{RunFailure, RunFailureKind};

/// The server closes the connection, whatever was asked (RFC 5321, section 3.8).
const CLOSING: u16 = 421;

/// A step of giving a mail to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    Protect,
    SignIn,
    Sender,
    Recipient,
    Content,
}

/// Why a mail was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server said no with this code.
    Refused { step: Step, code: u16 },
    /// It said nothing in time.
    Silent { step: Step },
    /// The connection broke, or could not be made.
    Broken { step: Step, is_tls: bool },
    /// It speaks in a way that cannot be used, such as without a known way to sign in.
    Unusable { step: Step },
    /// It offers no protection, and none may not be.
    NoTls,
    /// An address has letters that the server does not take.
    NoUnicode,
}

impl Failure {
    pub(super) fn of(step: Step, error: &Error) -> Failure {
        match error.status() {
            Some(code) => Failure::Refused { step, code: code.into() },
            None if error.is_timeout() => Failure::Silent { step },
            None if error.is_client() => Failure::Unusable { step },
            None => Failure::Broken { step, is_tls: error.is_tls() || is_refused_handshake(error) },
        }
    }

    /// What follows, in words.
    pub(super) fn judge(&self) -> RunFailure {
        let target = RunFailureKind::Target { after: None };
        let (kind, reason) = match *self {
            Failure::Refused { step, code } => (after_refusal(step, code), refusal(step, code)),
            Failure::Silent { step } => (target, format!("the mail server did not answer in time {}", at(step))),
            Failure::Broken { step, is_tls: true } => (
                target,
                format!(
                    "no protected connection {}: the mail server's certificate is not trusted or TLS failed; check the \
                     host name in `server`, or give its own certificate as `certificate`",
                    at(step)
                ),
            ),
            Failure::Broken { step: Step::Connect, .. } => (
                target,
                "the mail server cannot be reached; check host and port in `server`, and whether it runs".to_owned(),
            ),
            Failure::Broken { step, .. } => (target, format!("the connection to the mail server broke {}", at(step))),
            Failure::Unusable { step: Step::SignIn } => (
                target,
                "the mail server takes no name and password here (it offers neither AUTH PLAIN nor LOGIN); leave them \
                 out of `server`, use the port that takes them, or set `tls = \"required\"`"
                    .to_owned(),
            ),
            Failure::Unusable { step } => (target, format!("the mail server cannot be used {}", at(step))),
            Failure::NoTls => (
                target,
                "the mail server offers no STARTTLS, and mails may not go to another machine in the clear; use smtps:// \
                 or another port, or set `insecure = true` to send them all the same"
                    .to_owned(),
            ),
            Failure::NoUnicode => (
                RunFailureKind::Hopeless,
                "an address has letters beyond ASCII, which the mail server does not take (no SMTPUTF8)".to_owned(),
            ),
        };
        RunFailure { kind, reason }
    }
}

/// A handshake that fails comes as an I/O error about invalid data.
fn is_refused_handshake(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn after_refusal(step: Step, code: u16) -> RunFailureKind {
    match (step, code) {
        (_, CLOSING) | (Step::Connect | Step::Protect | Step::SignIn | Step::Sender, _) => {
            RunFailureKind::Target { after: None }
        }
        (Step::Recipient | Step::Content, 500..) => RunFailureKind::Hopeless,
        (Step::Recipient | Step::Content, _) => RunFailureKind::Retry { after: None },
    }
}

fn refusal(step: Step, code: u16) -> String {
    match step {
        Step::Connect => format!("the mail server refuses to talk (code {code})"),
        Step::Protect => format!("the mail server refuses STARTTLS (code {code})"),
        Step::SignIn => format!("the mail server refuses name and password (code {code}); check `server`"),
        Step::Sender => format!("the mail server refuses the sender (code {code}); check `from` and its limits"),
        Step::Recipient if code >= 500 => {
            format!("the mail server refuses the person's address for good (code {code})")
        }
        Step::Recipient => format!("the mail server does not take mail for the person now (code {code})"),
        Step::Content if code >= 500 => format!("the mail server refuses the mail for good (code {code})"),
        Step::Content => format!("the mail server does not take the mail now (code {code})"),
    }
}

fn at(step: Step) -> &'static str {
    match step {
        Step::Connect => "when it was called",
        Step::Protect => "at STARTTLS",
        Step::SignIn => "at the sign-in",
        Step::Sender => "when it was told the sender",
        Step::Recipient => "when it was told the recipient",
        Step::Content => "when it was given the mail",
    }
}
