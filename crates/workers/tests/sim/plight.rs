//! What may befall a process that lives on: it stands still, as one that was stopped by a signal, or its machine cannot
//! reach the store.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

#[derive(Default)]
pub(crate) struct Plight {
    frozen_until: Mutex<Option<Instant>>,
    cut_off_until: Mutex<Option<Instant>>,
    is_over: Notify,
}

impl Plight {
    /// Nothing that it waits for comes before then: neither answers of the store nor of receivers. Its timers go on, but
    /// whatever they lead to asks one of these. What it had asked for takes its course.
    pub(crate) fn freeze(&self, until: Instant) {
        set(&self.frozen_until, Some(until));
    }

    /// Its calls reach no store before then, and answers that are on their way are lost.
    pub(crate) fn cut_off(&self, until: Instant) {
        set(&self.cut_off_until, Some(until));
    }

    pub(crate) fn end(&self) {
        set(&self.frozen_until, None);
        set(&self.cut_off_until, None);
        self.is_over.notify_waiters();
    }

    /// Waits until it goes on.
    pub(crate) async fn thawed(&self) {
        while let Some(until) = still(&self.frozen_until) {
            let _ = timeout_at(until, self.is_over.notified()).await;
        }
    }

    /// Until when the store is out of reach, if it is.
    pub(crate) fn cut_off_until(&self) -> Option<Instant> {
        still(&self.cut_off_until)
    }
}

fn set(place: &Mutex<Option<Instant>>, until: Option<Instant>) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = until;
}

fn still(place: &Mutex<Option<Instant>>) -> Option<Instant> {
    place.lock().unwrap_or_else(PoisonError::into_inner).filter(|until| Instant::now() < *until)
}
