//! What a body says, read right: the typed event of every webinar payload, its quirks repaired and each repair told.
//! What is no webinar payload stays as it is and is named where it can be. Nothing fails: there is no error.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::KeptHeaders;

mod clock;
mod event;
mod fields;
mod json;
mod moment;
mod payload;
mod person;
mod repairs;
mod sessions;
mod subject;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use event::read_whole;

/// What a body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// A webinar payload, whichever sender's.
    Webinar(Box<WebinarEvent>),
    /// Anything else; it is kept and can be handled as it came.
    Other(OtherEvent),
}

/// A body of no known shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherEvent {
    /// Its event, where the source, a header or a usual member of the body (`type`, `event`, `event_type`) names it.
    pub event: Option<String>,
}

/// A webinar payload, read right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebinarEvent {
    /// The event, such as `webinar.created.recurring`: as named, or inferred from the body's shape.
    pub event: String,
    /// Whom it is about.
    pub person: Person,
    /// Its sessions, in the order of the body.
    pub sessions: Vec<SessionRead>,
    /// Titles of the plans. A comma within a title cannot be told from one between two.
    pub mangoes: Vec<String>,
    /// The series and its version, where the sender says so in headers (Fanfare does).
    pub series: Option<SeriesMark>,
    /// Whether the sender only tried whether the receiver works: it is about nobody.
    pub is_test: bool,
    /// What was not as it should be, and what was made of it.
    pub repairs: Vec<Repair>,
}

/// Whom a payload is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// As written; empty where missing.
    pub name: String,
    /// In lower case.
    pub email: Option<String>,
    /// 4 to 20 digits, with a plus before them where the sender wrote one (or `00`).
    pub phone: Option<String>,
    /// Their offset from UTC, where it is known. One for all sessions: it may be wrong beyond a change of their clocks.
    pub offset: Option<Offset>,
    /// Their zone's name (`Asia/Kolkata`), where a sender gives that and no offset; not looked up.
    pub zone: Option<String>,
}

/// One session of a payload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionRead {
    /// The payload's `webinarId`; empty where missing.
    pub id: String,
    /// The payload's `webinar`.
    pub title: String,
    /// Where it takes place; in `webinar.completed.*` the recording.
    pub link: String,
    /// When it begins.
    pub begin: Option<ReadMoment>,
    /// When it ends; never before it begins.
    pub end: Option<ReadMoment>,
}

/// A moment, told in every way a handler may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadMoment {
    /// The instant.
    pub instant: Timestamp,
    /// The creator's offset from UTC then; UTC where nothing tells it, and then a repair says so.
    pub offset: Offset,
    /// What the creator's clock shows.
    pub wall: DateTime,
}

/// Which version of which series a payload tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesMark {
    /// The series' id.
    pub id: String,
    /// Counted from 1; 0 where it is not told.
    pub version: u64,
    /// `created` or `updated`, where told.
    pub trigger: Option<String>,
}

/// Something that was not as it should be. Equal ones of several sessions are one, at the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What was wrong and what was made of it, in words that repeat nothing of the body.
    pub what: String,
}

/// Who and what an event is about: of two events with one subject the newer holds. A hash; equal for all versions of one
/// series told to one person through one family of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(pub u64);

/// Reads a body. `event` is what the source's settings say all its webhooks are, where they do; a header
/// `fanfare-event` goes before it, and what the body itself names comes after it.
#[must_use]
pub fn read(headers: &KeptHeaders, body: &[u8], event: Option<&str>) -> Reading {
    read_whole(headers, body, event).0
}

impl Reading {
    /// The event's name, where it is known.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        match self {
            Self::Webinar(webinar) => Some(&webinar.event),
            Self::Other(other) => other.event.as_deref(),
        }
    }

    /// Who and what it is about; `None` where that is not known, so that nothing is outdated by it.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Webinar(webinar) => subject::subject_of(webinar),
            Self::Other(_) => None,
        }
    }

    /// The series' version, where told; 0 where only the order of arrival can say what is newer.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Webinar(webinar) => webinar.series.as_ref().map_or(0, |series| series.version),
            Self::Other(_) => 0,
        }
    }

    /// The event as templates, filters, commands and statements see it; its shape is in `docs/receiving/events.md`.
    /// `body` is what it was read of.
    #[must_use]
    pub fn to_json(&self, body: &[u8]) -> serde_json::Value {
        view::view(self, body)
    }
}

impl Person {
    /// The digits of their phone number alone.
    #[must_use]
    pub fn phone_digits(&self) -> Option<&str> {
        self.phone.as_deref().map(|phone| phone.trim_start_matches('+'))
    }

    /// What tells them from others: the e-mail address, else the digits of the phone number without leading zeros,
    /// which a number in JSON loses.
    pub(crate) fn mark(&self) -> Option<(u8, &str)> {
        let phone = || self.phone_digits().map(|digits| (b'p', digits.trim_start_matches('0')));
        self.email.as_deref().map(|email| (b'e', email)).or_else(phone)
    }
}
