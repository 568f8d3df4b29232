//! A source: a place the inbox accepts webhooks from, and how it tells the real sender from others.

use wire::{AccountId, KeyCountError, KeyRing, ParseSecretError, SourceId, VerificationKey};

#[cfg(test)]
mod tests;

/// A name is shown in one line of a list.
const NAME_CHARS_MAX: usize = 100;

/// A place the inbox accepts webhooks from; its settings are checked, its keys ready.
#[derive(Debug)]
pub struct Source {
    id: SourceId,
    account: AccountId,
    name: String,
    scheme: Scheme,
}

/// How a source's webhooks are verified. A further sender's way of signing is a further variant, with its own
/// constructor from text here and its own arm in [`verify`](crate::verify).
#[derive(Debug)]
pub enum Scheme {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`; what Fanfare and many others send.
    StandardWebhooks(KeyRing),
}

impl Source {
    /// A source with a name of 1 to 100 characters in one line; spaces around it are dropped.
    pub fn new(id: SourceId, account: AccountId, name: &str, scheme: Scheme) -> Result<Self, SourceError> {
        Ok(Self { id, account, name: Self::parse_name(name)?, scheme })
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
}

impl Scheme {
    /// Standard Webhooks with these keys in text: 1 to 8, each `whsec_…` or `whpk_…`, all valid at once.
    pub fn standard_webhooks<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Self, SourceError> {
        let parsed: Vec<VerificationKey> = keys
            .into_iter()
            .enumerate()
            .map(|(before, text)| text.trim().parse().map_err(|error| SourceError::Key { number: before + 1, error }))
            .collect::<Result<_, _>>()?;
        Ok(Self::StandardWebhooks(KeyRing::new(parsed).map_err(SourceError::KeyCount)?))
    }

    /// Keys in the text a store keeps, without the space around them; each and all as
    /// [`standard_webhooks`](Scheme::standard_webhooks) takes them.
    pub fn key_texts<'k>(keys: impl IntoIterator<Item = &'k str>) -> Result<Vec<String>, SourceError> {
        let texts: Vec<&str> = keys.into_iter().map(str::trim).collect();
        Self::standard_webhooks(texts.iter().copied())?;
        Ok(texts.into_iter().map(str::to_owned).collect())
    }
}

/// What is wrong with the settings of a source; it names the field and never repeats a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The name is empty or too long; holds its characters.
    #[error("name has {0} characters, give it 1 to {NAME_CHARS_MAX}")]
    NameLength(usize),
    /// The name has a line break or another control character.
    #[error("name contains a control character, give it one line of plain text")]
    NameCharacter,
    /// A key cannot be used.
    #[error("key {number}: {error}")]
    Key {
        /// Its place among the keys given, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        error: ParseSecretError,
    },
    /// No key, or too many.
    #[error("keys: {0}")]
    KeyCount(#[source] KeyCountError),
}
