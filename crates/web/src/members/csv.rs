//! Lists in CSV. A quoted field may span lines; a quote that is astray or never closed costs its own line, not the rest.
//! A record whose quotes are in order is taken whole: if it is refused, none of its lines is a person.

mod columns;
mod fields;
mod quotes;

use std::collections::VecDeque;

use webinar::Zones;

use super::lines::{Line, LineText, Lines};
use super::{MemberLine, RECORD_BYTES_MAX, TOO_LONG, UnreadableList, whole_line};
use columns::Columns;
use fields::{Fed, Fields};

const OPEN_QUOTE: &str = "opens a quote that is not closed; close it, or write a quote within a field twice";
const QUOTE_ASTRAY: &str = "has a quote within a field; put quotes around the whole field, and write this one twice";

/// Records that turned out not to be one. After so many each line stands alone: looking for a closing quote costs up
/// to [`RECORD_BYTES_MAX`] each time, and a list of nothing but open quotes would cost it for every line.
const MISREAD_MAX: u32 = 16;

/// Records of a list, as lines come.
#[derive(Debug, Default)]
pub(super) struct CsvRecords {
    lines: Lines,
    /// Lines to be read again, before any new one.
    again: VecDeque<Line>,
    /// Lines of the record at hand: more than one within a quoted field.
    taken: VecDeque<Line>,
    taken_bytes: usize,
    fields: Fields,
    columns: Option<Columns>,
    misread: u32,
}

impl CsvRecords {
    pub(super) fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    pub(super) fn next_member(&mut self, zones: &Zones) -> Result<Option<MemberLine>, UnreadableList> {
        loop {
            let Some(record) = self.next_record() else {
                let is_empty = self.columns.is_none() && self.lines.is_over();
                return if is_empty { Err(UnreadableList::NoColumn("name")) } else { Ok(None) };
            };
            let number = self.taken.front().map_or(0, |line| line.number);
            let Some(columns) = &self.columns else {
                record.map_err(|why| UnreadableList::Header(why.to_owned()))?;
                self.columns = Some(Columns::read(&self.fields)?);
                self.taken.clear();
                continue;
            };
            let member = match record {
                Ok(()) => columns.check_shape(&self.fields).and_then(|()| columns.member(&self.fields, zones)),
                Err(why) => {
                    self.read_again();
                    Err(whole_line(why))
                }
            };
            self.taken.clear();
            return Ok(Some(MemberLine { number, member }));
        }
    }

    /// Completes the record at hand, leaving its lines in `taken`; the error says why there are no fields. `None`
    /// until more lines come.
    fn next_record(&mut self) -> Option<Result<(), &'static str>> {
        if self.taken.is_empty() {
            self.fields.clear();
            self.taken_bytes = 0;
        }
        loop {
            let Some(line) = self.again.pop_front().or_else(|| self.lines.next_line()) else {
                return (self.lines.is_over() && !self.taken.is_empty()).then_some(Err(OPEN_QUOTE));
            };
            let number = line.number;
            let LineText::Whole(text) = &line.text else {
                return Some(self.end_at_overlong(line));
            };
            if self.taken.is_empty() && text.trim_ascii().is_empty() {
                continue;
            }
            self.taken_bytes += text.len();
            let fed = self.fields.feed_line(text);
            if let Fed::Record { rest: Some(rest) } = &fed {
                // A carriage return alone ends a line, too.
                self.again.push_front(Line { number, text: LineText::Whole(text[*rest..].to_vec()) });
            }
            self.taken.push_back(line);
            match fed {
                Fed::Record { .. } => return Some(Ok(())),
                Fed::QuoteAstray => {
                    self.keep_rest_of_first_line();
                    return Some(Err(QUOTE_ASTRAY));
                }
                Fed::TooManyFields => return Some(Err("has too many columns; give fewer than 256")),
                Fed::TooLong => return Some(Err(TOO_LONG)),
                Fed::WithinQuotes if self.misread >= MISREAD_MAX => return Some(Err(OPEN_QUOTE)),
                Fed::WithinQuotes if self.taken_bytes > RECORD_BYTES_MAX => return Some(Err(OPEN_QUOTE)),
                Fed::WithinQuotes => {}
            }
        }
    }

    fn end_at_overlong(&mut self, line: Line) -> Result<(), &'static str> {
        if self.taken.is_empty() {
            self.taken.push_back(line);
            return Err(TOO_LONG);
        }
        self.again.push_front(line);
        Err(OPEN_QUOTE)
    }

    /// Where carriage returns alone end lines, a line with a quote astray ends at its first one.
    fn keep_rest_of_first_line(&mut self) {
        let [Line { number, text: LineText::Whole(text) }] = self.taken.make_contiguous() else { return };
        let end = text.iter().skip_while(|byte| **byte == b'\r').position(|byte| *byte == b'\r');
        let leading = text.iter().take_while(|byte| **byte == b'\r').count();
        if let Some(end) = end.map(|end| leading + end + 1).filter(|end| *end < text.len()) {
            self.again.push_front(Line { number: *number, text: LineText::Whole(text.split_off(end)) });
        }
    }

    /// Gives back all lines of the record but its first: with a quote astray they are records of their own.
    fn read_again(&mut self) {
        self.taken.pop_front();
        if !self.taken.is_empty() {
            self.misread += 1;
        }
        while let Some(line) = self.taken.pop_back() {
            self.again.push_front(line);
        }
    }
}
