//! A statement of the operator's own: read once, its named parameters found, and bound for each event. Values are always
//! bound, never spliced.

use serde_json::Value;

use super::path::{Path, Scope};
use super::scan::{self, Dialect, Piece};

#[cfg(test)]
mod tests;

/// What an event has at its top; a parameter that begins otherwise is a slip of the pen.
const ROOTS: [&str; 10] =
    ["event", "trigger", "test", "person", "series", "sessions", "mangoes", "repairs", "body", "message"];

/// The handler itself begins and ends the transaction; these would tear the effect from the mark of the run.
const NOT_OURS: [&str; 13] = [
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "prepare",
    "attach",
    "detach",
    "vacuum",
    "pragma",
];

/// Why a statement cannot be used; it follows "statement 2 ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StatementError(pub String);

/// A list of the event whose elements statements are run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForEach {
    /// `:session`, each of `sessions`.
    Sessions,
    /// `:mango`, each of `mangoes`.
    Mangoes,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    source: String,
    text: String,
    paths: Vec<Path>,
    for_each: Option<ForEach>,
}

impl ForEach {
    /// Reads a list's name.
    pub fn parse(list: &str) -> Result<ForEach, StatementError> {
        [ForEach::Sessions, ForEach::Mangoes].into_iter().find(|each| each.list() == list).ok_or_else(|| {
            StatementError(format!("{list:?} is no list statements can run for; write \"sessions\" or \"mangoes\""))
        })
    }

    /// The list.
    pub(super) const fn list(self) -> &'static str {
        match self {
            ForEach::Sessions => "sessions",
            ForEach::Mangoes => "mangoes",
        }
    }

    /// What parameters call one of its elements.
    pub(super) const fn element(self) -> &'static str {
        match self {
            ForEach::Sessions => "session",
            ForEach::Mangoes => "mango",
        }
    }
}

impl Statement {
    /// Reads a statement. One that has `:session` (or `:mango`) is run for each element where `for_each` says so; all
    /// others are run once.
    pub fn parse(source: &str, dialect: Dialect, for_each: Option<ForEach>) -> Result<Statement, StatementError> {
        let pieces = scan::pieces(source, dialect).map_err(StatementError)?;
        let mut statement =
            Statement { source: source.trim().to_owned(), text: String::new(), paths: vec![], for_each: None };
        for piece in pieces {
            match piece {
                Piece::Plain(text) => statement.text.push_str(text),
                Piece::Parameter(text) => statement.add_parameter(Path::of(text), dialect, for_each)?,
            }
        }
        statement.refuse_what_is_not_ours()?;
        Ok(statement)
    }

    /// Whether it runs for each element of a list.
    #[must_use]
    pub const fn is_for_each(&self) -> bool {
        self.for_each.is_some()
    }

    /// As the database reads it, with numbered parameters.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// As the operator wrote it.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// What its parameters are for an event: one list for each time it is to be run.
    pub(super) fn bind(&self, event: &Value) -> Vec<Vec<Value>> {
        let values = |scope| self.paths.iter().map(|path| path.find(scope).clone()).collect();
        let Some(for_each) = self.for_each else {
            return vec![values(Scope { event, element: None })];
        };
        let elements = event.get(for_each.list()).and_then(Value::as_array);
        let of_element = |element| values(Scope { event, element: Some((for_each.element(), element)) });
        elements.into_iter().flatten().map(of_element).collect()
    }

    /// Its parameters as the operator wrote them.
    pub(super) fn paths(&self) -> &[Path] {
        &self.paths
    }

    // A path that stands twice is one parameter: the database infers its type from all its places.
    fn add_parameter(&mut self, path: Path, dialect: Dialect, for_each: Option<ForEach>) -> Result<(), StatementError> {
        match [ForEach::Sessions, ForEach::Mangoes].into_iter().find(|each| each.element() == path.root()) {
            Some(each) if for_each == Some(each) => self.for_each = Some(each),
            Some(each) => {
                let list = each.list();
                return Err(StatementError(format!("has :{path}, so set for-each = {list:?} beside it")));
            }
            None if ROOTS.contains(&path.root()) => {}
            None => {
                let known = ROOTS.join(", ");
                return Err(StatementError(format!(
                    "has :{path}, which begins with nothing an event has; known are {known} (a colon that is no \
                     parameter is followed by a space)"
                )));
            }
        }
        let place = self.paths.iter().position(|known| *known == path).unwrap_or_else(|| {
            self.paths.push(path);
            self.paths.len() - 1
        });
        let sign = match dialect {
            Dialect::Postgres => '$',
            Dialect::Sqlite => '?',
        };
        self.text.push_str(&format!("{sign}{}", place + 1));
        Ok(())
    }

    fn refuse_what_is_not_ours(&self) -> Result<(), StatementError> {
        let first: String = first_word(&self.text).to_ascii_lowercase();
        if first.is_empty() {
            return Err(StatementError("is empty".to_owned()));
        }
        if NOT_OURS.contains(&first.as_str()) {
            return Err(StatementError(format!(
                "begins with {first}; leave it out: the handler runs all statements of an event in one transaction"
            )));
        }
        Ok(())
    }
}

fn first_word(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let end = match rest.get(..2) {
            Some("--") => rest.find('\n'),
            Some("/*") => rest.find("*/").map(|at| at + 1),
            _ => break,
        };
        rest = end.map_or("", |end| rest[end + 1..].trim_start());
    }
    &rest[..rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())]
}
