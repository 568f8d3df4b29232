//! How long an account keeps things, and letting go of what is older, a little at a time.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use wire::AccountId;

use crate::{DedupeWindow, StoreResult};

/// How long an account keeps what; days from 1 to [`Retention::DAYS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    bodies_days: u16,
    log_days: u16,
    metadata_days: u16,
}

/// Why a number of days is no retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    /// Of bodies or of the log.
    #[error("{name} is {days} days; give 1 to {}", Retention::DAYS_MAX)]
    OutOfRange {
        /// Which.
        name: &'static str,
        /// How many.
        days: u16,
    },
    /// Messages would be forgotten before their copies have stopped coming.
    #[error("metadata is {days} days; give at least 30, the time in which a sender may repeat a message")]
    WithinDedupeWindow {
        /// How many.
        days: u16,
    },
    /// An event goes with its log.
    #[error("metadata is {metadata} days, less than the log's {log}; an event is kept as long as its log at least")]
    ShorterThanLog {
        /// Days of metadata.
        metadata: u16,
        /// Days of the log.
        log: u16,
    },
}

impl Retention {
    /// Ten years: who needs more exports it.
    pub const DAYS_MAX: u16 = 3_650;
    /// The usual `DedupeWindow`.
    pub const METADATA_DAYS_MIN: u16 = 30;

    /// Reads three numbers of days.
    pub fn new(bodies_days: u16, log_days: u16, metadata_days: u16) -> Result<Retention, RetentionError> {
        for (name, days) in [("bodies", bodies_days), ("log", log_days), ("metadata", metadata_days)] {
            if !(1..=Retention::DAYS_MAX).contains(&days) {
                return Err(RetentionError::OutOfRange { name, days });
            }
        }
        if metadata_days < Retention::METADATA_DAYS_MIN {
            return Err(RetentionError::WithinDedupeWindow { days: metadata_days });
        }
        if metadata_days < log_days {
            return Err(RetentionError::ShorterThanLog { metadata: metadata_days, log: log_days });
        }
        Ok(Retention { bodies_days, log_days, metadata_days })
    }

    /// Days for which the inbox keeps bodies and headers.
    pub fn bodies_days(&self) -> u16 {
        self.bodies_days
    }

    /// Days for which each delivery and its attempts are kept after their end.
    pub fn log_days(&self) -> u16 {
        self.log_days
    }

    /// Days for which the rest is kept: that a message came (at least for the store's `DedupeWindow`), that an event was
    /// announced and how it ended.
    pub fn metadata_days(&self) -> u16 {
        self.metadata_days
    }

    /// What is older than this is let go.
    pub fn before(&self, what: Prunable, now: Timestamp) -> Timestamp {
        let days = match what {
            Prunable::Bodies => self.bodies_days,
            Prunable::Log => self.log_days,
            Prunable::Messages | Prunable::Events | Prunable::Versions | Prunable::Memberships | Prunable::Erasures => {
                self.metadata_days
            }
        };
        now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MIN)
    }
}

impl Default for Retention {
    /// A quarter to look into what went wrong, a year and a month to compare with the year before.
    fn default() -> Retention {
        Retention { bodies_days: 90, log_days: 90, metadata_days: 400 }
    }
}

/// What is let go with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prunable {
    /// Bodies and headers of messages; that they came stays known.
    Bodies,
    /// Deliveries and attempts of fan-outs that have ended; their counts stay.
    Log,
    /// Messages, with their runs. A copy that comes later is a new one.
    Messages,
    /// Events whose log is gone, with their fan-outs and snapshots.
    Events,
    /// Versions of series that are not the newest.
    Versions,
    /// Memberships that ended before all events that are kept.
    Memberships,
    /// Erasures that are done.
    Erasures,
}

impl Prunable {
    /// All of them, in the order in which one makes room for the next.
    pub const ALL: [Prunable; 7] = [
        Prunable::Bodies,
        Prunable::Log,
        Prunable::Messages,
        Prunable::Events,
        Prunable::Versions,
        Prunable::Memberships,
        Prunable::Erasures,
    ];
}

/// Keeping an account's data no longer than it wants.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// What an account keeps how long; the default where it has said nothing.
    async fn retention(&self, account: AccountId) -> StoreResult<Retention>;

    /// Changes it. What is older goes with the next turns of the janitor.
    async fn set_retention(&self, account: AccountId, retention: Retention) -> StoreResult<()>;

    /// Lets go of up to `limit` rows of one kind that are older than `before`, oldest first, in one short transaction.
    /// How many went: 0 where there are no more. Work that is pending is never touched.
    async fn prune(&self, account: AccountId, what: Prunable, before: Timestamp, limit: usize) -> StoreResult<usize>;

    /// How long this store recognises repetitions. Messages are kept at least as long, whatever an account has said.
    fn dedupe_window(&self) -> DedupeWindow;

    /// Looks at up to `limit` dedupe keys, of all accounts, and lets go of those that no longer count at `now`, in one
    /// short transaction. How many it looked at: 0 where there is nothing to be gained for now.
    async fn forget_keys(&self, now: Timestamp, limit: usize) -> StoreResult<usize>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_never_cuts_the_dedupe_window_short() {
        assert_eq!(Retention::new(1, 1, 29), Err(RetentionError::WithinDedupeWindow { days: 29 }));
        assert!(Retention::new(1, 1, 30).is_ok());
        assert!(Retention::new(3_650, 3_650, 3_650).is_ok());
        let refused = Retention::new(1, 31, 30);
        assert_eq!(refused, Err(RetentionError::ShorterThanLog { metadata: 30, log: 31 }));
        for days in [0, 3_651] {
            assert!(Retention::new(days, 30, 30).is_err() && Retention::new(30, 30, days).is_err());
        }
        let Retention { bodies_days, log_days, metadata_days } = Retention::default();
        assert_eq!(Retention::new(bodies_days, log_days, metadata_days), Ok(Retention::default()));
    }
}
