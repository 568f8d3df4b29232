//! Member lists, CSV or NDJSON, read as they arrive: bytes in, people or mistakes out, in bounded memory. Pure; the
//! HTTP routes and the command line read lists through it.

mod csv;
mod lines;
mod ndjson;
mod report;

#[cfg(test)]
mod tests;

use store::NewMember;
use webinar::{FieldError, Zones};

pub use report::MemberReport;

/// Longest record, in bytes. A person's line is about a hundred; this bounds memory and what a stray quote swallows.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;
/// How many people to give to the store at once: one transaction of a few milliseconds.
pub const BATCH_SIZE: usize = 1_000;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// With a header line naming `name` and `email`, and maybe `phone` and `timezone`, in any order; further columns
    /// become attributes (RFC 4180).
    Csv,
    /// One JSON object a line, with the same names.
    Ndjson,
}

/// One line of a list: a person, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberLine {
    /// The number of the line it begins at, from 1; in CSV the header is line 1.
    pub number: u64,
    /// The person, or every mistake of the line.
    pub member: Result<NewMember, Vec<FieldError>>,
}

/// The whole list cannot be read; nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableList {
    /// The first line of a CSV list does not name the columns.
    #[error("the first line must name the columns, such as \"name,email,phone,timezone\"; it has no column {0}")]
    NoColumn(&'static str),
    /// The columns of a CSV list are separated by something else.
    #[error("the first line separates its columns with {0:?}; separate columns with commas")]
    Separator(char),
    /// Two columns are named alike.
    #[error("the first line names column {0:?} twice; keep one")]
    ColumnTwice(String),
    /// The first line is no line of text.
    #[error("the first line cannot be read: {0}")]
    Header(String),
}

/// Reads one list. Feed it bytes as they come, take lines until there is none, and say when the bytes are over.
#[derive(Debug)]
pub struct MemberReader {
    records: Records,
    zones: Zones,
}

#[derive(Debug)]
enum Records {
    Csv(Box<csv::CsvRecords>),
    Ndjson(lines::Lines),
}

impl MemberReader {
    /// A reader at the start of a list.
    pub fn new(format: ListFormat, zones: Zones) -> MemberReader {
        let records = match format {
            ListFormat::Csv => Records::Csv(Box::default()),
            ListFormat::Ndjson => Records::Ndjson(lines::Lines::default()),
        };
        MemberReader { records, zones }
    }

    /// Brings further bytes; they may end anywhere. Take all lines before bringing more, so that little is kept.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.lines().feed(bytes);
    }

    /// Says that no bytes follow: a last line without a line break is complete.
    pub fn finish(&mut self) {
        self.lines().finish();
    }

    /// The next complete line; `None` until more bytes come.
    pub fn next_line(&mut self) -> Result<Option<MemberLine>, UnreadableList> {
        match &mut self.records {
            Records::Csv(records) => records.next_member(&self.zones),
            Records::Ndjson(lines) => Ok(ndjson::next_member(lines, &self.zones)),
        }
    }

    fn lines(&mut self) -> &mut lines::Lines {
        match &mut self.records {
            Records::Csv(records) => records.lines(),
            Records::Ndjson(lines) => lines,
        }
    }
}

const TOO_LONG: &str = "is longer than 64 KiB; shorten it, or look for a quote or a line break that is missing";

/// A mistake of the line as a whole.
fn whole_line(detail: impl Into<String>) -> Vec<FieldError> {
    vec![FieldError { pointer: String::new(), detail: detail.into() }]
}
