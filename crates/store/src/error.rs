//! What can go wrong in a store, by what the caller should do about it.

use std::error::Error;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much is waiting to be written. Ask again shortly; nothing was kept.
    #[error("the store is busy: {0} writes are waiting")]
    Busy(usize),
    /// The lease was taken over by another owner: drop what you hold, it is not yours any more.
    #[error("the lease on this lane is over; another owner has it")]
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
    /// The disk is full or read-only. Nothing was kept; answer 503 and tell the operator.
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
}
