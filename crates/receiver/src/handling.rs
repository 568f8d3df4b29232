//! What follows an attempt to handle a message, and the rules a handler works by.

use std::time::Duration;

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
