//! What a body says, read right: the typed event of every webinar payload, its quirks repaired and each repair told.
//! What is no webinar payload stays as it is and is named where it can be.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::KeptHeaders;

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
    /// Digits, with a plus before them where the sender wrote one.
    pub phone: Option<String>,
    /// Their offset from UTC, where it is known.
    pub offset: Option<Offset>,
}

/// One session of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRead {
    /// The payload's `webinarId`; empty where missing.
    pub id: String,
    /// The payload's `webinar`.
    pub title: String,
    /// Where it takes place; in `webinar.completed.*` the recording.
    pub link: String,
    /// When it begins.
    pub begin: Option<ReadMoment>,
    /// When it ends.
    pub end: Option<ReadMoment>,
}

/// A moment, told in every way a handler may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadMoment {
    /// The instant.
    pub instant: Timestamp,
    /// The creator's offset from UTC then.
    pub offset: Offset,
    /// What the creator's clock shows.
    pub wall: DateTime,
}

/// Which version of which series a payload tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesMark {
    /// The series' id.
    pub id: String,
    /// Counted from 1.
    pub version: u64,
    /// `created` or `updated`, where told.
    pub trigger: Option<String>,
}

/// Something that was not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What was wrong and what was made of it, in words.
    pub what: String,
}

/// Who and what an event is about: of two events with one subject the newer holds. A hash; equal for all versions of one
/// series told to one person through one family of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(pub u64);

/// Reads a body. `event` is what the source's settings say all its webhooks are, where they do.
#[must_use]
pub fn read(headers: &KeptHeaders, body: &[u8], event: Option<&str>) -> Reading {
    let _ = (headers, body);
    Reading::Other(OtherEvent { event: event.map(str::to_owned) })
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
        None
    }

    /// The series' version, where told; 0 where only the order of arrival can say what is newer.
    #[must_use]
    pub fn version(&self) -> u64 {
        match self {
            Self::Webinar(webinar) => webinar.series.as_ref().map_or(0, |series| series.version),
            Self::Other(_) => 0,
        }
    }

    /// The event as templates, filters, commands and statements see it; its shape is in `docs/receiving.md`.
    #[must_use]
    pub fn to_json(&self, body: &[u8]) -> serde_json::Value {
        let _ = body;
        serde_json::json!({ "event": self.event() })
    }
}
