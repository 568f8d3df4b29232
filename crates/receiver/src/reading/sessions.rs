//! The sessions of a payload: a list of them, or one beside the person.

use std::collections::BTreeSet;

use super::SessionRead;
use super::fields::Fields;
use super::json::{Items, Json, Object};
use super::moment::{BEGIN, Creator, END, read_moment};
use super::payload::{CALL_LIST, Payload, is_session, tells_times};
use super::repairs::{Place, Repairs};

/// Whether a payload of an event has times of its session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Times {
    Expected,
    /// `webinar.completed.*` has none.
    Absent,
}

pub(super) fn read_sessions(payload: &Payload<'_>, times: Times, repairs: &mut Repairs) -> Vec<SessionRead> {
    let place = Place::at(&payload.base);
    let list = Fields::new(&payload.object, place, repairs).json(CALL_LIST);
    let list_base = format!("{}/{CALL_LIST}", payload.base);
    let sessions = match list {
        Json::Array(text) => {
            let items = Items::parse(text).unwrap_or(Items { kept: Vec::new(), count: 0 });
            if items.count > items.kept.len() {
                repairs.lost(place, CALL_LIST, "has too many sessions; the first were read");
            }
            read_items(&list_base, items.kept, times, repairs)
        }
        Json::Object(text) => read_object(&list_base, text, times, repairs),
        Json::Null if is_session(&payload.object) => {
            if payload.object.has(CALL_LIST) {
                repairs.mended(place, CALL_LIST, "is null; the session beside it was read");
            }
            vec![read_session(&payload.object, place, times, repairs)]
        }
        Json::Null if payload.object.has(CALL_LIST) => {
            repairs.mended(place, CALL_LIST, "is null; read as no sessions");
            Vec::new()
        }
        Json::Null => {
            repairs.lost(place, "", "holds no session in a known place");
            Vec::new()
        }
        Json::Bool(_) | Json::Number(_) | Json::Text(_) => {
            repairs.lost(place, CALL_LIST, "is no list; read as no sessions");
            Vec::new()
        }
    };
    without_repetitions(sessions, &list_base, repairs)
}

/// An object where the list should be: one session, or a list as PHP writes one with gaps.
fn read_object(base: &str, text: &str, times: Times, repairs: &mut Repairs) -> Vec<SessionRead> {
    let Some(object) = Object::parse(text) else { return Vec::new() };
    if is_session(&object) {
        repairs.mended(Place::at(base), "", "is one session, not a list; read as a list of one");
        return vec![read_session(&object, Place::at(base), times, repairs)];
    }
    repairs.mended(Place::at(base), "", "is an object, not a list; its members were read as one");
    read_items(base, object.values().collect(), times, repairs)
}

fn read_items(base: &str, items: Vec<&str>, times: Times, repairs: &mut Repairs) -> Vec<SessionRead> {
    let mut sessions = Vec::with_capacity(items.len());
    for (index, raw) in items.into_iter().enumerate() {
        let place = Place { base, index: Some(index) };
        let object = match Json::of(raw) {
            Json::Object(text) => Object::parse(text),
            _ => None,
        };
        match object {
            Some(object) => sessions.push(read_session(&object, place, times, repairs)),
            None => repairs.lost(place, "", "is no session; passed over"),
        }
    }
    sessions
}

fn read_session(object: &Object<'_>, place: Place<'_>, times: Times, repairs: &mut Repairs) -> SessionRead {
    let fields = &mut Fields::new(object, place, repairs);
    let id = fields.expected_text("webinarId");
    let title = fields.expected_text("webinar");
    let link = fields.expected_text("webinarLink");
    if times == Times::Absent && !tells_times(object) {
        return SessionRead { id, title, link, begin: None, end: None };
    }
    let mut creator = Creator::read(fields);
    let begin = read_moment(fields, &BEGIN, &mut creator);
    let mut end = read_moment(fields, &END, &mut creator);
    for (moment, member) in [(begin, BEGIN.instant), (end, END.instant)] {
        if moment.is_none() {
            fields.mended(member, "is missing, so that the time is not known");
        }
    }
    if begin.zip(end).is_some_and(|(begin, end)| end.instant < begin.instant) {
        fields.lost(END.instant, "is before the session begins; left out");
        end = None;
    }
    SessionRead { id, title, link, begin, end }
}

/// Each session once. One id at several times stays several sessions: nobody says that an id is one session's alone.
fn without_repetitions(sessions: Vec<SessionRead>, base: &str, repairs: &mut Repairs) -> Vec<SessionRead> {
    if sessions.len() < 2 {
        return sessions;
    }
    let (mut seen, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let is_first: Vec<bool> = sessions
        .iter()
        .enumerate()
        .map(|(index, session)| {
            let place = Place { base, index: Some(index) };
            let is_first = seen.insert(session);
            if !is_first {
                repairs.mended(place, "", "is there already; passed over");
            } else if !session.id.is_empty() && !ids.insert(&session.id) {
                repairs.mended(place, "webinarId", "is an earlier session's, which differs; both were kept");
            }
            is_first
        })
        .collect();
    let mut is_first = is_first.into_iter();
    sessions.into_iter().filter(|_| is_first.next().unwrap_or(true)).collect()
}
