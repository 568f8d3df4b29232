//! The store in the plainest possible way: everything in memory under one lock, every question a walk over all of it.
//! It passes the suite, and any other store must give the same answers to the same operations.

mod accounts;
mod agendas;
mod audit;
mod backlog;
mod catalog;
mod erasures;
mod inbox;
mod journal;
mod lanes;
mod nodes;
mod notices;
mod replays;
mod roster;
mod rules;
mod runs;
mod secrets;
mod subscriptions;
mod tables;
mod upkeep;

use std::sync::{Arc, Mutex, PoisonError};

use audit::Noting;
use store::{AuditNote, DedupeWindow};
use tables::Tables;

/// A store in memory, for comparing others with.
#[derive(Default)]
pub struct Model {
    tables: Arc<Mutex<Tables>>,
    note: Option<AuditNote>,
    window: DedupeWindow,
}

impl Model {
    fn tables(&self) -> Noting<'_> {
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        Noting::new(tables, self.note.as_ref())
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
