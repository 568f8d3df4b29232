//! The connection to an SQLite file and one transaction on it. Everything here blocks.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, Error, InterruptHandle, OpenFlags, TransactionBehavior, params_from_iter};
use serde_json::Value;

use super::super::trouble::{Trouble, target};
use super::super::work::{ALREADY_DONE, Command, Rows, TRANSACTIONS_PER_PRUNING, Work};
use super::failure;
use crate::{Job, RunFailure};

/// Others who write to the file are waited for so long; then the run is tried again by schedule.
const BUSY_TIME_MAX: Duration = Duration::from_secs(5);
/// Every statement stays read: the built-in ones are 14.
const STATEMENTS_KEPT: usize = 256;

/// Which file.
pub(super) struct File {
    pub(super) path: PathBuf,
    /// The inbox's own.
    pub(super) forbidden: Option<PathBuf>,
    /// Whether it is made where it is missing, with its tables.
    pub(super) create: bool,
}

/// The open file.
pub(super) struct Link {
    connection: Connection,
    transactions: u64,
}

/// Why a transaction did not come about.
pub(super) enum Broken {
    Transaction(Trouble),
    /// The file has to be opened anew.
    Connection(RunFailure),
}

impl File {
    /// A handler that wrote to the inbox's own file would hold up its one writer, and could break it.
    pub(super) fn refuse_the_inbox(&self) -> Result<(), String> {
        let Some(forbidden) = &self.forbidden else { return Ok(()) };
        let identity = |path: &PathBuf| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        let is_same = match (identity(&self.path), identity(forbidden)) {
            (Some(one), Some(two)) => one == two,
            _ => self.path == *forbidden,
        };
        if is_same {
            return Err(format!("{} is the inbox's own file; give another", self.path.display()));
        }
        Ok(())
    }
}

/// It will hold addresses of people.
fn make_for_its_owner_alone(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

impl Link {
    pub(super) fn open(file: &File, work: &Work) -> Result<Link, RunFailure> {
        file.refuse_the_inbox().map_err(target)?;
        let unusable = |error: Error| failure::of_opening(&file.path, &error);
        let create = if file.create { OpenFlags::SQLITE_OPEN_CREATE } else { OpenFlags::empty() };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        if file.create {
            let told = |error| target(format!("{} cannot be made: {error}", file.path.display()));
            make_for_its_owner_alone(&file.path).map_err(told)?;
        }
        let connection = Connection::open_with_flags(&file.path, flags).map_err(unusable)?;
        connection.busy_timeout(BUSY_TIME_MAX).map_err(unusable)?;
        // Asked for before anything is written, and the answer is read: on a file system without shared memory SQLite
        // stays with its older journal, which is as safe.
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(unusable)?;
        connection.pragma_update(None, "synchronous", "full").map_err(unusable)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(unusable)?;
        if file.create {
            let schema = format!("begin immediate; {} commit", work.schema);
            connection.execute_batch(&schema).map_err(unusable)?;
        }
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        for text in &work.texts {
            let statement = connection.prepare_cached(&text.text);
            let statement = statement.map_err(|error| failure::of_preparing(&text.name, &error))?;
            drop(statement);
        }
        Ok(Link { connection, transactions: 0 })
    }

    pub(super) fn interrupt_handle(&self) -> InterruptHandle {
        self.connection.get_interrupt_handle()
    }

    /// Notes the runs, does what is to be done for those that are new, and commits.
    pub(super) fn transact(&mut self, work: &Work, jobs: &[Job]) -> Result<Vec<String>, Broken> {
        let of_transaction = |error: Error| failure::of_running("the transaction", &error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(of_transaction)?;
        let keys: Vec<String> = jobs.iter().map(Job::idempotency_key).collect();
        let run = |command: Command| {
            let text = &work.texts[command.statement];
            run(&transaction, &text.text, command.values, text.columns)
                .map_err(|error| failure::of_running(&text.name, &error))
        };
        let noted: BTreeSet<String> = run(work.note_runs(jobs, &keys))?.into_iter().flatten().collect();
        let fresh = jobs.iter().zip(&keys).filter(|(_, key)| noted.contains(*key));
        let fresh: Vec<&Job> = fresh.map(|(job, _)| job).collect();
        if fresh.is_empty() {
            return Ok(vec![ALREADY_DONE.to_owned(); jobs.len()]);
        }
        let known = work.look_up(jobs).map(run).transpose()?.unwrap_or_default();
        let mut plan = work.plan(&fresh, known);
        let mut rows = Rows::new();
        for command in std::mem::take(&mut plan.commands) {
            rows.extend(run(command)?);
        }
        transaction.commit().map_err(of_transaction)?;
        let words = plan.words(rows, &keys, &noted);
        self.prune(work, jobs);
        Ok(words)
    }

    fn prune(&mut self, work: &Work, jobs: &[Job]) {
        let is_due = self.transactions.is_multiple_of(TRANSACTIONS_PER_PRUNING);
        self.transactions += 1;
        let Some(job) = jobs.first().filter(|_| is_due) else { return };
        let command = work.drop_old_runs(job.now);
        if run(&self.connection, &work.texts[command.statement].text, command.values, 0).is_err() {
            tracing::warn!("old notes of runs could not be removed from fanfare_run; they stay until a later look");
        }
    }
}

fn run(connection: &Connection, text: &str, values: Vec<Value>, columns: usize) -> Result<Rows, Error> {
    let mut statement = connection.prepare_cached(text)?;
    let mut answer = statement.query(params_from_iter(values.into_iter().map(bound)))?;
    let mut rows = Rows::new();
    // Also where nothing is read of it, because SQLite does what a statement says while its rows are asked for.
    while let Some(row) = answer.next()? {
        if columns > 0 {
            rows.push((0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?);
        }
    }
    Ok(rows)
}

/// SQLite has no lists and no truth values: they are JSON and numbers there.
fn bound(value: Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(is_true) => SqlValue::Integer(is_true.into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => SqlValue::Integer(whole),
            (None, Some(real)) => SqlValue::Real(real),
            (None, None) => SqlValue::Text(number.to_string()),
        },
        Value::String(text) => SqlValue::Text(text),
        Value::Array(_) | Value::Object(_) => SqlValue::Text(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_made_is_its_owners_alone_and_one_that_is_there_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("crm.db");
        make_for_its_owner_alone(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::write(&path, b"something").unwrap();
        make_for_its_owner_alone(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"something");
    }
}
