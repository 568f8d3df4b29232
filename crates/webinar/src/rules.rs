//! Rules of time zones that change after a series was announced: a newer tz database may put its wall-clock times at
//! other instants than people were told. Compares the two; whether the change is announced is its owner's decision.
//!
//! Only the series' own zone counts. Where an attendee's zone changes, the webinar stays when it was.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::{SeriesId, SessionId};
use crate::series::Series;
use crate::session::Session;
use crate::zones::{AttendeeZone, Moment, Zones, is_newer_tzdb};

/// What people were told of the newest version of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The version.
    pub version: u32,
    /// The tz database that gave the instants.
    pub tzdb_version: String,
    /// Its scheduled sessions.
    pub sessions: Vec<AnnouncedSession>,
}

/// When a session was announced to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedSession {
    /// Which.
    pub id: SessionId,
    /// The instant, and the creator's offset at it.
    pub begin: Moment,
}

/// How the rules of now differ from what was announced: what the account's owner is told, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleChange {
    /// The series.
    pub webinar: SeriesId,
    /// The version that was announced.
    pub version: u32,
    /// What participants see.
    pub title: String,
    /// The creator's zone.
    pub timezone: String,
    /// The tz database by which it was announced.
    pub announced_tzdb_version: String,
    /// The tz database by which it is otherwise.
    pub tzdb_version: String,
    /// Whether people are told of it.
    pub update: RuleUpdate,
    /// The sessions concerned, in order of original start.
    pub sessions: Vec<MovedSession>,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleUpdate {
    /// It waits until its owner announces it.
    Waiting,
    /// It is announced without asking.
    Announced,
}

/// One session that the rules put elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovedSession {
    /// Which.
    pub webinar_id: SessionId,
    /// The wall-clock start asked for, in the creator's zone.
    pub start: String,
    /// When it was announced to begin.
    pub announced: ShownMoment,
    /// When it begins by the rules of now.
    pub now: ShownMoment,
}

/// A moment as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownMoment {
    /// The instant, RFC 3339.
    pub utc: String,
    /// The creator's offset, such as `-05:00`.
    pub offset: String,
}

impl RuleChange {
    /// Compares a series as `zones` has it with what was announced of it. `None` where they agree, apart from sessions
    /// that are over at `now` either way, and where `zones` is not the newer one: then what was announced is more right.
    pub fn between(announced: &Announced, series: &Series, zones: &Zones, now: Timestamp) -> Option<RuleChange> {
        if !is_newer_tzdb(zones.version(), &announced.tzdb_version) {
            return None;
        }
        let told = series.as_announced(&announced.sessions);
        let pairs = told.sessions().iter().zip(series.sessions());
        let moved = pairs.filter(|(old, new)| {
            new.is_scheduled() && old.begin != new.begin && old.end.instant.max(new.end.instant) > now
        });
        let sessions: Vec<MovedSession> = moved.map(|(old, new)| MovedSession::of(old, new)).collect();
        (!sessions.is_empty()).then(|| RuleChange {
            webinar: series.id(),
            version: announced.version,
            title: series.title().to_owned(),
            timezone: series.zone().name().to_owned(),
            announced_tzdb_version: announced.tzdb_version.clone(),
            tzdb_version: zones.version().to_owned(),
            update: RuleUpdate::Waiting,
            sessions,
        })
    }

    /// As JSON, which [`RuleChange::from_json`] reads back.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers become JSON")
    }

    /// Reads what [`RuleChange::to_json`] wrote.
    pub fn from_json(text: &str) -> Option<RuleChange> {
        serde_json::from_str(text).ok()
    }

    /// Whether who knows `last` knows all of this: the same sessions differ in the same way.
    pub fn is_told_by(&self, last: &RuleChange) -> bool {
        self.sessions.iter().all(|session| last.sessions.contains(session))
    }
}

impl MovedSession {
    fn of(old: &Session, new: &Session) -> MovedSession {
        MovedSession {
            webinar_id: new.id,
            start: new.start.to_string(),
            announced: ShownMoment::of(old.begin),
            now: ShownMoment::of(new.begin),
        }
    }
}

impl ShownMoment {
    fn of(moment: Moment) -> ShownMoment {
        let offset = AttendeeZone::Offset(moment.offset).to_string();
        ShownMoment { utc: format!("{:.3}", moment.instant), offset }
    }
}

#[cfg(test)]
mod tests;
