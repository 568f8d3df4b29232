//! Where claims begin to look. Lanes that are due are found by an index in the order of their time, and before them lie the
//! places that lanes have had since somebody's oldest open transaction began: with one left open for an hour hundreds of
//! thousands. So most looks begin shortly before now, where almost all that is due has just become so; and one from the very
//! beginning, which finds the rest, comes as often as it costs little.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A look from the beginning comes again after so many times as long as the last one took: a twentieth of the time at most.
const APART: u32 = 20;
/// What has become due since is seen by any look.
pub(super) const LATELY_MS: i64 = 30_000;

/// How far this process has looked.
pub(super) struct Looks(Mutex<Known>);

struct Known {
    /// When a look from the beginning is worth it again.
    again_at: Option<Instant>,
    /// Where the last look ended that found as many as it had asked for.
    reached: Option<i64>,
}

/// A look at what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// From the beginning.
    Whole,
    /// From a time on (Unix milliseconds): what was due before is taken.
    From(i64),
    /// From [`LATELY_MS`] ago.
    Lately,
}

impl Looks {
    pub(super) fn new() -> Looks {
        Looks(Mutex::new(Known { again_at: None, reached: None }))
    }

    /// Decides where the next look begins.
    pub(super) fn next(&self, now: Instant) -> Look {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (known.again_at, known.reached) {
            (Some(again_at), Some(reached)) if now < again_at => Look::From(reached),
            (Some(again_at), None) if now < again_at => Look::Lately,
            _ => Look::Whole,
        }
    }

    /// Learns what a look has found: the last time found, if it had no room for more, and how long it took.
    pub(super) fn note(&self, look: Look, reached: Option<i64>, (began, ended): (Instant, Instant)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.reached = reached;
        if look == Look::Whole {
            known.again_at = Some(ended + ended.duration_since(began).min(LOOK_MAX) * APART);
        }
    }
}

/// More than that is an accident, which says nothing about the next look.
const LOOK_MAX: Duration = Duration::from_millis(500);

impl Look {
    /// The first time that is looked at; null for [`LATELY_MS`] ago.
    pub(super) fn first(self) -> Option<i64> {
        match self {
            Look::Whole => Some(i64::MIN),
            Look::From(time) => Some(time),
            Look::Lately => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_look_from_the_beginning_comes_as_often_as_it_costs_little() {
        let (looks, began) = (Looks::new(), Instant::now());
        assert_eq!(looks.next(began), Look::Whole);
        looks.note(Look::Whole, None, (began, began + after(10)));
        assert_eq!(looks.next(began + after(200)), Look::Lately);
        looks.note(Look::Lately, None, (began + after(200), began + after(201)));
        assert_eq!(looks.next(began + after(209)), Look::Lately);
        assert_eq!(looks.next(began + after(210)), Look::Whole);
    }

    #[test]
    fn a_look_that_had_no_room_is_gone_on_with() {
        let (looks, began) = (Looks::new(), Instant::now());
        looks.note(Look::Whole, Some(7), (began, began + after(100)));
        assert_eq!(looks.next(began + after(101)), Look::From(7));
        looks.note(Look::From(7), None, (began + after(101), began + after(102)));
        assert_eq!(looks.next(began + after(103)), Look::Lately);
    }
}
