//! What is wrong with something a person typed: one value's `Mistake`, a field's `FieldError`, and all
//! of a form at once, `Invalid`. Each text names the thing and the mend.

use serde::Serialize;

/// Most mistakes reported at once. A form with more is the wrong form, and the answer stays small.
pub const MISTAKES_MAX: usize = 50;

/// Longest part of a person's text that is repeated in an error, in characters: enough to find it.
const QUOTE_CHARS_MAX: usize = 60;

/// What is wrong with one value and how to mend it. Whoever knows the place makes a [`FieldError`] of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(String);

impl Mistake {
    pub(crate) fn new(text: impl Into<String>) -> Mistake {
        Mistake(text.into())
    }
}

/// A mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into what was sent, such as `/overrides/0/session`.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub detail: String,
}

/// Every mistake of one form, in the order of its fields; never empty, at most [`MISTAKES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Invalid(Vec<FieldError>);

impl Invalid {
    /// The mistakes, first field first.
    pub fn errors(&self) -> &[FieldError] {
        &self.0
    }
}

/// Collects mistakes while the rest of the form is still read.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<FieldError>);

impl Mistakes {
    /// The value, or a note of what is wrong with it.
    pub(crate) fn keep<T>(&mut self, pointer: &str, value: Result<T, Mistake>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(mistake) => {
                self.note(pointer, mistake);
                None
            }
        }
    }

    pub(crate) fn note(&mut self, pointer: &str, mistake: Mistake) {
        if self.0.len() < MISTAKES_MAX {
            let pointer = pointer.to_owned();
            self.0.push(FieldError { pointer, detail: mistake.0 });
        }
    }

    /// The value, if it is whole and nothing was noted; a part that is missing has been noted.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(Invalid(self.0)),
        }
    }
}

/// A person's text in double quotes, control characters escaped, cut to a length that fits an error.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
