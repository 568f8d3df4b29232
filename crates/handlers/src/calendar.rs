//! Keeps what calendars show: for each person everything they have been told, and each series by itself. They are read at
//! addresses that nobody can guess; [`feed`](crate::feed) writes what is read there.

use async_trait::async_trait;
use receiver::agenda::{self, Advance, Entries};
use receiver::{Reading, RunFailure, WebinarEvent};
use store::{Agenda, CalendarOf};

use crate::agendas::{belonging_to, calendar_url, of_store, read, stored, version_of};
use crate::{Handler, Job, Tools};

/// Keeps calendars up to date.
pub struct CalendarHandler {
    tools: Tools,
}

/// What one event makes of calendars.
#[derive(Default)]
struct Update {
    agendas: Vec<Agenda>,
    calendars: Vec<CalendarOf>,
}

impl CalendarHandler {
    /// A handler with these means.
    #[must_use]
    pub fn new(tools: Tools) -> CalendarHandler {
        CalendarHandler { tools }
    }

    async fn update(&self, job: &Job, event: &WebinarEvent) -> Result<Update, RunFailure> {
        let mut update = Update::default();
        let mut key = agenda::key_of(event);
        if let Some(person) = &event.person.email
            && let Some((known, entries)) = belonging_to(event, job, &self.tools, person).await?
        {
            update.add(person, &known, advance(entries.as_ref(), event, job));
            update.calendars.push(CalendarOf::Person(person.clone()));
            // Where the sender tells no series, what the person has of it is the thread that holds it together.
            key = Some(known);
        }
        if let Some(key) = key {
            let kept = self.tools.agendas.series_agenda(job.account, &job.handler, &key).await;
            let kept = kept.map_err(|error| of_store(&error))?.as_ref().map(read).transpose()?;
            update.add("", &key, advance(kept.map(|kept| kept.entries).as_ref(), event, job));
            update.calendars.push(CalendarOf::Series(key));
        }
        Ok(update)
    }
}

impl Update {
    fn add(&mut self, person: &str, key: &str, advance: Advance) {
        if !advance.is_outdated {
            self.agendas.push(stored(person, key, &advance.entries));
        }
    }
}

fn advance(previous: Option<&Entries>, event: &WebinarEvent, job: &Job) -> Advance {
    Entries::advance(previous, event, version_of(job), job.message.received_at)
}

#[async_trait]
impl Handler for CalendarHandler {
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        let Some(event) = told(job) else { return Ok("not about the dates of a series; no calendar changes".into()) };
        let update = self.update(job, event).await?;
        let count = update.agendas.len();
        if count > 0 {
            let kept = self.tools.agendas.keep_agendas(job.account, &job.handler, update.agendas).await;
            kept.map_err(|error| of_store(&error))?;
        }
        // Each address is there from the first event on, for whoever hands it out.
        for of in update.calendars {
            calendar_url(&self.tools, job.account, &job.handler, of).await.map_err(|error| of_store(&error))?;
        }
        Ok(format!("{count} {} kept", if count == 1 { "calendar" } else { "calendars" }))
    }

    async fn foresee(&self, job: &Job) -> Result<String, RunFailure> {
        let Some(event) = told(job) else { return Ok("nothing: it is not about the dates of a series".into()) };
        let update = self.update(job, event).await?;
        let lines = update.agendas.iter().map(|agenda| {
            let whose = if agenda.person.is_empty() { "the series" } else { agenda.person.as_str() };
            let count = read(agenda).map_or(0, |kept| kept.entries.confirmed().count());
            format!("the calendar of {whose} would hold {count} sessions of this series")
        });
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// The event, where calendars follow it.
fn told(job: &Job) -> Option<&WebinarEvent> {
    match &job.message.reading {
        Reading::Webinar(event) => Some(&**event).filter(|event| agenda::is_told_by(event)),
        Reading::Other(_) => None,
    }
}
