//! Watches the quotes of one record: RFC 4180 has them only around a whole field, or twice within such a field. The
//! parser takes others as text, and a torn record would become a person.

/// Where in a record the last byte stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Quotes {
    #[default]
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote within a quoted field: its end, or the first half of a doubled quote.
    Closing,
    /// Behind the end of a quoted field, where only space may follow.
    Closed,
    /// A quote stands where none may.
    Astray,
}

impl Quotes {
    /// After a further line of the record, given without its line feed. What follows the record's end is not looked at.
    pub(super) fn after_line(mut self, line: &[u8]) -> Quotes {
        // The parser passes over empty records.
        let leading =
            if self == Quotes::FieldStart { line.iter().take_while(|byte| **byte == b'\r').count() } else { 0 };
        for byte in &line[leading..] {
            if *byte == b'\r' && self != Quotes::Quoted {
                return self;
            }
            self = self.after(*byte);
        }
        self
    }

    fn after(self, byte: u8) -> Quotes {
        match (self, byte) {
            (Quotes::FieldStart | Quotes::Unquoted | Quotes::Closing | Quotes::Closed, b',') => Quotes::FieldStart,
            (Quotes::FieldStart | Quotes::Closing, b'"') => Quotes::Quoted,
            (Quotes::FieldStart | Quotes::Unquoted, byte) if byte != b'"' => Quotes::Unquoted,
            (Quotes::Quoted, b'"') => Quotes::Closing,
            (Quotes::Quoted, _) => Quotes::Quoted,
            (Quotes::Closing | Quotes::Closed, b' ' | b'\t') => Quotes::Closed,
            (Quotes::FieldStart | Quotes::Unquoted | Quotes::Closing | Quotes::Closed | Quotes::Astray, _) => {
                Quotes::Astray
            }
        }
    }
}
