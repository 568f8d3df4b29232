//! What can go wrong in a store, by what the caller should do about it.

use std::error::Error;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting to be written: so many writes, or 0 where another write holds what this one needs. Ask again
    /// shortly; nothing was kept.
    #[error("the store is busy: {}", why_busy(*.0))]
    Busy(usize),
    /// The lease of a lane or a handler was taken over by another owner: drop what you hold, it is not yours any more.
    #[error("the lease is over; another owner has it")]
    Fenced,
    /// Somebody saved another version in between: read it again and decide again.
    #[error("the version has changed from {expected} to {found} in between")]
    VersionConflict {
        /// What the caller had read.
        expected: u32,
        /// What is stored now.
        found: u32,
    },
    /// Such a thing exists already.
    #[error("{0} exists already")]
    Exists(&'static str),
    /// Something the call refers to does not exist (or belongs to another account).
    #[error("{0} does not exist")]
    Missing(&'static str),
    /// The disk is full or read-only, or the database cannot be reached or lets nothing be written. Nothing was kept;
    /// answer 503 and tell the operator.
    #[error("the store cannot write: {0}")]
    Unwritable(String),
    /// The disk failed at a commit, so nobody knows what it kept. The store takes nothing more in this process: answer
    /// 503, stop, and let a new start read what is there.
    #[error("the disk failed ({0}); nothing more is stored until the server is started anew")]
    DiskFailed(String),
    /// The connection to the database ended before it said whether it kept what was written. Answer 503: who asks again
    /// with the same ids finds out. A worker lets go of what it holds and reads anew.
    #[error("nobody knows yet whether this was stored: {0}")]
    Unconfirmed(String),
    /// Anything else: report it once, at the edge.
    #[error("{0}")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
}

/// The result of every store call.
pub type StoreResult<T> = Result<T, StoreError>;

impl StoreError {
    /// Wraps an engine's error for which the caller has no special answer.
    pub fn broken(error: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
        StoreError::Broken(error.into())
    }

    /// The same error for one more who waited for the same thing.
    #[must_use]
    pub fn again(&self) -> StoreError {
        match self {
            StoreError::Busy(waiting) => StoreError::Busy(*waiting),
            StoreError::Fenced => StoreError::Fenced,
            StoreError::VersionConflict { expected, found } => {
                StoreError::VersionConflict { expected: *expected, found: *found }
            }
            StoreError::Exists(what) => StoreError::Exists(what),
            StoreError::Missing(what) => StoreError::Missing(what),
            StoreError::Unwritable(why) => StoreError::Unwritable(why.clone()),
            StoreError::DiskFailed(why) => StoreError::DiskFailed(why.clone()),
            StoreError::Unconfirmed(why) => StoreError::Unconfirmed(why.clone()),
            // Its cause cannot be copied, its words can.
            StoreError::Broken(error) => StoreError::broken(error.to_string()),
        }
    }
}

fn why_busy(waiting: usize) -> String {
    match waiting {
        0 => "another write holds what this one needs; ask again".to_owned(),
        waiting => format!("{waiting} writes are waiting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_told_again_is_of_the_same_kind_and_in_the_same_words() {
        let why = || "why".to_owned();
        for error in [
            StoreError::Busy(3),
            StoreError::Fenced,
            StoreError::VersionConflict { expected: 1, found: 2 },
            StoreError::Exists("a record"),
            StoreError::Missing("the account"),
            StoreError::Unwritable(why()),
            StoreError::DiskFailed(why()),
            StoreError::Unconfirmed(why()),
            StoreError::broken(why()),
        ] {
            let again = error.again();
            assert_eq!(std::mem::discriminant(&again), std::mem::discriminant(&error), "{error}");
            assert_eq!(again.to_string(), error.to_string());
        }
    }

    #[test]
    fn who_meets_a_lock_is_not_told_that_no_writes_are_waiting() {
        let told = StoreError::Busy(0).to_string();
        assert_eq!(told, "the store is busy: another write holds what this one needs; ask again");
        assert_eq!(StoreError::Busy(9).to_string(), "the store is busy: 9 writes are waiting");
    }
}
