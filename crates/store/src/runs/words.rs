//! How runs stand, in the words of API, terminal and page.

use super::{RunStanding, RunState, SkipReason};

impl RunStanding {
    /// All of them.
    pub const ALL: [RunStanding; 4] =
        [RunStanding::Waiting, RunStanding::Done, RunStanding::Skipped, RunStanding::Parked];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            RunStanding::Waiting => "waiting",
            RunStanding::Done => "done",
            RunStanding::Skipped => "skipped",
            RunStanding::Parked => "parked",
        }
    }
}

impl RunState {
    /// How it stands, without the details.
    pub fn standing(&self) -> RunStanding {
        match self {
            RunState::Waiting { .. } => RunStanding::Waiting,
            RunState::Done => RunStanding::Done,
            RunState::Skipped(_) => RunStanding::Skipped,
            RunState::Parked { .. } => RunStanding::Parked,
        }
    }

    /// Why it is not done, where that is known.
    pub fn reason(&self) -> Option<&str> {
        match self {
            RunState::Waiting { reason, .. } | RunState::Parked { reason } => Some(reason.as_str()),
            RunState::Skipped(reason) => Some(reason.in_words()),
            RunState::Done => None,
        }
        .filter(|reason| !reason.is_empty())
    }
}

impl SkipReason {
    /// For people.
    pub fn in_words(self) -> &'static str {
        match self {
            SkipReason::Outdated => "a newer version for the same person was handled",
            SkipReason::ContentGone => "the message's content was erased or has expired",
            SkipReason::Dropped => "dropped by an operator, or asked for anew although the handler does not take it",
        }
    }
}
