//! What PostgreSQL's errors mean for a run, in words that name tables, columns and SQLSTATE, and never a value: the
//! server's own message may repeat one, so it is told only where none had been given.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use super::super::trouble::{Trouble, hopeless, retry, target};
use super::link::Broken;
use crate::RunFailure;

/// While connecting nothing of a message is known to the server.
pub(super) fn of_connecting(error: &Error) -> RunFailure {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        cause = deeper.source();
    }
    let mend = match error.code() {
        Some(code) if code.code().starts_with("28") => "; see to user and password",
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => "; create the database",
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
            "; lower the handler's concurrency or raise max_connections"
        }
        Some(_) => "",
        None if words.contains("certificate") => {
            "; give its authority as certificate = \"file:PATH\", or for a server on this machine sslmode=disable"
        }
        None => "; see whether it runs and whether host and port are right",
    };
    target(format!("PostgreSQL cannot be reached: {words}{mend}"))
}

/// Preparing a statement concerns every message, and gives the server no values: its own words are safe.
pub(super) fn of_preparing(statement: &str, error: &Error) -> RunFailure {
    let Some(refusal) = error.as_db_error() else { return of_connecting(error) };
    let mend = match *refusal.code() {
        SqlState::UNDEFINED_TABLE if refusal.message().contains("fanfare_run") => {
            "; set create-tables = true, or run what `fanfare inbox schema` prints"
        }
        SqlState::UNDEFINED_TABLE => "; create it, or set create-tables = true for the built-in ones",
        SqlState::INDETERMINATE_DATATYPE | SqlState::AMBIGUOUS_PARAMETER => {
            "; say the parameter's type, such as :person.phone::text"
        }
        SqlState::INSUFFICIENT_PRIVILEGE => "; grant it to the handler's user",
        _ => "",
    };
    target(format!("PostgreSQL refuses {statement}: {} (SQLSTATE {}){mend}", refusal.message(), refusal.code().code()))
}

/// An error within a transaction; `None` for those that only follow from an earlier one.
pub(super) fn of_running(statement: &str, error: &Error) -> Option<Broken> {
    let Some(refusal) = error.as_db_error() else {
        return Some(Broken::Connection(target(
            "the connection to PostgreSQL was lost; the run is tried again, and done once whatever became of it"
                .to_owned(),
        )));
    };
    let code = refusal.code().code();
    let words = format!("PostgreSQL refuses {statement}: {}", words(refusal));
    let broken = match (code.get(..2).unwrap_or_default(), refusal.code()) {
        (_, state) if *state == SqlState::IN_FAILED_SQL_TRANSACTION => return None,
        ("40", _) => Broken::Transaction(Trouble::Crossed(retry(words))),
        // It may refer to what another message, still to come, brings.
        (_, state) if *state == SqlState::FOREIGN_KEY_VIOLATION => Broken::Transaction(Trouble::Failed(retry(words))),
        ("22" | "23", _) => Broken::Transaction(Trouble::Failed(hopeless(words))),
        // The server ends, refuses to write, or is full. The connection is not used again.
        ("08" | "53" | "57" | "58", state) if *state != SqlState::QUERY_CANCELED => Broken::Connection(target(words)),
        (_, state) if *state == SqlState::READ_ONLY_SQL_TRANSACTION => Broken::Connection(target(words)),
        // Tables have changed since the statements were read: the next connection reads them anew.
        ("42" | "0A" | "26", _) => Broken::Connection(target(words)),
        _ => Broken::Transaction(Trouble::Failed(retry(words))),
    };
    Some(broken)
}

/// Where it happened, without the server's message, which may hold a value.
fn words(refusal: &DbError) -> String {
    let parts = [
        ("constraint", refusal.constraint()),
        ("table", refusal.table()),
        ("column", refusal.column()),
        ("type", refusal.datatype()),
    ];
    let named = parts.iter().filter_map(|(kind, name)| Some(format!("{kind} {}", (*name)?)));
    let named: Vec<String> = std::iter::once(kind(refusal.code()).to_owned()).chain(named).collect();
    format!("{} (SQLSTATE {})", named.join(", "), refusal.code().code())
}

fn kind(state: &SqlState) -> &'static str {
    let known = [
        (SqlState::UNIQUE_VIOLATION, "the row is there already; add on conflict"),
        (SqlState::NOT_NULL_VIOLATION, "a value is missing; allow null or give the handler a filter"),
        (SqlState::FOREIGN_KEY_VIOLATION, "the row it refers to is not there"),
        (SqlState::CHECK_VIOLATION, "a check does not hold"),
        (SqlState::INVALID_TEXT_REPRESENTATION, "a value does not fit the type of its column"),
        (SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "a number is too large for its column"),
        (SqlState::STRING_DATA_RIGHT_TRUNCATION, "a text is too long for its column"),
        (SqlState::QUERY_CANCELED, "it took longer than the handler's timeout"),
        (SqlState::T_R_DEADLOCK_DETECTED, "another transaction was in the way"),
        (SqlState::T_R_SERIALIZATION_FAILURE, "another transaction was in the way"),
        (SqlState::LOCK_NOT_AVAILABLE, "another transaction holds a lock"),
        (SqlState::READ_ONLY_SQL_TRANSACTION, "the server takes no writes, as a standby does"),
        (SqlState::DISK_FULL, "its disk is full"),
        (SqlState::ADMIN_SHUTDOWN, "it is shutting down"),
        (SqlState::CANNOT_CONNECT_NOW, "it is starting or stopping"),
        (SqlState::UNDEFINED_TABLE, "a table is gone"),
        (SqlState::INSUFFICIENT_PRIVILEGE, "the handler's user may not"),
    ];
    known.iter().find(|(code, _)| code == state).map_or("an error", |(_, words)| words)
}
