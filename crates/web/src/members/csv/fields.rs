//! The fields of one record, unquoted. Reading is csv-core's; here are the bounds.

use std::fmt;

use csv_core::{ReadRecordResult, Reader};

use super::RECORD_BYTES_MAX;
use super::quotes::Quotes;

/// Columns of a list; more is another kind of table.
const COLUMNS_MAX: usize = 256;

/// What a line did to the record at hand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed {
    /// It is complete. `rest` is where in the line another begins.
    Record { rest: Option<usize> },
    /// A quoted field goes on in the next line.
    WithinQuotes,
    /// A quote stands in it where none may, so where it ends is a guess.
    QuoteAstray,
    /// It has more than [`COLUMNS_MAX`] fields.
    TooManyFields,
    /// It is longer than [`RECORD_BYTES_MAX`].
    TooLong,
}

/// The fields of the record at hand.
pub(super) struct Fields {
    parser: Reader,
    bytes: Vec<u8>,
    bytes_used: usize,
    ends: Vec<usize>,
    ends_used: usize,
    quotes: Quotes,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields {
            parser: Reader::new(),
            // One more each, because the parser stops at a full buffer even if nothing is missing.
            bytes: vec![0; RECORD_BYTES_MAX + 1],
            bytes_used: 0,
            ends: vec![0; COLUMNS_MAX + 1],
            ends_used: 0,
            quotes: Quotes::default(),
        }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({})", self.ends_used)
    }
}

impl Fields {
    /// Forgets the record.
    pub(super) fn clear(&mut self) {
        self.parser.reset();
        self.bytes_used = 0;
        self.ends_used = 0;
        self.quotes = Quotes::default();
    }

    /// Reads a line, given without its line feed.
    pub(super) fn feed_line(&mut self, line: &[u8]) -> Fed {
        self.quotes = self.quotes.after_line(line);
        if self.quotes == Quotes::Astray {
            return Fed::QuoteAstray;
        }
        let mut read = 0;
        for piece in [line, b"\n"] {
            if piece.is_empty() {
                continue;
            }
            let (result, used, bytes, ends) =
                self.parser.read_record(piece, &mut self.bytes[self.bytes_used..], &mut self.ends[self.ends_used..]);
            read += used;
            self.bytes_used += bytes;
            self.ends_used += ends;
            match result {
                ReadRecordResult::Record => return Fed::Record { rest: (read < line.len()).then_some(read) },
                ReadRecordResult::OutputFull => return Fed::TooLong,
                ReadRecordResult::OutputEndsFull => return Fed::TooManyFields,
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
        }
        Fed::WithinQuotes
    }

    pub(super) fn len(&self) -> usize {
        self.ends_used
    }

    /// The fields as text, in order; `None` where the record is not UTF-8.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        let text = std::str::from_utf8(&self.bytes[..self.bytes_used]).ok()?;
        let mut start = 0;
        let ends = &self.ends[..self.ends_used];
        // Fields are cut at ASCII delimiters, yet half a character may stand before one: `get` minds the border.
        ends.iter().map(|end| text.get(std::mem::replace(&mut start, *end)..*end)).collect()
    }
}
