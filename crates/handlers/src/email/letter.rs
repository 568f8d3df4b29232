//! What a mail is about: decided from the event and from what it changes of the person's calendar.

use jiff::Timestamp;
use jiff::tz::Offset;
use receiver::agenda::{Advance, Change, Changes, Entry, EntryStatus};
use receiver::reading::{ReadMoment, SessionRead};
use receiver::{Reading, WebinarEvent};
use serde_json::{Value, json};

use super::texts::one_line;
use crate::template::times::offset_text;

/// What a mail is about.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    kind: LetterKind,
    title: String,
    lines: Vec<Line>,
    /// Sessions that the calendar gets, in invitations.
    pub(super) requested: Vec<Entry>,
    /// Sessions that the calendar loses.
    pub(super) cancelled: Vec<Entry>,
}

/// What kind of mail it is, as templates see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetterKind {
    Invitation,
    Update,
    Cancellation,
    Reminder,
    Recording,
    /// About something that is no webinar: only for texts of the operator's own.
    Other,
}

#[derive(Debug, Clone)]
struct Line {
    state: &'static str,
    is: Shown,
    was: Option<Shown>,
}

/// A session as templates see it.
#[derive(Debug, Clone)]
struct Shown {
    id: String,
    title: String,
    link: String,
    begin: Option<(Timestamp, Offset)>,
    end: Option<(Timestamp, Offset)>,
}

impl LetterKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            LetterKind::Invitation => "invitation",
            LetterKind::Update => "update",
            LetterKind::Cancellation => "cancellation",
            LetterKind::Reminder => "reminder",
            LetterKind::Recording => "recording",
            LetterKind::Other => "other",
        }
    }
}

impl Letter {
    /// About what an announcement changes; `None` where that is nothing that is still ahead at `now`. A run that was
    /// asked for anew tells what stands, since somebody wants the mail again.
    pub(super) fn of_changes(advance: &Advance, is_first: bool, is_rerun: bool, now: Timestamp) -> Option<Letter> {
        let changes = ahead(advance.changes.clone(), now);
        let is_repeated = changes.is_empty() && is_rerun && !changes.unchanged.is_empty();
        if changes.is_empty() && !is_repeated {
            return None;
        }
        let remains = advance.entries.confirmed().any(|entry| !entry.is_over(now));
        let kind = match (is_first || is_repeated, remains) {
            (true, _) => LetterKind::Invitation,
            (false, true) => LetterKind::Update,
            (false, false) => LetterKind::Cancellation,
        };
        let mut lines = Vec::new();
        lines.extend(changes.added.iter().map(|entry| Line::of("added", entry)));
        lines.extend(changes.unchanged.iter().map(|entry| Line::of("unchanged", entry)));
        lines.extend(changes.cancelled.iter().map(|entry| Line::of("cancelled", entry)));
        lines.extend(changes.moved.iter().map(|change| Line::between("moved", change)));
        lines.extend(changes.changed.iter().map(|change| Line::between("changed", change)));
        lines.sort_by_key(|line| line.is.begin.map(|(instant, _)| instant));
        let mut requested = changes.added;
        requested.extend(changes.moved.into_iter().chain(changes.changed).map(|change| change.is));
        if is_repeated {
            requested = changes.unchanged;
        }
        requested.sort_by_key(|entry| entry.begin);
        let title = title_of(&lines);
        Some(Letter { kind, title, lines, requested, cancelled: changes.cancelled })
    }

    /// About anything else: a reminder, a recording, or what is no webinar.
    pub(super) fn of_reading(reading: &Reading) -> Letter {
        let (kind, sessions) = match reading {
            Reading::Webinar(event) => (kind_of(event), event.sessions.as_slice()),
            Reading::Other(_) => (LetterKind::Other, [].as_slice()),
        };
        let lines: Vec<Line> =
            sessions.iter().map(|session| Line { state: "told", is: session.into(), was: None }).collect();
        let title = title_of(&lines);
        Letter { kind, title, lines, requested: Vec::new(), cancelled: Vec::new() }
    }

    pub(super) fn kind(&self) -> LetterKind {
        self.kind
    }

    /// What templates see as `mail`.
    pub(super) fn to_json(&self, reading: &Reading) -> Value {
        let person = match reading {
            Reading::Webinar(event) => Some(&event.person),
            Reading::Other(_) => None,
        };
        let line = |line: &Line| {
            let mut json = line.is.to_json();
            json["state"] = line.state.into();
            json["was"] = line.was.as_ref().map_or(Value::Null, Shown::to_json);
            json
        };
        json!({
            "kind": self.kind.as_str(),
            "title": one_line(&self.title),
            "name": person.map(|person| one_line(&person.name)).unwrap_or_default(),
            "offset": person.and_then(|person| person.offset).map(offset_text),
            "sessions": self.lines.iter().map(line).collect::<Vec<_>>(),
        })
    }
}

fn kind_of(event: &WebinarEvent) -> LetterKind {
    if event.event.starts_with("webinar.completed.") {
        return LetterKind::Recording;
    }
    LetterKind::Reminder
}

/// Whether it is a reminder of what is over.
pub(super) fn comes_too_late(event: &WebinarEvent, now: Timestamp) -> bool {
    let is_over = |session: &SessionRead| session.end.or(session.begin).is_some_and(|moment| moment.instant <= now);
    let is_reminder = event.event.starts_with("webinar.reminder.");
    is_reminder && !event.sessions.is_empty() && event.sessions.iter().all(is_over)
}

/// The title of what takes place, rather than of what does not.
fn title_of(lines: &[Line]) -> String {
    let standing = lines.iter().find(|line| line.state != "cancelled");
    standing.or(lines.first()).map(|line| line.is.title.clone()).unwrap_or_default()
}

/// What of the changes is still to come: nobody needs to be told of a session that is over.
fn ahead(mut changes: Changes, now: Timestamp) -> Changes {
    for list in [&mut changes.added, &mut changes.cancelled, &mut changes.unchanged] {
        list.retain(|entry| !entry.is_over(now));
    }
    changes.unchanged.retain(|entry| entry.status == EntryStatus::Confirmed);
    for list in [&mut changes.moved, &mut changes.changed] {
        list.retain(|change| !change.was.is_over(now) || !change.is.is_over(now));
    }
    changes
}

impl Line {
    fn of(state: &'static str, entry: &Entry) -> Line {
        Line { state, is: entry.into(), was: None }
    }

    fn between(state: &'static str, change: &Change) -> Line {
        Line { state, is: (&change.is).into(), was: Some((&change.was).into()) }
    }
}

impl From<&Entry> for Shown {
    fn from(entry: &Entry) -> Shown {
        Shown {
            id: entry.session.clone(),
            title: entry.title.clone(),
            link: entry.link.clone(),
            begin: Some((entry.begin, entry.offset())),
            end: entry.end.map(|end| (end, entry.offset())),
        }
    }
}

impl From<&SessionRead> for Shown {
    fn from(session: &SessionRead) -> Shown {
        let moment = |moment: ReadMoment| (moment.instant, moment.offset);
        Shown {
            id: session.id.clone(),
            title: session.title.clone(),
            link: session.link.clone(),
            begin: session.begin.map(moment),
            end: session.end.map(moment),
        }
    }
}

impl Shown {
    fn to_json(&self) -> Value {
        let moment = |moment: Option<(Timestamp, Offset)>| {
            let shown = |(instant, offset): (Timestamp, Offset)| {
                json!({
                    "utc": instant.to_string(),
                    "offset": offset_text(offset),
                    "wall": offset.to_datetime(instant).to_string(),
                })
            };
            moment.map_or(Value::Null, shown)
        };
        json!({
            "id": self.id,
            "title": one_line(&self.title),
            "link": one_line(&self.link),
            "begin": moment(self.begin),
            "end": moment(self.end),
        })
    }
}
