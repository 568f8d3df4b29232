//! The rows of the built-in tables as their statements take them.

use jiff::Timestamp;
use receiver::reading::{Person, SessionRead};
use serde::Serialize;

use super::super::text::{instant, offset};
use super::Mark;
use crate::Job;

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
    pub(super) fn of(id: String, series: &str, session: &'j SessionRead, (version, message): Mark) -> SessionRow<'j> {
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
}
