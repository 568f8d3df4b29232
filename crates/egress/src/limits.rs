//! How long and how much an attempt may take. Times can be set, sizes cannot.

use std::time::Duration;

/// Bounds of every attempt and of the kept connections. The default is for production.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the start of an attempt to the end of the part of the body we read. The contract gives a receiver 30 s.
    pub total: Duration,
    /// One lookup. Two tries of [`crate::SystemResolver`] fit in.
    pub dns: Duration,
    /// Connecting, over all addresses tried.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// An idle connection older than this is not used again: Node's servers close theirs after 5 s, and a request
    /// that crosses the closing is lost.
    pub idle_age: Duration,
    /// A connection older than this is not used again, so that changed rules and DNS answers take effect.
    pub connection_age: Duration,
    /// Idle connections kept for one origin: as many as a fast lane has in flight.
    pub idle_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            dns: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            tls: Duration::from_secs(5),
            idle_age: Duration::from_secs(4),
            connection_age: Duration::from_secs(60),
            idle_connections: 256,
        }
    }
}

/// Largest head of an answer, in bytes: far more than servers send, small enough for thousands at once.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What we read of a body, in bytes. Beyond it the connection is dropped, since reading on would cost more.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// What we keep of a body, in bytes: enough for an error message in the delivery log.
pub(crate) const BODY_KEPT_BYTES_MAX: usize = 1024;

/// All that is read for one answer, in bytes: head, body and one buffer of read-ahead. Without it a stream of `1xx`
/// heads would keep us reading at full speed until the total limit.
pub(crate) const ANSWER_BYTES_MAX: usize = HEAD_BYTES_MAX + BODY_BYTES_MAX + HEAD_BYTES_MAX;

/// What we keep of a `Retry-After`, in bytes; a date takes 29.
pub(crate) const RETRY_AFTER_BYTES_MAX: usize = 128;

/// What we keep of a `Location`, in bytes; it is shown, never followed.
pub(crate) const LOCATION_BYTES_MAX: usize = 512;

/// Addresses tried for one connection. Each gets its share of the time, so many would get too little.
pub(crate) const CONNECT_TRIES_MAX: usize = 4;
