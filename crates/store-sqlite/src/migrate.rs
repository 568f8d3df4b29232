//! Migrations: numbered SQL files, applied in one transaction each; the number reached is SQLite's `user_version`. The
//! digest of each stays in the database, so that a file made by other migrations of the same number is recognised.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use store::FailPoint;

use crate::open::{OpenError, ServerLock, told};

/// In order; the number of a migration is its place, from 1. Files once released are never edited.
pub(crate) const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_foundation.sql")];

const DIGESTS: &str = "create table if not exists migration (
    number integer primary key,
    digest blob not null check (length(digest) = 32)
) strict";

/// How a file's schema relates to the one this program knows.
enum Reached {
    Known,
    /// The number of the first migration that is not ours.
    Foreign(u32),
    Newer(u32),
    Older(u32),
}

/// Brings the schema to the newest version; refuses one that is newer still or not ours. A file that has a schema
/// already is changed only by who holds the lock, so never under a server of an older version.
pub(crate) fn run(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
    lock: Option<&ServerLock>,
) -> Result<(), OpenError> {
    let at = |source| told(path, source);
    let mut own_lock = None;
    loop {
        // Read inside the transaction: two processes may start on a new file at once.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(at)?;
        let reached = match reached(&transaction, migrations).map_err(at)? {
            Reached::Older(reached) => reached,
            other => return refuse(other, path, migrations),
        };
        if reached > 0 && lock.is_none() && own_lock.is_none() {
            own_lock = Some(ServerLock::take(path)?);
        }
        let sql = migrations[reached as usize];
        let apply = || {
            transaction.execute_batch(DIGESTS)?;
            transaction.execute_batch(sql)?;
            let digest = digest(&SHA256, sql.as_bytes());
            let insert = "insert into migration (number, digest) values (?1, ?2)";
            transaction.execute(insert, (reached + 1, digest.as_ref()))?;
            transaction.pragma_update(None, "user_version", reached + 1)
        };
        apply().map_err(at)?;
        FailPoint::MigrationBeforeCommit.pass();
        transaction.commit().map_err(at)?;
    }
}

/// Refuses every schema but the newest, and changes nothing.
pub(crate) fn check(connection: &Connection, path: &Path, migrations: &[&str]) -> Result<(), OpenError> {
    let reached = reached(connection, migrations).map_err(|source| told(path, source))?;
    refuse(reached, path, migrations)
}

fn reached(connection: &Connection, migrations: &[&str]) -> rusqlite::Result<Reached> {
    let reached: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let Some(applied) = migrations.get(..reached as usize) else { return Ok(Reached::Newer(reached)) };
    // A statement, for another process may have made the table since this connection last looked at the schema.
    let find = "select exists (select 1 from sqlite_schema where name = 'migration')";
    let keeps_digests: bool = connection.query_row(find, [], |row| row.get(0))?;
    for (number, sql) in (1..).zip(applied) {
        let find = "select digest from migration where number = ?1";
        let kept: Option<Vec<u8>> = match keeps_digests {
            true => connection.query_row(find, [number], |row| row.get(0)).optional()?,
            false => None,
        };
        if kept.as_deref() != Some(digest(&SHA256, sql.as_bytes()).as_ref()) {
            return Ok(Reached::Foreign(number));
        }
    }
    Ok(if applied.len() < migrations.len() { Reached::Older(reached) } else { Reached::Known })
}

fn refuse(reached: Reached, path: &Path, migrations: &[&str]) -> Result<(), OpenError> {
    let (path, known) = (path.to_owned(), migrations.len() as u32);
    match reached {
        Reached::Known => Ok(()),
        Reached::Foreign(number) => Err(OpenError::ForeignSchema { path, number }),
        Reached::Newer(found) => Err(OpenError::NewerSchema { path, found, known }),
        Reached::Older(found) => Err(OpenError::OlderSchema { path, found, known }),
    }
}
