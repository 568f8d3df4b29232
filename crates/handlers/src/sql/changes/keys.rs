//! Under which keys sessions are kept, and to which series they belong.
//!
//! A session is kept under the sender's id. Where a sender gives all sessions of a series one id, it is not documented that
//! it does not, they are kept as `id@begin`. A series is recognised by sharing a session with what is kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use receiver::WebinarEvent;
use receiver::reading::SessionRead;

use super::super::text::instant;

/// The keys of kept sessions, each with its series.
pub(super) struct Keys {
    known: BTreeMap<String, String>,
}

impl Keys {
    pub(super) fn new(known: Vec<(String, String)>) -> Keys {
        Keys { known: known.into_iter().collect() }
    }

    /// The series that a body lists, and its sessions with their keys; from now on they are known.
    pub(super) fn of_listed<'j>(&mut self, webinar: &'j WebinarEvent) -> (String, Vec<(String, &'j SessionRead)>) {
        let sessions: Vec<(String, &SessionRead)> =
            webinar.sessions.iter().map(|session| (self.key_within(session, webinar), session)).collect();
        let told = webinar.series.as_ref().map(|series| series.id.clone());
        let series = told.or_else(|| self.recognise(webinar)).unwrap_or_else(|| {
            let ids = webinar.sessions.iter().map(|session| &session.id).filter(|id| !id.is_empty());
            let smallest = ids.min().or_else(|| sessions.iter().map(|(key, _)| key).min());
            smallest.cloned().unwrap_or_default()
        });
        self.known.extend(sessions.iter().map(|(key, _)| (key.clone(), series.clone())));
        (series, sessions)
    }

    /// The key and the series of a session that comes alone.
    pub(super) fn of_one(&self, session: &SessionRead, told: Option<&str>, received_at: Timestamp) -> (String, String) {
        let key = self.key_alone(session, received_at);
        let series = told.map(str::to_owned).or_else(|| self.known.get(&key).cloned());
        let series = series.unwrap_or_else(|| if session.id.is_empty() { key.clone() } else { session.id.clone() });
        (key, series)
    }

    fn key_within(&self, session: &SessionRead, webinar: &WebinarEvent) -> String {
        let with_begin = key_with_begin(session);
        let is_shared = webinar.sessions.iter().filter(|other| other.id == session.id).nth(1).is_some();
        let is_plain = !session.id.is_empty() && !is_shared && !self.known.contains_key(&with_begin);
        if is_plain { session.id.clone() } else { with_begin }
    }

    fn key_alone(&self, session: &SessionRead, received_at: Timestamp) -> String {
        let with_begin = key_with_begin(session);
        if session.id.is_empty() || self.known.contains_key(&with_begin) {
            return with_begin;
        }
        if self.known.contains_key(&session.id) {
            return session.id.clone();
        }
        let mut siblings = self.of_id(&session.id).map(|(key, _)| key).peekable();
        match (siblings.peek().is_some(), session.begin) {
            (false, _) => session.id.clone(),
            (true, Some(_)) => with_begin,
            // What is over is told without its time: the last that had begun.
            (true, None) => {
                let now = format!("{}@{}", session.id, instant(received_at));
                siblings.rfind(|key| **key <= now).cloned().unwrap_or(with_begin)
            }
        }
    }

    fn recognise(&self, webinar: &WebinarEvent) -> Option<String> {
        let ids = webinar.sessions.iter().map(|session| &session.id).filter(|id| !id.is_empty());
        ids.flat_map(|id| self.known.get(id).into_iter().chain(self.of_id(id).map(|(_, series)| series))).min().cloned()
    }

    fn of_id(&self, id: &str) -> impl DoubleEndedIterator<Item = (&String, &String)> {
        self.known.range(format!("{id}@")..format!("{id}A"))
    }
}

fn key_with_begin(session: &SessionRead) -> String {
    let name = if session.id.is_empty() { &session.title } else { &session.id };
    format!("{name}@{}", session.begin.map(|begin| instant(begin.instant)).unwrap_or_default())
}
