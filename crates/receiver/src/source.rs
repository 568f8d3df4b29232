//! A source: a place the inbox accepts webhooks from, how it tells the real sender from others, and its limits.

use std::fmt::Display;

use aws_lc_rs::digest::{Context, SHA256};
use wire::{AccountId, SourceId};

use crate::scheme::{KEYS_MAX, Scheme};

mod path;
mod rate;
#[cfg(test)]
mod tests;

pub use path::SourcePath;
pub use rate::{ParseRateError, SourceRate};

/// A name is shown in one line of a list.
const NAME_CHARS_MAX: usize = 100;
/// As long as the longest event type of ours.
const EVENT_CHARS_MAX: usize = 60;

/// A place the inbox accepts webhooks from; its settings are checked, its keys ready.
#[derive(Debug)]
pub struct Source {
    id: SourceId,
    account: AccountId,
    name: String,
    scheme: Scheme,
    path: SourcePath,
    event: Option<String>,
    body_bytes_max: Option<usize>,
    rate: Option<SourceRate>,
}

impl Source {
    /// A source with a name of 1 to 100 characters in one line; spaces around it are dropped. It is reached by its id and
    /// has no limits of its own.
    pub fn new(id: SourceId, account: AccountId, name: &str, scheme: Scheme) -> Result<Self, SourceError> {
        let (name, path) = (Self::parse_name(name)?, id.into());
        Ok(Self { id, account, name, scheme, path, event: None, body_bytes_max: None, rate: None })
    }

    /// A source of the settings file: its id is that of its name, and it is reached at a path, which is checked as a
    /// secret where it is one.
    pub fn named(account: AccountId, name: &str, scheme: Scheme, path: &str) -> Result<Self, SourceError> {
        let path = if scheme.is_path_secret() { SourcePath::secret(path)? } else { SourcePath::new(path)? };
        let name = Self::parse_name(name)?;
        Ok(Self { path, ..Self::new(Self::id_of_name(account, &name), account, &name, scheme)? })
    }

    /// The id of a source that has none but its name: the beginning of a SHA-256. What is known of a source, such as which
    /// messages it has seen, so survives a change of its path and its keys.
    #[must_use]
    pub fn id_of_name(account: AccountId, name: &str) -> SourceId {
        let mut hash = Context::new(&SHA256);
        hash.update(&account.as_u32().to_be_bytes());
        hash.update(name.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hash.finish().as_ref()[..16]);
        SourceId::from_bytes(id)
    }

    /// The same source, all of whose webhooks are this event: 1 to 60 letters, digits, `.`, `_`, `-`, `:` and `/`.
    pub fn with_event(self, event: &str) -> Result<Self, SourceError> {
        let may = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/".contains(&byte);
        if event.is_empty() || event.len() > EVENT_CHARS_MAX || !event.bytes().all(may) {
            let problem = "is no name of an event; write one such as \"webinar.created.recurring\"";
            return Err(SourceError::field("event", problem));
        }
        Ok(Self { event: Some(event.to_owned()), ..self })
    }

    /// The same source, which takes no larger bodies; the server's limit holds as well.
    #[must_use]
    pub fn with_body_bytes_max(self, bytes: usize) -> Self {
        Self { body_bytes_max: Some(bytes), ..self }
    }

    /// The same source, which takes no more than so many verified webhooks in a time.
    #[must_use]
    pub fn with_rate(self, rate: SourceRate) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// A name as [`new`](Source::new) takes it, for a source whose keys are not known yet.
    pub fn parse_name(text: &str) -> Result<String, SourceError> {
        let name = text.trim();
        let chars = name.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&chars) {
            return Err(SourceError::NameLength(chars));
        }
        if name.chars().any(char::is_control) {
            return Err(SourceError::NameCharacter);
        }
        Ok(name.to_owned())
    }

    /// Its id; dedupe keys are unique within it.
    #[must_use]
    pub const fn id(&self) -> SourceId {
        self.id
    }

    /// Its owner.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its webhooks are verified.
    #[must_use]
    pub const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Where it is reached.
    #[must_use]
    pub const fn path(&self) -> &SourcePath {
        &self.path
    }

    /// The event that all its webhooks are, where its settings say so.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// The largest body it takes, where that is less than the server's limit.
    #[must_use]
    pub const fn body_bytes_max(&self) -> Option<usize> {
        self.body_bytes_max
    }

    /// How many verified webhooks it takes in a time.
    #[must_use]
    pub const fn rate(&self) -> Option<SourceRate> {
        self.rate
    }
}

/// What is wrong with the settings of a source; it names the field and never repeats a key or a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The name is empty or too long; holds its characters.
    #[error("name has {0} characters, give it 1 to {NAME_CHARS_MAX}")]
    NameLength(usize),
    /// The name has a line break or another control character.
    #[error("name contains a control character, give it one line of plain text")]
    NameCharacter,
    /// A key cannot be used.
    #[error("key {number}: {problem}")]
    Key {
        /// Its place among the keys given, from 1.
        number: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// No key, or too many.
    #[error("keys: {0} keys were given, from 1 to {KEYS_MAX} can be in use at once")]
    KeyCount(usize),
    /// Another field.
    #[error("{field} {problem}")]
    Field {
        /// Its name in the settings file.
        field: &'static str,
        /// What is wrong with it, and the mend; reads on from its name.
        problem: String,
    },
}

impl SourceError {
    pub(crate) fn key(before: usize, problem: impl Display) -> Self {
        Self::Key { number: before + 1, problem: problem.to_string() }
    }

    pub(crate) fn field(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Field { field, problem: problem.into() }
    }
}
