//! The loops that do what the pure crates decide. Each has one shape: claim, act, decide, settle; and a `turn()` that a
//! test can step.

mod janitor;
mod lane;
mod lanes;
mod notices;
mod outbound;
mod replays;
mod rules;
mod runs;
mod test_send;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use provider::lane::DISABLE_AFTER;
use provider::target::TargetPolicy;
use store::{Chance, Clock, Lanes};
use tokio::sync::Notify;

pub use janitor::Janitor;
pub use lanes::{ALIVE_FOR, BEAT_INTERVAL, LaneSupervisor};
pub use notices::NoticeSender;
pub use outbound::{Outbound, Posting, Way};
pub use replays::ReplayTurner;
pub use rules::RuleWatcher;
pub use runs::{MessageRead, Reader, RunContext, RunHandler, RunSupervisor, SourceLabel};
pub use test_send::TestSender;

/// What the workers of a process share.
#[derive(Clone)]
pub struct Context {
    /// The queues.
    pub lanes: Arc<dyn Lanes>,
    /// The one way out.
    pub egress: Arc<dyn Outbound>,
    /// Which targets may be called; asked again each time a lane is opened.
    pub targets: Arc<TargetPolicy>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub chance: Arc<dyn Chance>,
    /// Poked when something has become due, so that nobody waits for the next poll. Only a hint.
    pub hint: Arc<Notify>,
    /// What bounds the lanes of this process.
    pub bounds: Bounds,
}

/// What bounds the lanes of a process.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests in flight to all endpoints together, at least 2.
    pub requests_max: usize,
    /// An endpoint that has failed for this long is disabled.
    pub disable_after: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { requests_max: REQUESTS_MAX, disable_after: DISABLE_AFTER }
    }
}

/// Each holds a socket, and some tens of kilobytes while it waits.
const REQUESTS_MAX: usize = 8_192;

/// How long a lane or a handler is leased. One whose owner died without a word is taken over at most this much and one look,
/// which comes each second, later: within 16 s. It bears a store that is away for 10 s, such as one that fails over.
pub const LEASE_FOR: Duration = Duration::from_secs(15);
/// Owners renew so early that two more tries fit in before the lease ends, each with time for a slow answer.
pub(crate) const RENEW_AFTER: Duration = Duration::from_secs(5);

/// What a turn found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There may be more to do now.
    Worked,
    /// There is nothing to do now.
    Idle,
}
