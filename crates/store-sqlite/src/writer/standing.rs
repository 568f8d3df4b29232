//! How the writer stands with its disk: what it tells the log, the readiness check and whoever must stop the process.

use std::time::Duration;

use store::{StoreError, StoreResult};
use tokio::time::Instant;

/// A refusal makes the store unready for so long. On a full disk small writes still find room beside large ones that do
/// not, so one success says little.
const REFUSAL_COUNTS_FOR: Duration = Duration::from_secs(2);

/// One writer's standing.
#[derive(Clone, Debug)]
pub(crate) enum Standing {
    /// Everything is taken.
    Sound,
    /// The latest refusal, and why. Writes are tried all the same: there may be space again.
    Refusing { at: Instant, why: String },
    /// A commit met an I/O error. What an fsync has lost once, a second one does not bring back, so nothing more is
    /// acknowledged until a new process has read the file.
    Stopped(String),
}

impl Standing {
    /// The standing after a batch ended so.
    pub(crate) fn after(&self, outcome: &StoreResult<()>, now: Instant) -> Standing {
        match (self, outcome) {
            (Standing::Stopped(why), _) => Standing::Stopped(why.clone()),
            (_, Err(StoreError::Unwritable(why))) => Standing::Refusing { at: now, why: why.clone() },
            (Standing::Refusing { at, .. }, Ok(())) if now - *at >= REFUSAL_COUNTS_FOR => Standing::Sound,
            // Another process holds the lock, or a write of the batch has a bug: nothing that the disk is to blame for.
            (same, Ok(()) | Err(StoreError::Busy(_))) => same.clone(),
            (_, Err(StoreError::DiskFailed(why))) => Standing::Stopped(why.clone()),
            (_, Err(other)) => Standing::Stopped(other.to_string()),
        }
    }

    /// Whether writes may be expected to succeed.
    pub(crate) fn check(&self, now: Instant) -> StoreResult<()> {
        match self {
            Standing::Refusing { at, why } if now - *at < REFUSAL_COUNTS_FOR => {
                Err(StoreError::Unwritable(why.clone()))
            }
            Standing::Sound | Standing::Refusing { .. } => Ok(()),
            Standing::Stopped(why) => Err(StoreError::DiskFailed(why.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_counts_until_writes_have_succeeded_for_a_while() {
        let (now, full) = (Instant::now(), Err(StoreError::Unwritable("full".to_owned())));
        let refusing = Standing::Sound.after(&full, now);
        assert!(matches!(refusing.check(now), Err(StoreError::Unwritable(_))));
        let still = refusing.after(&Ok(()), now);
        assert!(matches!(still.check(now), Err(StoreError::Unwritable(_))), "a small write is no proof");
        let later = now + REFUSAL_COUNTS_FOR;
        assert!(still.check(later).is_ok(), "it is worth a try");
        assert!(matches!(still.after(&Ok(()), later), Standing::Sound));
    }

    #[test]
    fn an_io_error_is_for_good_and_a_lock_is_nothing() {
        let now = Instant::now();
        assert!(matches!(Standing::Sound.after(&Err(StoreError::Busy(0)), now), Standing::Sound));
        let stopped = Standing::Sound.after(&Err(StoreError::DiskFailed("EIO".to_owned())), now);
        assert!(matches!(stopped.after(&Ok(()), now).check(now), Err(StoreError::DiskFailed(why)) if why == "EIO"));
        assert!(matches!(Standing::Sound.after(&Err(StoreError::broken("?")), now), Standing::Stopped(_)));
    }
}
