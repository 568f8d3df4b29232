//! What the lanes of a process share: requests in flight, so that endpoints that hang cannot take them all, and the
//! paces of endpoints, which outlive the lanes that keep them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use provider::pace::Pace;
use tokio::time::Instant;
use wire::{AccountId, EndpointId};

/// The requests in flight of a process. Half belongs to lanes whose endpoints answer, half to the others.
pub(crate) struct Flight {
    answering: Pool,
    silent: Pool,
    half: usize,
}

#[derive(Default)]
struct Pool {
    requests: AtomicUsize,
    lanes: AtomicUsize,
}

/// Whether an endpoint has answered lately: the others may hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Answering,
    Silent,
}

/// One lane's part of the requests in flight; given back when dropped.
pub(crate) struct Share {
    flight: Arc<Flight>,
    voice: Voice,
    own: usize,
}

impl Flight {
    pub(crate) fn of(requests_max: usize) -> Flight {
        Flight { answering: Pool::default(), silent: Pool::default(), half: requests_max / 2 }
    }

    /// Requests in flight.
    pub(crate) fn requests(&self) -> usize {
        self.answering.requests.load(Ordering::Relaxed) + self.silent.requests.load(Ordering::Relaxed)
    }

    fn pool(&self, voice: Voice) -> &Pool {
        match voice {
            Voice::Answering => &self.answering,
            Voice::Silent => &self.silent,
        }
    }
}

impl Share {
    pub(crate) fn new(flight: Arc<Flight>) -> Share {
        flight.silent.lanes.fetch_add(1, Ordering::Relaxed);
        Share { flight, voice: Voice::Silent, own: 0 }
    }

    /// Whether one more request may leave: there is room, or the lane has less than its even part.
    pub(crate) fn has_room(&self) -> bool {
        let pool = self.flight.pool(self.voice);
        if pool.requests.load(Ordering::Relaxed) < self.flight.half {
            return true;
        }
        let even_part = self.flight.half / pool.lanes.load(Ordering::Relaxed).max(1);
        self.own < even_part.max(1)
    }

    pub(crate) fn take(&mut self) {
        self.own += 1;
        self.flight.pool(self.voice).requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&mut self) {
        self.own -= 1;
        self.flight.pool(self.voice).requests.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes whether the endpoint answers.
    pub(crate) fn note(&mut self, voice: Voice) {
        if voice == self.voice {
            return;
        }
        self.leave();
        self.voice = voice;
        let pool = self.flight.pool(voice);
        pool.requests.fetch_add(self.own, Ordering::Relaxed);
        pool.lanes.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        let pool = self.flight.pool(self.voice);
        pool.requests.fetch_sub(self.own, Ordering::Relaxed);
        pool.lanes.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The paces of endpoints that have not rested yet: a lane that is left and taken up again earns no new burst.
pub(crate) struct Paces {
    started_at: Instant,
    paces: Mutex<HashMap<(AccountId, EndpointId), Pace>>,
}

/// Beyond so many, those that have rested are forgotten.
const PACES_KEPT: usize = 1_024;

impl Paces {
    pub(crate) fn new() -> Paces {
        Paces { started_at: Instant::now(), paces: Mutex::default() }
    }

    /// The time on which all paces are kept.
    pub(crate) fn now(&self) -> std::time::Duration {
        self.started_at.elapsed()
    }

    pub(crate) fn take(&self, lane: (AccountId, EndpointId)) -> Pace {
        let kept = self.paces.lock().unwrap_or_else(PoisonError::into_inner).remove(&lane);
        kept.unwrap_or_else(|| Pace::rested(self.now()))
    }

    pub(crate) fn keep(&self, lane: (AccountId, EndpointId), pace: Pace) {
        let now = self.now();
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        if paces.len() >= PACES_KEPT {
            paces.retain(|_, pace| !pace.is_rested(now));
        }
        if !pace.is_rested(now) {
            paces.insert(lane, pace);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(share: &mut Share) -> usize {
        while share.has_room() {
            share.take();
        }
        share.own
    }

    #[test]
    fn lanes_that_hang_leave_room_for_those_that_answer() {
        let flight = Arc::new(Flight::of(100));
        let mut hanging: Vec<Share> = (0..20).map(|_| Share::new(flight.clone())).collect();
        for share in &mut hanging {
            filled(share);
        }
        let mut answering = Share::new(flight.clone());
        answering.note(Voice::Answering);
        assert_eq!(filled(&mut answering), 50);
    }

    #[test]
    fn a_lane_that_comes_late_gets_its_even_part() {
        let flight = Arc::new(Flight::of(100));
        let mut first = Share::new(flight.clone());
        assert_eq!(filled(&mut first), 50);
        let mut second = Share::new(flight.clone());
        assert_eq!(filled(&mut second), 25);
        assert!(!first.has_room());
    }

    #[test]
    fn what_a_lane_held_is_free_after_it() {
        let flight = Arc::new(Flight::of(10));
        let mut first = Share::new(flight.clone());
        filled(&mut first);
        first.note(Voice::Answering);
        drop(first);
        assert_eq!(filled(&mut Share::new(flight.clone())), 5);
        assert_eq!(flight.answering.requests.load(Ordering::Relaxed), 0);
    }
}
