//! Bytes as they arrive, cut into numbered lines; a line without an end costs no more memory than the longest one.

use super::RECORD_BYTES_MAX;

/// What spreadsheets put before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes not yet given out.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Where the next line starts in `buffer`.
    start: usize,
    /// Up to where `buffer` is known to hold no further line break.
    searched: usize,
    /// Lines begun.
    count: u64,
    /// True while the rest of a line that was too long is passed over.
    is_skipping: bool,
    is_finished: bool,
}

/// One line, without its line feed.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    pub(super) text: LineText,
}

#[derive(Debug)]
pub(super) enum LineText {
    Whole(Vec<u8>),
    TooLong,
}

impl Lines {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.is_finished = true;
    }

    /// True where no line will follow.
    pub(super) fn is_over(&self) -> bool {
        self.is_finished && self.start == self.buffer.len()
    }

    pub(super) fn next_line(&mut self) -> Option<Line> {
        if self.is_skipping {
            self.skip()?;
        }
        let break_at = self.find_break();
        let end = match break_at {
            Some(at) => at,
            None if self.buffer.len() - self.start > RECORD_BYTES_MAX => self.buffer.len(),
            None if self.is_finished && self.start < self.buffer.len() => self.buffer.len(),
            None => return None,
        };
        let text = &self.buffer[self.start..end];
        self.count += 1;
        let text = if self.count == 1 { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text };
        let text = if text.len() > RECORD_BYTES_MAX { LineText::TooLong } else { LineText::Whole(text.to_vec()) };
        self.is_skipping = break_at.is_none();
        self.advance_to(if break_at.is_some() { end + 1 } else { end });
        Some(Line { number: self.count, text })
    }

    /// Passes over the rest of a line; `None` while its end has not come.
    fn skip(&mut self) -> Option<()> {
        let found = self.find_break();
        self.advance_to(found.map_or(self.buffer.len(), |at| at + 1));
        self.is_skipping = found.is_none();
        found.map(drop)
    }

    fn find_break(&mut self) -> Option<usize> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let place = found.map(|at| self.searched + at);
        self.searched = place.unwrap_or(self.buffer.len());
        place
    }

    fn advance_to(&mut self, place: usize) {
        self.start = place;
        self.searched = place;
    }
}
