//! What a person's calendar holds of one series, and how a newer event changes it: entries that keep their identity when
//! a session moves, and count their changes as calendars ask for it (RFC 5545, UID and SEQUENCE).

mod change;

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Deserialize, Serialize};

pub use change::{Advance, Change, Changes};

use crate::WebinarEvent;
use crate::reading::SessionRead;

/// Entries an agenda holds, and sessions of one event that are looked at: as many as a series may have. Beyond it what
/// ended longest ago goes first.
pub const ENTRIES_MAX: usize = 1_000;

/// What a calendar holds of one series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// The series' version and the number of the message it stands at: what is older changes nothing.
    pub version: (u64, u64),
    /// Its sessions, by their begin.
    pub list: Vec<Entry>,
}

/// One session as a calendar holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What calendars know it by. Made from the session's id alone, so it survives a move and is the same for everybody.
    pub uid: String,
    /// The session's id, as its sender tells it.
    pub session: String,
    /// Rises by one with each change that an owner of a calendar would see.
    pub sequence: u32,
    /// Its title.
    pub title: String,
    /// Where it takes place.
    pub link: String,
    /// When it begins.
    pub begin: Timestamp,
    /// When it ends, where that is known and not before its begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// The creator's offset from UTC then, seconds: for showing a time to somebody whose own is not known.
    #[serde(default)]
    pub offset_seconds: i32,
    /// Whether it takes place.
    pub status: EntryStatus,
    /// When the message came that changed it last.
    pub changed_at: Timestamp,
}

/// Whether a session takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryStatus {
    /// It does.
    Confirmed,
    /// It does not any more.
    Cancelled,
}

impl Entries {
    /// Reads entries as [`to_text`](Entries::to_text) wrote them.
    pub fn from_text(version: (u64, u64), text: &str) -> Result<Entries, serde_json::Error> {
        Ok(Entries { version, list: serde_json::from_str(text)? })
    }

    /// The entries as stores keep them: JSON. The version stands beside it.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(&self.list).expect("entries are texts, numbers and times")
    }

    /// Whether one of its sessions is in the event.
    #[must_use]
    pub fn share_a_session_with(&self, event: &WebinarEvent) -> bool {
        event
            .sessions
            .iter()
            .any(|session| !session.id.is_empty() && self.list.iter().any(|entry| entry.session == session.id))
    }

    /// Those that take place.
    pub fn confirmed(&self) -> impl Iterator<Item = &Entry> {
        self.list.iter().filter(|entry| entry.status == EntryStatus::Confirmed)
    }
}

impl Entry {
    /// Whether it is over at `now`. One whose end is not known is over when it has begun.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.end.unwrap_or(self.begin) <= now
    }

    /// The creator's offset from UTC then.
    #[must_use]
    pub fn offset(&self) -> Offset {
        Offset::from_seconds(self.offset_seconds).unwrap_or(Offset::UTC)
    }

    fn is_as(&self, other: &Entry) -> bool {
        (self.begin, self.end, self.status) == (other.begin, other.end, other.status)
            && (&self.title, &self.link) == (&other.title, &other.link)
    }
}

/// Which of a person's agendas an event belongs to: the one of its series, else one that it shares a session with, since
/// not every sender tells the series. Each is given as its key and its entries.
pub fn belonging_to<'a>(
    event: &WebinarEvent,
    agendas: impl Iterator<Item = (&'a str, &'a Entries)> + Clone,
) -> Option<usize> {
    let key = event.series.as_ref().and_then(|_| key_of(event));
    let of_series = agendas.clone().position(|(known, _)| key.as_deref() == Some(known));
    of_series.or_else(|| agendas.into_iter().position(|(_, entries)| entries.share_a_session_with(event)))
}

/// The key that an agenda is kept under when it is new; `None` where an event names neither a series nor a session.
#[must_use]
pub fn key_of(event: &WebinarEvent) -> Option<String> {
    match &event.series {
        Some(series) => Some(format!("series {}", series.id)),
        None => event.sessions.first().map(|first| format!("session {}", identities(&event.sessions)[0].of(first))),
    }
}

/// Whether an event tells a series as it stands, so that calendars follow it. Reminders and recordings do not.
#[must_use]
pub fn is_told_by(event: &WebinarEvent) -> bool {
    event.event.starts_with("webinar.created.") && !event.is_test
}

/// How a session is known.
#[derive(Clone, Copy)]
enum Identity {
    /// By its id.
    Id,
    /// By its id and its begin, since others in the same body have its id, too, or it has none. It does not survive a
    /// move, but the calendar is right: one entry goes, another comes.
    IdAndBegin,
}

impl Identity {
    fn of(self, session: &SessionRead) -> String {
        match (self, session.begin) {
            (Identity::IdAndBegin, Some(begin)) => format!("{}-{}", session.id, begin.instant.as_second()),
            (Identity::Id | Identity::IdAndBegin, _) => session.id.clone(),
        }
    }
}

fn identities(sessions: &[SessionRead]) -> Vec<Identity> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for session in sessions {
        *seen.entry(&session.id).or_default() += 1;
    }
    let identity = |session: &SessionRead| match seen[session.id.as_str()] {
        1 if !session.id.is_empty() => Identity::Id,
        _ => Identity::IdAndBegin,
    };
    sessions.iter().map(identity).collect()
}

#[cfg(test)]
mod tests;
