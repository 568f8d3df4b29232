//! The store in the plainest possible way: everything in memory under one lock, every question a walk over all of it.
//! It passes the suite, and any other store must give the same answers to the same operations.

mod accounts;
mod backlog;
mod catalog;
mod inbox;
mod journal;
mod lanes;
mod roster;
mod secrets;
mod subscriptions;
mod tables;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tables::Tables;

/// A store in memory, for comparing others with.
#[derive(Default)]
pub struct Model {
    tables: Mutex<Tables>,
}

impl Model {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Model;

    fn empty_store() -> (Model, ()) {
        (Model::default(), ())
    }

    crate::suite!(empty_store);
}
