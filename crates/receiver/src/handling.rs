//! The rules a handler works by: which messages it takes (`taking`), what follows an attempt (`judging`), when it rests
//! (`rest`) and how fast it goes (`pacing`), and which of two messages is newer (`order`).

mod judging;
mod order;
mod pacing;
mod rest;
mod taking;

use std::time::Duration;

pub use judging::{Jitter, RunVerdict, judge};
pub use order::is_outdated;
pub use pacing::Paces;
pub use rest::{Rest, TargetSign};
pub use taking::takes;

/// The rules a handler works by, apart from what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerRules {
    /// Its name, unique within an account: 1 to 64 of `a-z`, `0-9`, `-`, `_`. Progress is kept under it.
    pub name: String,
    /// Names of the sources it takes messages of; empty for all.
    pub sources: Vec<String>,
    /// Events it takes, each a name or a beginning and `*` (`webinar.*`); empty for all.
    pub events: Vec<String>,
    /// Runs at once.
    pub concurrency: usize,
    /// At most so many attempts in so much time, one after the other; every limit holds.
    pub rates: Vec<HandlerRate>,
    /// Delay before each further attempt; after the last the message is parked.
    pub retry: Vec<Duration>,
    /// An attempt longer than this has failed.
    pub timeout: Duration,
    /// Where a handler that is new begins.
    pub start: HandlerStart,
    /// Whether it takes webhooks that only try whether the receiver works.
    pub test_webhooks: bool,
}

/// Runs at once, where the file does not say.
pub const CONCURRENCY: usize = 4;
/// The time of an attempt, where the file does not say.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// Delays where the file names none: eight attempts within 18 hours, so that somebody who comes in the next morning can
/// still mend what broke in the evening.
pub const RETRY: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
];

impl HandlerRules {
    /// The rules of a handler of which only the name is told.
    #[must_use]
    pub fn named(name: &str) -> HandlerRules {
        HandlerRules {
            name: name.to_owned(),
            sources: Vec::new(),
            events: Vec::new(),
            concurrency: CONCURRENCY,
            rates: Vec::new(),
            retry: RETRY.to_vec(),
            timeout: TIMEOUT,
            start: HandlerStart::Now,
            test_webhooks: false,
        }
    }
}

/// At most so many attempts in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlerRate {
    /// Attempts.
    pub attempts: u32,
    /// In this time.
    pub per: Duration,
}

/// Where a handler that is new begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HandlerStart {
    /// With what comes from now on.
    #[default]
    Now,
    /// With the oldest message in the inbox.
    Oldest,
}

/// Why an attempt to handle a message failed, by what should follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// What should follow.
    pub kind: RunFailureKind,
    /// In words for the operator, with the mend; no secret and nothing of the person.
    pub reason: String,
}

/// What should follow a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunFailureKind {
    /// Another attempt by schedule: the failure may be of this message alone.
    Retry {
        /// What the other side asked for.
        after: Option<Duration>,
    },
    /// None: it would fail again. The message is parked at once.
    Hopeless,
    /// The other side is down or asks for less: as `Retry`, and the whole handler rests a while.
    Target {
        /// What the other side asked for.
        after: Option<Duration>,
    },
}
