//! Why a transaction did not come about, and what follows.

use crate::{RunFailure, RunFailureKind};

/// Why a transaction did not come about.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another transaction was in the way; the same again may pass at once.
    Crossed(RunFailure),
    /// Anything else.
    Failed(RunFailure),
}

/// By schedule: the failure may be of this message alone.
pub(super) fn retry(reason: String) -> RunFailure {
    RunFailure { kind: RunFailureKind::Retry { after: None }, reason }
}

/// It would fail again.
pub(super) fn hopeless(reason: String) -> RunFailure {
    RunFailure { kind: RunFailureKind::Hopeless, reason }
}

/// No message can pass as things stand.
pub(super) fn target(reason: String) -> RunFailure {
    RunFailure { kind: RunFailureKind::Target { after: None }, reason }
}
