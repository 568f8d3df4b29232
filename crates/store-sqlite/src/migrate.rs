//! Migrations: numbered SQL files, applied in one transaction each; the number reached is SQLite's `user_version`.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use store::FailPoint;

use crate::open::{OpenError, told};

/// In order; the number of a migration is its place, from 1. Files once released are never edited.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_foundation.sql")];

/// Brings the schema to the newest version; refuses one that is newer still.
pub(crate) fn run(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    migrate(connection).map_err(|source| told(path, source))?.map_err(|found| OpenError::NewerSchema {
        path: path.to_owned(),
        found,
        known: MIGRATIONS.len() as u32,
    })
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<Result<(), u32>> {
    loop {
        // Read inside the transaction: two processes may start on a new file at once.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let reached: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match MIGRATIONS.get(reached as usize) {
            Some(sql) => {
                transaction.execute_batch(sql)?;
                transaction.pragma_update(None, "user_version", reached + 1)?;
                FailPoint::MigrationBeforeCommit.pass();
                transaction.commit()?;
            }
            None if reached as usize > MIGRATIONS.len() => return Ok(Err(reached)),
            None => return Ok(Ok(())),
        }
    }
}
