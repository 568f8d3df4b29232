//! What SQLite's errors mean for a run. Its messages name tables, columns and files and no value, apart from those that
//! a trigger makes.

use std::path::Path;

use rusqlite::Error;
use rusqlite::ffi::{self, ErrorCode};

use super::super::trouble::{Trouble, hopeless, retry, target};
use super::connection::Broken;
use crate::RunFailure;

pub(super) fn of_opening(path: &Path, error: &Error) -> RunFailure {
    let mend = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => "; see to its directory and rights, or set create-tables = true to have it made",
        Some(ErrorCode::NotADatabase) => "; it is no SQLite file",
        _ => "",
    };
    target(format!("{} cannot be used: {error}{mend}", path.display()))
}

/// Preparing a statement concerns every message and knows no value.
pub(super) fn of_preparing(statement: &str, error: &Error) -> RunFailure {
    let words = match error {
        Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let mend = if words.contains("no such table") { "; create it, or set create-tables = true" } else { "" };
    target(format!("SQLite refuses {statement}: {words}{mend}"))
}

pub(super) fn of_running(statement: &str, error: &Error) -> Broken {
    let Error::SqliteFailure(code, message) = error else {
        let words = format!("SQLite refuses {statement}: its values do not fit");
        return Broken::Transaction(Trouble::Failed(hopeless(words)));
    };
    let words = format!("SQLite refuses {statement}: {}", words(*code, message.as_deref()));
    match code.code {
        ErrorCode::ConstraintViolation if code.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
            // It may refer to what another message, still to come, brings.
            Broken::Transaction(Trouble::Failed(retry(words)))
        }
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {
            Broken::Transaction(Trouble::Failed(hopeless(words)))
        }
        ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::CannotOpen
        | ErrorCode::NotADatabase
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::SchemaChanged => Broken::Connection(target(words)),
        // A table is gone, or has changed: the statements are read anew.
        ErrorCode::Unknown => Broken::Connection(target(words)),
        _ => Broken::Transaction(Trouble::Failed(retry(words))),
    }
}

fn words(code: ffi::Error, message: Option<&str>) -> String {
    match (code.code, message) {
        (ErrorCode::ConstraintViolation, Some(message)) if code.extended_code != ffi::SQLITE_CONSTRAINT_TRIGGER => {
            message.to_owned()
        }
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => "another program writes to the file".to_owned(),
        _ => code.to_string(),
    }
}
