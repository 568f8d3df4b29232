//! A loop's trouble with the store, told to the log when it begins and when it is over, and not each second between.

use store::{StoreError, StoreResult};

/// Whether a loop is in trouble, and which loop.
pub(crate) struct Trouble {
    /// What cannot be done, in the past tense: "lanes could not be claimed".
    what: &'static str,
    is_told: bool,
}

impl Trouble {
    pub(crate) fn with(what: &'static str) -> Trouble {
        Trouble { what, is_told: false }
    }

    /// What a turn gave, and nothing where it failed.
    pub(crate) fn heed<T>(&mut self, turn: StoreResult<T>) -> Option<T> {
        match turn {
            Ok(done) => {
                if std::mem::take(&mut self.is_told) {
                    tracing::info!("{} for a while; that is over", self.what);
                }
                Some(done)
            }
            Err(error) => {
                self.tell(&error);
                None
            }
        }
    }

    fn tell(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::error!(%error, "{}; trying again until it works", self.what);
        }
    }
}
