//! Lists in CSV. Quoted fields may span lines; a quote that is never closed costs its own line, not the rest.

use std::collections::BTreeSet;
use std::fmt;

use csv_core::{ReadRecordResult, Reader};
use serde_json::{Map, Value};
use store::NewMember;
use webinar::{FieldError, Participant, Zones};

use super::{MemberLine, RECORD_BYTES_MAX, UnreadableList, whole_line};

/// Columns of a list; more is another kind of table.
const COLUMNS_MAX: usize = 256;
/// After so many quotes that were never closed each line stands alone. Looking for the closing quote costs up to
/// [`RECORD_BYTES_MAX`] each time, and a list of nothing but open quotes would cost it for every line.
const OPEN_QUOTES_MAX: u32 = 16;

/// Bytes not yet given out as records, and the state of the parser within the first of them.
pub(super) struct CsvRecords {
    parser: Reader,
    buffer: Vec<u8>,
    /// Where the record at hand starts in `buffer`.
    start: usize,
    /// Up to where the parser has read it.
    parsed: usize,
    fields: Fields,
    /// Number of the line the record at hand starts at.
    line: u64,
    columns: Option<Columns>,
    open_quotes: u32,
    /// True while the rest of a line that was too long is passed over.
    is_skipping: bool,
    is_finished: bool,
}

/// The record at hand, unquoted.
struct Fields {
    bytes: Vec<u8>,
    bytes_used: usize,
    ends: Vec<usize>,
    ends_used: usize,
}

/// Which column holds what.
#[derive(Debug, Default)]
struct Columns {
    name: usize,
    email: usize,
    phone: Option<usize>,
    timezone: Option<usize>,
    attributes: Vec<(usize, String)>,
    count: usize,
}

enum Step {
    Record,
    Unreadable(&'static str),
    NeedsBytes,
}

impl CsvRecords {
    pub(super) fn new() -> CsvRecords {
        CsvRecords {
            parser: Reader::new(),
            buffer: Vec::new(),
            start: 0,
            parsed: 0,
            fields: Fields::new(),
            line: 1,
            columns: None,
            open_quotes: 0,
            is_skipping: false,
            is_finished: false,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.parsed -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.is_finished = true;
    }

    pub(super) fn next_member(&mut self, zones: &Zones) -> Result<Option<MemberLine>, UnreadableList> {
        loop {
            let step = self.step();
            let number = self.line;
            let outcome = match (step, &self.columns) {
                (Step::NeedsBytes, None) if self.is_finished => return Err(UnreadableList::NoColumn("name")),
                (Step::NeedsBytes, _) => return Ok(None),
                (Step::Unreadable(why), None) => return Err(UnreadableList::Header(why.to_owned())),
                (Step::Unreadable(why), Some(_)) => {
                    self.pass_line();
                    Err(whole_line(why))
                }
                (Step::Record, None) => {
                    self.columns = Some(Columns::read(&self.fields)?);
                    self.pass_record();
                    continue;
                }
                (Step::Record, Some(columns)) => {
                    let outcome = columns.member(&self.fields, zones);
                    self.pass_record();
                    outcome
                }
            };
            return Ok(Some(MemberLine { number, member: outcome }));
        }
    }

    /// Reads on within the record at hand.
    fn step(&mut self) -> Step {
        if self.is_skipping {
            self.skip();
        }
        self.pass_blank_lines();
        loop {
            let available = self.available();
            if available == self.parsed && !self.is_at_end() {
                return Step::NeedsBytes;
            }
            if self.start == self.buffer.len() {
                return Step::NeedsBytes;
            }
            let (result, read) = self.fields.read(&mut self.parser, &self.buffer[self.parsed..available]);
            self.parsed += read;
            match result {
                ReadRecordResult::Record if self.ended_within_quotes() => return Step::Unreadable(OPEN_QUOTE),
                ReadRecordResult::Record => return Step::Record,
                ReadRecordResult::OutputEndsFull => return Step::Unreadable("has too many columns; give at most 256"),
                ReadRecordResult::OutputFull => return Step::Unreadable(TOO_LONG),
                ReadRecordResult::InputEmpty if self.parsed - self.start > RECORD_BYTES_MAX => {
                    return Step::Unreadable(TOO_LONG);
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End if self.is_at_end() && read == 0 => {
                    return Step::NeedsBytes;
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
        }
    }
}
