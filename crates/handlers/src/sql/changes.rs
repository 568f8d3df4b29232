//! Decides what messages change in the built-in tables: folds the messages of one transaction into rows, each key once.
//! What the database holds already is compared there (`tables.rs`).

use std::collections::{BTreeMap, BTreeSet};

use receiver::reading::{SessionRead, WebinarEvent};
use receiver::{Reading, RunFailure, RunFailureKind};
use serde::Serialize;

use super::tables::Step;
use super::text;
use crate::Job;

mod keys;
mod row;

use keys::Keys;
use row::{AgendaRow, PersonRow, Presence, PresenceRow, RecordingRow, SeriesRow, SessionRow};

/// The version of the series and the number of the message: what is greater is newer.
pub(super) type Mark = (i64, i64);

/// What messages change.
#[derive(Debug, Default)]
pub(super) struct Changes<'j> {
    series_new: BTreeMap<String, SeriesRow<'j>>,
    series_told: BTreeMap<String, SeriesRow<'j>>,
    sessions_told: BTreeMap<String, SessionRow<'j>>,
    sessions_seen: BTreeMap<String, SessionRow<'j>>,
    recordings: BTreeMap<String, &'j str>,
    people: BTreeMap<&'j str, PersonRow<'j>>,
    agendas: BTreeMap<(&'j str, String), AgendaRow<'j>>,
    presence: BTreeMap<(&'j str, String), PresenceRow<'j>>,
}

/// What becomes of a message that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lists sessions; they hold unless something newer about person and series is kept.
    Listed { person: String, series: String, sessions: usize },
    /// A reminder, or that somebody was there, is noted.
    Noted(&'static str),
}

/// Whether these tables have a place for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Kept,
    /// It says nothing of what they hold, for this reason.
    Nothing(&'static str),
    /// It cannot be kept.
    Refused(RunFailure),
}

/// What a message says, as far as these tables go.
#[derive(Clone, Copy)]
enum News {
    Listed,
    Met(Presence),
}

/// Whether the tables have a place for the message.
pub(super) fn place_of(job: &Job) -> Place {
    let Reading::Webinar(webinar) = &job.message.reading else {
        return Place::Nothing("not about a webinar: nothing to keep");
    };
    if webinar.is_test {
        return Place::Nothing("a test: nothing to keep");
    }
    if webinar.sessions.is_empty() && webinar.series.is_none() {
        return Place::Nothing("names no session: nothing to keep");
    }
    if news_of(webinar).is_none() {
        return Place::Nothing("an event the tables have no place for: nothing to keep");
    }
    match &webinar.person.email {
        Some(_) => Place::Kept,
        None => Place::Refused(RunFailure {
            kind: RunFailureKind::Hopeless,
            reason: "the event names no e-mail address, by which people are kept; give the handler the filter \
                     \"person.email\" to pass such events over"
                .to_owned(),
        }),
    }
}

fn news_of(webinar: &WebinarEvent) -> Option<News> {
    let families = [
        ("webinar.created.", News::Listed),
        ("webinar.reminder.", News::Met(Presence::Reminded)),
        ("webinar.completed.", News::Met(Presence::Attended)),
    ];
    families.into_iter().find(|(family, _)| webinar.event.starts_with(family)).map(|(_, news)| news)
}

/// The message's parts that are kept; `None` where [`place_of`] finds no place.
fn kept(job: &Job) -> Option<(News, &WebinarEvent, &str)> {
    match &job.message.reading {
        Reading::Webinar(webinar) if place_of(job) == Place::Kept => {
            Some((news_of(webinar)?, webinar, webinar.person.email.as_deref()?))
        }
        Reading::Webinar(_) | Reading::Other(_) => None,
    }
}

/// The ids of sessions by which the messages' series are recognised; nothing where all say theirs.
pub(super) fn sessions_to_look_up(jobs: &[Job]) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for (news, webinar, _) in jobs.iter().filter_map(kept) {
        // A session that comes alone may have another key, where the sender gives all sessions of a series one id.
        if matches!(news, News::Listed) && webinar.series.is_some() {
            continue;
        }
        let sessions = webinar.sessions.iter().filter(|session| !session.id.is_empty());
        ids.extend(sessions.map(|session| session.id.clone()));
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// How many of the messages, from the first, one transaction can take: each person once, and no two versions of one
/// series, so that nothing within it has an order.
pub(super) fn count_for_one_transaction(jobs: &[Job]) -> usize {
    let mut people = BTreeSet::new();
    let mut versions = BTreeMap::new();
    let mut is_in_order = |job: &Job| {
        let Some((_, webinar, person)) = kept(job) else { return true };
        let is_one_version = webinar
            .series
            .as_ref()
            .is_none_or(|series| *versions.entry(series.id.clone()).or_insert(series.version) == series.version);
        people.insert(person.to_owned()) && is_one_version
    };
    jobs.iter().position(|job| !is_in_order(job)).unwrap_or(jobs.len())
}

impl<'j> Changes<'j> {
    /// Folds messages. `known` are the kept sessions among those to look up, each with its series.
    pub(super) fn of(jobs: &[&'j Job], known: Vec<(String, String)>) -> (Changes<'j>, Vec<Fate>) {
        let mut changes = Changes::default();
        let mut keys = Keys::new(known);
        // In the order of their marks, so that of two with one key the later holds by coming later.
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        order.sort_by_key(|place| mark(jobs[*place]));
        let mut fates = vec![Fate::Noted("nothing to keep"); jobs.len()];
        for place in order {
            if let Some((news, webinar, person)) = kept(jobs[place]) {
                changes.add_person(person, webinar, jobs[place]);
                fates[place] = match news {
                    News::Listed => changes.add_listed(person, webinar, jobs[place], &mut keys),
                    News::Met(presence) => changes.add_presence(person, webinar, jobs[place], &keys, presence),
                };
            }
        }
        (changes, fates)
    }

    fn add_person(&mut self, email: &'j str, webinar: &'j WebinarEvent, job: &Job) {
        self.people.insert(email, PersonRow::of(email, &webinar.person, job));
    }

    fn add_listed(&mut self, person: &'j str, webinar: &'j WebinarEvent, job: &'j Job, keys: &mut Keys) -> Fate {
        let mark = mark(job);
        let (series, sessions) = keys.of_listed(webinar);
        let title = webinar.sessions.first().map_or("", |session| session.title.as_str());
        self.add_series_told(SeriesRow::of(&series, title, mark, job));
        let rows: BTreeMap<String, SessionRow<'j>> = sessions
            .into_iter()
            .map(|(key, session)| (key.clone(), SessionRow::of(key, &series, session, mark)))
            .collect();
        let count = rows.len();
        let agenda = AgendaRow::of(person, &series, mark, job.message.received_at, rows.keys().cloned().collect());
        self.agendas.insert((person, series.clone()), agenda);
        self.sessions_told.extend(rows);
        Fate::Listed { person: person.to_owned(), series, sessions: count }
    }

    fn add_series_told(&mut self, row: SeriesRow<'j>) {
        self.series_new.insert(row.id.clone(), row.clone());
        self.series_told.insert(row.id.clone(), row);
    }

    fn add_presence(
        &mut self,
        person: &'j str,
        webinar: &'j WebinarEvent,
        job: &'j Job,
        keys: &Keys,
        presence: Presence,
    ) -> Fate {
        let told = webinar.series.as_ref().map(|series| series.id.as_str());
        for session in &webinar.sessions {
            let (key, series) = keys.of_one(session, told, job.message.received_at);
            // Neither is the order of a series: a mark of nothing lets any listing have its say.
            self.series_new
                .entry(series.clone())
                .or_insert_with(|| SeriesRow::of(&series, &session.title, (0, 0), job));
            self.see(&key, &series, session, presence);
            if presence == Presence::Attended && !session.link.is_empty() {
                self.recordings.insert(key.clone(), &session.link);
            }
            let row = PresenceRow::of(person, &key, presence, job);
            self.presence.insert((person, key), row);
        }
        Fate::Noted(match presence {
            Presence::Reminded => "noted a reminder",
            Presence::Attended => "noted who was there",
        })
    }

    fn see(&mut self, key: &str, series: &str, session: &'j SessionRead, presence: Presence) {
        let mut row = SessionRow::of(key.to_owned(), series, session, (0, 0));
        if presence == Presence::Attended {
            row.link = "";
        }
        self.sessions_seen.entry(key.to_owned()).or_insert(row);
    }

    /// The rows of each step that has any, as JSON.
    pub(super) fn steps(&self) -> Vec<(Step, String)> {
        let invitations: Vec<_> = self.agendas.values().flat_map(AgendaRow::invitations).collect();
        let recordings: Vec<_> = self.recordings.iter().map(|(id, link)| RecordingRow { id, link }).collect();
        let gone: Vec<_> = self.series_told.values().filter(|series| series.version > 0).collect();
        let rows = |step| match step {
            Step::SeriesNew => json(self.series_new.values()),
            Step::SeriesTold => json(self.series_told.values()),
            Step::SessionsTold => json(self.sessions_told.values()),
            Step::SessionsGone => json(gone.iter()),
            Step::SessionsSeen => json(self.sessions_seen.values()),
            Step::Recordings => json(recordings.iter()),
            Step::People => json(self.people.values()),
            Step::Agendas | Step::InvitationsGone => json(self.agendas.values()),
            Step::Invitations => json(invitations.iter()),
            Step::Presence => json(self.presence.values()),
        };
        Step::ALL.into_iter().filter_map(|step| Some((step, rows(step)?))).collect()
    }
}

fn mark(job: &Job) -> Mark {
    let bounded = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    (bounded(job.message.reading.version()), bounded(job.message.id.as_u64()))
}

/// The rows as JSON; `None` where there are none.
fn json<T: Serialize>(rows: impl Iterator<Item = T>) -> Option<String> {
    let rows: Vec<T> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let json = serde_json::to_string(&rows).ok()?;
    Some(text::without_nul(json))
}
