//! The headers of a webhook worth keeping beside its body, as one text: a single column, a single allocation.
//!
//! They are not signed, so they are for showing and searching, never for deciding what somebody may do.

use wire::headers;

#[cfg(test)]
mod tests;

const KEPT: [&str; 10] = [
    "content-type",
    headers::FANFARE_EVENT,
    headers::FANFARE_TRIGGER,
    headers::FANFARE_SERIES,
    headers::FANFARE_SERIES_VERSION,
    headers::FANFARE_FANOUT,
    headers::FANFARE_INDEX,
    headers::FANFARE_TOTAL,
    headers::FANFARE_ATTEMPT,
    headers::FANFARE_TEST,
];

/// Our longest value is an event type of 60; anything longer than this is somebody trying something.
const VALUE_BYTES_MAX: usize = 200;

/// The headers that were kept: lines of `name: value`, names in lower case, each name at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptHeaders {
    lines: String,
}

impl KeptHeaders {
    /// What [`as_text`](Self::as_text) gave, back from a store.
    #[must_use]
    pub const fn from_text(lines: String) -> Self {
        Self { lines }
    }

    /// The lines, for a store.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.lines
    }

    /// The value of a header named in lower case, if it was kept.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(kept, _)| *kept == name).map(|(_, value)| value)
    }

    /// Names and values in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.lines().filter_map(|line| line.split_once(": "))
    }

    /// Keeps the header if it is one of ours and plain text; of a repeated one the first.
    pub(crate) fn offer(&mut self, name: &str, value: &[u8]) {
        let Some(name) = KEPT.iter().find(|kept| kept.eq_ignore_ascii_case(name)) else {
            return;
        };
        // Without control characters, which also keeps a line break from forging a further header.
        let plain = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if !plain || value.len() > VALUE_BYTES_MAX || self.get(name).is_some() {
            return;
        }
        if let Ok(value) = std::str::from_utf8(value) {
            self.lines.extend([name, ": ", value, "\n"]);
        }
    }
}
