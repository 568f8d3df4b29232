//! What the log was told of a source's rejections: one a second tells its owner enough, and a stranger cannot fill the
//! disk.

use std::time::Duration;

use tokio::time::Instant;

/// Between two lines of the log about one source's rejections.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// When it was told last, and how much was left out since.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Telling {
    last: Option<Instant>,
    left_out: u64,
}

impl Telling {
    /// How many were left out since the last one that was told, if this one may be.
    pub(super) fn may_tell(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < TOLD_EVERY) {
            self.left_out += 1;
            return None;
        }
        Some(std::mem::replace(self, Telling { last: Some(now), left_out: 0 }).left_out)
    }
}
