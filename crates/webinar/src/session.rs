//! One dated session of a series, with everything resolved: when it is, what it is called, whether it is on.

use std::sync::Arc;

use jiff::civil::DateTime;

use crate::identity::SessionId;
use crate::zones::Moment;

/// One session. Cheap to clone: texts are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its identity, from the series and the original start.
    pub id: SessionId,
    /// The wall-clock start the rule gave it; never changes, whatever it is moved to.
    pub original_start: DateTime,
    /// The wall-clock start asked for, in the series' zone: the original one unless moved.
    pub start: DateTime,
    /// Length in real minutes.
    pub duration_minutes: u16,
    /// What participants see.
    pub title: Arc<str>,
    /// Where it takes place.
    pub link: Arc<str>,
    /// Whether it takes place.
    pub status: SessionStatus,
    /// When it really begins. On a day the clocks skip `start`, `begin.wall()` is the later time they show.
    pub begin: Moment,
    /// When it really ends.
    pub end: Moment,
    /// Whether the clocks skip `start`.
    pub shifted: bool,
}

impl Session {
    /// Whether it takes place, and so is listed in a payload.
    pub fn is_scheduled(&self) -> bool {
        self.status == SessionStatus::Scheduled
    }
}

/// The life of a session as its series tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// It takes place.
    Scheduled,
    /// It was called off; kept so that those who knew of it can be told.
    Cancelled,
}
