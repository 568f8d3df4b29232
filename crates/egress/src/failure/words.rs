//! Failures in the words of the person who runs the receiver: what happened, and where it can be mended. None of them
//! tells an address or repeats what the receiver sent.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use super::{FailureKind, Phase};

/// Where nothing finer is known than the kind.
pub(super) fn of_kind(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns => "the host name could not be looked up; check its spelling and DNS records",
        FailureKind::InvalidTarget => "the URL leads to an address that may not be called",
        FailureKind::Connect => "the host did not accept a connection; check host, port and firewall",
        FailureKind::Tls => {
            "the TLS handshake failed; check the certificate's name, issuer and dates, and TLS 1.2 or 1.3"
        }
        FailureKind::Timeout(_) => "there was no complete answer in time",
        FailureKind::ConnectionLost => "the connection ended before the answer was complete",
        FailureKind::BadAnswer => "the answer is not valid HTTP/1.1",
        FailureKind::TooLarge => "the head of the answer is too large",
    }
}

pub(super) fn of_timeout(phase: Phase, limit: Duration) -> Cow<'static, str> {
    let seconds = limit.as_secs_f64();
    let words = match phase {
        Phase::Dns => format!("the host name was not looked up within {seconds} s; check its name servers"),
        Phase::Connect => format!("no connection within {seconds} s; check host, port and firewall"),
        Phase::Tls => format!("the TLS handshake did not end within {seconds} s"),
        Phase::Head => format!("no answer head within {seconds} s"),
        Phase::Body => format!("the body of the answer did not end within {seconds} s"),
    };
    words.into()
}

pub(super) fn of_connecting(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "the host refused the connection; check that the receiver runs, and its port"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "the host cannot be reached from here; check its DNS records"
        }
        _ => of_kind(FailureKind::Connect),
    }
}

pub(super) fn of_handshake(error: &io::Error) -> &'static str {
    match rustls_error(error) {
        Some(error) => of_tls(error),
        None if error.kind() == io::ErrorKind::ConnectionReset => {
            "the receiver reset the connection during the TLS handshake"
        }
        None => "the receiver closed the connection during the TLS handshake",
    }
}

/// After the request was sent, in `phase`.
pub(super) fn of_lost_connection(error: Option<&io::Error>, phase: Phase) -> &'static str {
    let is_reset = error.is_some_and(|error| {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted
        )
    });
    match phase {
        // Receivers that ask for a certificate say only now that they did not get one (TLS 1.3).
        _ if error.and_then(rustls_error).is_some() => "the receiver broke off the TLS session after the handshake",
        Phase::Body if is_reset => "connection reset by the receiver in the middle of the answer's body",
        Phase::Body => "connection closed by the receiver in the middle of the answer's body",
        _ if is_reset => "connection reset by the receiver before it answered",
        _ => "connection closed by the receiver before it answered",
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn of_tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(problem) => of_certificate(problem),
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => {
            "the receiver and Fanfare have no TLS version and cipher in common; it needs TLS 1.2 or 1.3"
        }
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the receiver has no certificate for this host name"
        }
        rustls::Error::AlertReceived(_) => "the receiver broke off the TLS handshake",
        rustls::Error::InvalidMessage(_) => "the receiver does not answer with TLS; check the port and https://",
        _ => of_kind(FailureKind::Tls),
    }
}

fn of_certificate(problem: &CertificateError) -> &'static str {
    use CertificateError as Bad;
    match problem {
        Bad::Expired | Bad::ExpiredContext { .. } => "the certificate has expired; renew it",
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "the certificate is not valid yet; check its dates",
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "the certificate names another host",
        Bad::UnknownIssuer => {
            "the certificate's issuer is not trusted; send the whole chain, and use no self-signed certificate"
        }
        Bad::Revoked => "the certificate is revoked",
        _ => "the certificate is not valid",
    }
}
