//! What an event changes of an agenda.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{ENTRIES_MAX, Entries, Entry, EntryStatus, identities};
use crate::WebinarEvent;
use crate::reading::SessionRead;

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// What the calendar holds now.
    pub entries: Entries,
    /// What is new in it.
    pub changes: Changes,
    /// Whether the event was older than what the calendar held, and changed nothing.
    pub is_outdated: bool,
}

/// What is new in an agenda, each list by begin. Sessions that were over before are in none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Sessions that were not there, or were cancelled.
    pub added: Vec<Entry>,
    /// Sessions at another time.
    pub moved: Vec<Change>,
    /// Sessions at the same time with another title or link.
    pub changed: Vec<Change>,
    /// Sessions that do not take place any more.
    pub cancelled: Vec<Entry>,
    /// Sessions that stayed as they were.
    pub unchanged: Vec<Entry>,
}

/// A session before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As it was.
    pub was: Entry,
    /// As it is.
    pub is: Entry,
}

impl Changes {
    /// Whether there is anything new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.moved.is_empty() && self.changed.is_empty() && self.cancelled.is_empty()
    }
}

impl Entries {
    /// What an event makes of an agenda. `version` is the event's, with the number of its message; `now` is when it
    /// came, so that every attempt at one message comes to the same.
    #[must_use]
    pub fn advance(previous: Option<&Entries>, event: &WebinarEvent, version: (u64, u64), now: Timestamp) -> Advance {
        let nothing = Entries::default();
        let before = previous.unwrap_or(&nothing);
        if version < before.version {
            return Advance { entries: before.clone(), changes: Changes::default(), is_outdated: true };
        }
        let mut told = told(event, now);
        let mut after = Vec::with_capacity(told.len() + before.list.len());
        let mut changes = Changes::default();
        for was in &before.list {
            let is = match told.remove(&was.uid) {
                Some(Told::Session(mut is)) => {
                    follow(was, &mut is);
                    is
                }
                Some(Told::Unreadable) => was.clone(),
                None => missing(was, event, now),
            };
            changes.note(was, &is, now);
            after.push(is);
        }
        let added = told.into_values().filter_map(|told| match told {
            Told::Session(entry) => Some(entry),
            Told::Unreadable => None,
        });
        for entry in added {
            changes.added.extend((!entry.is_over(now)).then(|| entry.clone()));
            after.push(entry);
        }
        changes.sort();
        Advance { entries: Entries { version, list: bounded(after) }, changes, is_outdated: false }
    }
}

impl Changes {
    fn note(&mut self, was: &Entry, is: &Entry, now: Timestamp) {
        if was.is_over(now) && is.is_over(now) {
            return;
        }
        let pair = || Change { was: was.clone(), is: is.clone() };
        match (was.status, is.status) {
            (EntryStatus::Cancelled, EntryStatus::Cancelled) => {}
            (EntryStatus::Confirmed, EntryStatus::Cancelled) => self.cancelled.push(is.clone()),
            (EntryStatus::Cancelled, EntryStatus::Confirmed) => self.added.push(is.clone()),
            _ if was.sequence == is.sequence => self.unchanged.push(is.clone()),
            _ if (was.begin, was.end) == (is.begin, is.end) => self.changed.push(pair()),
            _ => self.moved.push(pair()),
        }
    }

    fn sort(&mut self) {
        let by_begin = |entry: &Entry| (entry.begin, entry.uid.clone());
        for list in [&mut self.added, &mut self.cancelled, &mut self.unchanged] {
            list.sort_by_key(by_begin);
        }
        for list in [&mut self.moved, &mut self.changed] {
            list.sort_by_key(|change| by_begin(&change.is));
        }
    }
}

/// A session of an event.
enum Told {
    Session(Entry),
    /// It is there, but nobody can say when.
    Unreadable,
}

fn told(event: &WebinarEvent, now: Timestamp) -> HashMap<String, Told> {
    let sessions = &event.sessions[..event.sessions.len().min(ENTRIES_MAX)];
    let entry = |(session, identity): (&SessionRead, super::Identity)| {
        let uid = format!("{}@fanfare", identity.of(session));
        let told = match session.begin {
            None => Told::Unreadable,
            Some(begin) => Told::Session(Entry {
                uid: uid.clone(),
                session: session.id.clone(),
                sequence: 0,
                title: session.title.clone(),
                link: session.link.clone(),
                begin: begin.instant,
                end: session.end.map(|end| end.instant).filter(|end| *end > begin.instant),
                offset_seconds: begin.offset.seconds(),
                status: EntryStatus::Confirmed,
                changed_at: now,
            }),
        };
        (uid, told)
    };
    sessions.iter().zip(identities(sessions)).map(entry).collect()
}

/// A session that is in the event and was in the agenda.
fn follow(was: &Entry, is: &mut Entry) {
    is.sequence = was.sequence;
    if is.is_as(was) {
        is.changed_at = was.changed_at;
    } else {
        is.sequence = was.sequence.saturating_add(1);
    }
}

/// A session that was in the agenda and is not in the event. What is over stays: senders leave past sessions out. An event
/// about one session whose series nobody tells says nothing about others.
fn missing(was: &Entry, event: &WebinarEvent, now: Timestamp) -> Entry {
    let tells_all = event.series.is_some() || event.event != "webinar.created.single";
    if !tells_all || was.is_over(now) || was.status == EntryStatus::Cancelled {
        return was.clone();
    }
    let sequence = was.sequence.saturating_add(1);
    Entry { sequence, status: EntryStatus::Cancelled, changed_at: now, ..was.clone() }
}

fn bounded(mut list: Vec<Entry>) -> Vec<Entry> {
    list.sort_by(|a, b| (a.begin, &a.uid).cmp(&(b.begin, &b.uid)));
    let beyond = list.len().saturating_sub(ENTRIES_MAX);
    list.drain(..beyond);
    list
}
