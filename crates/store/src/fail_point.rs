//! Places where a test may end the process as a power switch would: around every commit, answer and request. In
//! release builds they are nothing.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A place in the code where a process may die at the worst moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// A migration has run, its transaction is open.
    MigrationBeforeCommit,
    /// A batch of writes has run, its transaction is open.
    BatchBeforeCommit,
    /// The batch is on disk, nobody knows.
    BatchAfterCommit,
    /// The log is about to be moved into the file.
    CheckpointBefore,
    /// A webhook is in the inbox, its sender does not know.
    IngestBeforeAnswer,
    /// A lane has been claimed, nothing has been done.
    LaneAfterClaim,
    /// A request is signed, not a byte is sent.
    AttemptBeforeSend,
    /// The receiver has answered, nothing is noted.
    AttemptAfterAnswer,
    /// Outcomes are packed, nothing is written.
    SettleBefore,
    /// Outcomes are on disk, the lane does not know.
    SettleAfter,
    /// All is done, the lane is not given back.
    ReleaseBefore,
    /// A handler has been claimed, nothing has been done.
    RunAfterClaim,
    /// A handler has had its effect, nothing is noted.
    RunAfterEffect,
    /// Ends of runs are gathered, nothing is written.
    RunSettleBefore,
    /// Ends of runs are on disk, the worker does not know.
    RunSettleAfter,
}

/// Which place, and how often it is passed before it fails.
struct Armed {
    place: FailPoint,
    passes_left: AtomicU64,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

impl FailPoint {
    /// All of them: what a crash test iterates over.
    pub const ALL: [FailPoint; 15] = [
        FailPoint::MigrationBeforeCommit,
        FailPoint::BatchBeforeCommit,
        FailPoint::BatchAfterCommit,
        FailPoint::CheckpointBefore,
        FailPoint::IngestBeforeAnswer,
        FailPoint::LaneAfterClaim,
        FailPoint::AttemptBeforeSend,
        FailPoint::AttemptAfterAnswer,
        FailPoint::SettleBefore,
        FailPoint::SettleAfter,
        FailPoint::ReleaseBefore,
        FailPoint::RunAfterClaim,
        FailPoint::RunAfterEffect,
        FailPoint::RunSettleBefore,
        FailPoint::RunSettleAfter,
    ];

    /// Ends the process here if a test has asked for it.
    pub fn pass(self) {
        if cfg!(debug_assertions)
            && let Some(armed) = ARMED.get()
            && armed.place == self
            && armed.passes_left.fetch_sub(1, Ordering::SeqCst) == 0
        {
            std::process::abort();
        }
    }

    /// Lets this place be passed `passes` times and then ends the process at it. The first call counts.
    pub fn arm(self, passes: u64) {
        let _ = ARMED.set(Armed { place: self, passes_left: AtomicU64::new(passes) });
    }
}

impl fmt::Display for FailPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for FailPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<FailPoint, String> {
        let found = FailPoint::ALL.into_iter().find(|place| place.to_string() == text);
        found.ok_or_else(|| format!("{text} is no fail point; there are {:?}", FailPoint::ALL))
    }
}
