//! A loop's trouble with the store, told to the log when it begins and when it is over, and not each second between.

use store::{StoreError, StoreResult};

/// Whether a loop is in trouble, and which loop.
pub(crate) struct Trouble {
    /// What cannot be done, in the past tense: "lanes could not be claimed".
    what: &'static str,
    /// Of which lane or handler, where there are many such loops.
    of: Option<String>,
    is_told: bool,
}

impl Trouble {
    pub(crate) fn with(what: &'static str) -> Trouble {
        Trouble { what, of: None, is_told: false }
    }

    /// The same of one of many.
    pub(crate) fn of(self, one: impl ToString) -> Trouble {
        Trouble { of: Some(one.to_string()), ..self }
    }

    /// What a turn gave, and nothing where it failed.
    pub(crate) fn heed<T>(&mut self, turn: StoreResult<T>) -> Option<T> {
        match turn {
            Ok(done) => {
                self.end();
                Some(done)
            }
            Err(error) => {
                self.tell(&error);
                None
            }
        }
    }

    /// It works.
    pub(crate) fn end(&mut self) {
        if std::mem::take(&mut self.is_told) {
            tracing::info!(of = self.of.as_deref(), "{} for a while; that is over", self.what);
        }
    }

    fn tell(&mut self, error: &StoreError) {
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::error!(of = self.of.as_deref(), %error, "{}; trying again until it works", self.what);
        }
    }
}
