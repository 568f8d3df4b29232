//! What became of one attempt: the answer or the failure, how long each phase took, and whom we talked to.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use provider::attempt::Phases;

use crate::failure::{Failure, Phase};
use crate::limits::{LOCATION_BYTES_MAX, RETRY_AFTER_BYTES_MAX};

/// One attempt.
#[derive(Debug)]
pub struct Exchange {
    /// What came back. Every status is an answer, redirects included; none is followed.
    pub result: Result<Answer, Failure>,
    /// How long it took.
    pub phases: Phases,
    /// The address we were connected to, for the operator's log.
    pub peer: Option<SocketAddr>,
}

/// A complete answer, or one cut off at 16 KiB of body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 101, or 200 to 999: the protocol allows any three digits.
    pub status: u16,
    /// `Retry-After` as sent, at most 128 characters, foreign bytes replaced.
    pub retry_after: Option<String>,
    /// `Location` as sent, at most 512 characters, foreign bytes replaced.
    pub location: Option<String>,
    /// The first 1 KiB of the body, as sent (never decompressed).
    pub body_head: Bytes,
}

/// Filled in while an attempt runs, so that it survives the attempt's being cut off.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    pub(crate) phases: Phases,
    pub(crate) peer: Option<SocketAddr>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Dns, phases: Phases::default(), peer: None }
    }
}

impl Answer {
    pub(crate) fn from_head(status: http::StatusCode, headers: &HeaderMap) -> Self {
        Self {
            status: status.as_u16(),
            retry_after: bounded_text(headers, header::RETRY_AFTER, RETRY_AFTER_BYTES_MAX),
            location: bounded_text(headers, header::LOCATION, LOCATION_BYTES_MAX),
            body_head: Bytes::new(),
        }
    }
}

fn bounded_text(headers: &HeaderMap, name: HeaderName, bytes_max: usize) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    let safe = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { char::REPLACEMENT_CHARACTER };
    Some(value.iter().take(bytes_max).map(safe).collect())
}
