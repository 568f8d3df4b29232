//! What became of a member list, as the API answers it and the command line prints it.

use serde::Serialize;
use store::Enrolled;
use webinar::FieldError;

/// Bad lines told in full; all are counted. Whoever has more has one mistake in all of them.
const BAD_LINES_TOLD_MAX: usize = 100;

/// What became of a member list. `added + updated + unchanged + rejected` is `lines`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberReport {
    /// Lines with something on them, without the header.
    pub lines: u64,
    /// People who were not in the group.
    pub added: u64,
    /// Members who were corrected.
    pub updated: u64,
    /// Members who were there, just so.
    pub unchanged: u64,
    /// Lines left out.
    pub rejected: u64,
    /// The first hundred of them.
    pub errors: Vec<BadLine>,
}

/// A line that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it; the pointer names the column, or is empty for the whole line.
    pub errors: Vec<FieldError>,
}

impl MemberReport {
    /// Counts what the store did with a batch.
    pub fn count(&mut self, enrolled: Enrolled) {
        self.lines += enrolled.added + enrolled.updated + enrolled.unchanged;
        self.added += enrolled.added;
        self.updated += enrolled.updated;
        self.unchanged += enrolled.unchanged;
    }

    /// Notes a line that was left out.
    pub fn reject(&mut self, line: u64, errors: Vec<FieldError>) {
        self.lines += 1;
        self.rejected += 1;
        if self.errors.len() < BAD_LINES_TOLD_MAX {
            self.errors.push(BadLine { line, errors });
        }
    }
}
