//! The rows of the built-in tables as their statements take them, and how two of one key become one.

use jiff::Timestamp;
use receiver::reading::{Person, SessionRead};
use serde::Serialize;

use super::super::text::{instant, offset};
use super::Mark;
use crate::Job;

/// With fewer digits than this two numbers may end alike by chance.
const PHONE_DIGITS_MIN: usize = 7;

#[derive(Debug, Clone, Serialize)]
pub(super) struct SeriesRow<'j> {
    pub(super) id: String,
    pub(super) title: &'j str,
    pub(super) version: i64,
    pub(super) message: i64,
    pub(super) told_at: String,
}

impl<'j> SeriesRow<'j> {
    pub(super) fn of(id: &str, title: &'j str, (version, message): Mark, job: &Job) -> SeriesRow<'j> {
        SeriesRow { id: id.to_owned(), title, version, message, told_at: instant(job.message.received_at) }
    }
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct SessionRow<'j> {
    pub(super) id: String,
    pub(super) series: String,
    pub(super) title: &'j str,
    pub(super) link: &'j str,
    pub(super) begins_at: Option<String>,
    pub(super) ends_at: Option<String>,
    pub(super) creator_offset: Option<String>,
    pub(super) creator_begins: Option<String>,
    pub(super) creator_ends: Option<String>,
    pub(super) version: i64,
    pub(super) message: i64,
}

impl<'j> SessionRow<'j> {
    pub(super) fn of(
        id: String,
        series: &str,
        session: &'j SessionRead,
        (version, message): Mark,
    ) -> SessionRow<'j> {
        SessionRow {
            id,
            series: series.to_owned(),
            title: &session.title,
            link: &session.link,
            begins_at: session.begin.map(|begin| instant(begin.instant)),
            ends_at: session.end.map(|end| instant(end.instant)),
            creator_offset: session.begin.map(|begin| offset(begin.offset)),
            creator_begins: session.begin.map(|begin| begin.wall.to_string()),
            creator_ends: session.end.map(|end| end.wall.to_string()),
            version,
            message,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct RecordingRow<'c> {
    pub(super) id: &'c str,
    pub(super) link: &'c str,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct PersonRow<'j> {
    pub(super) email: &'j str,
    pub(super) name: &'j str,
    pub(super) phone: Option<&'j str>,
    pub(super) utc_offset: Option<String>,
    pub(super) first_seen_at: String,
    pub(super) last_seen_at: String,
    pub(super) message: i64,
}

impl<'j> PersonRow<'j> {
    pub(super) fn of(email: &'j str, person: &'j Person, job: &Job) -> PersonRow<'j> {
        let seen_at = instant(job.message.received_at);
        PersonRow {
            email,
            name: &person.name,
            phone: person.phone.as_deref(),
            utc_offset: person.offset.map(offset),
            first_seen_at: seen_at.clone(),
            last_seen_at: seen_at,
            message: super::mark(job).1,
        }
    }

    /// The newer message holds, but keeps what it does not say; as the statement in `tables.rs`.
    pub(super) fn merge(&mut self, other: PersonRow<'j>) {
        let (older, newer) = match other.message >= self.message {
            true => (self.clone(), other),
            false => (other, self.clone()),
        };
        *self = PersonRow {
            email: newer.email,
            name: if newer.name.is_empty() { older.name } else { newer.name },
            phone: match (older.phone, newer.phone) {
                (Some(older), Some(newer)) if is_same_with_dial_code(older, newer) => Some(older),
                (older, newer) => newer.or(older),
            },
            utc_offset: newer.utc_offset.or(older.utc_offset),
            first_seen_at: older.first_seen_at.min(newer.first_seen_at),
            last_seen_at: older.last_seen_at.max(newer.last_seen_at),
            message: newer.message,
        };
    }
}

fn is_same_with_dial_code(full: &str, bare: &str) -> bool {
    bare.len() >= PHONE_DIGITS_MIN && full.strip_prefix('+').is_some_and(|digits| digits.ends_with(bare))
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct AgendaRow<'j> {
    person: &'j str,
    series: String,
    version: i64,
    message: i64,
    told_at: String,
    #[serde(skip)]
    sessions: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct InvitationRow<'c> {
    session: &'c str,
    #[serde(flatten)]
    agenda: &'c AgendaRow<'c>,
}

impl<'j> AgendaRow<'j> {
    pub(super) fn of(
        person: &'j str,
        series: &str,
        (version, message): Mark,
        told_at: Timestamp,
        sessions: Vec<String>,
    ) -> AgendaRow<'j> {
        AgendaRow { person, series: series.to_owned(), version, message, told_at: instant(told_at), sessions }
    }

    pub(super) const fn mark(&self) -> Mark {
        (self.version, self.message)
    }

    pub(super) fn invitations(&self) -> impl Iterator<Item = InvitationRow<'_>> {
        self.sessions.iter().map(|session| InvitationRow { session, agenda: self })
    }
}

/// How a person met a session; who attended stays so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Presence {
    Reminded,
    Attended,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct PresenceRow<'j> {
    person: &'j str,
    session: String,
    status: Presence,
    reminded_at: Option<String>,
    attended_at: Option<String>,
    changed_at: String,
}

impl<'j> PresenceRow<'j> {
    pub(super) fn of(person: &'j str, session: &str, status: Presence, job: &Job) -> PresenceRow<'j> {
        let at = instant(job.message.received_at);
        let is_there = status == Presence::Attended;
        PresenceRow {
            person,
            session: session.to_owned(),
            status,
            reminded_at: (!is_there).then(|| at.clone()),
            attended_at: is_there.then(|| at.clone()),
            changed_at: at,
        }
    }

    pub(super) fn merge(&mut self, other: PresenceRow<'j>) {
        self.status = self.status.max(other.status);
        self.reminded_at = self.reminded_at.take().max(other.reminded_at);
        self.attended_at = match (self.attended_at.take(), other.attended_at) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.changed_at = self.changed_at.clone().max(other.changed_at);
    }
}
