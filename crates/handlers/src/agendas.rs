//! Agendas on their way between the store and the decisions about them, and the addresses of calendars.

use receiver::agenda::{self, Entries};
use receiver::{CalendarToken, RunFailure, RunFailureKind, WebinarEvent};
use store::{Agenda, CalendarOf, StoreError};
use wire::AccountId;

use crate::{Job, Tools};

/// An agenda, read.
pub(crate) struct Kept {
    pub(crate) key: String,
    pub(crate) entries: Entries,
}

/// Which agenda of a person an event belongs to: one that is kept, or a new one under this key. `None` where the event
/// names no session and belongs to nothing that is kept.
pub(crate) async fn belonging_to(
    event: &WebinarEvent,
    job: &Job,
    tools: &Tools,
    person: &str,
) -> Result<Option<(String, Option<Entries>)>, RunFailure> {
    let stored = tools.agendas.agendas(job.account, &job.handler, person).await.map_err(|error| of_store(&error))?;
    let mut kept = stored.iter().map(read).collect::<Result<Vec<Kept>, RunFailure>>()?;
    let place = agenda::belonging_to(event, kept.iter().map(|kept| (kept.key.as_str(), &kept.entries)));
    Ok(match place {
        Some(place) => {
            let kept = kept.swap_remove(place);
            Some((kept.key, Some(kept.entries)))
        }
        None => agenda::key_of(event).map(|key| (key, None)),
    })
}

pub(crate) fn read(agenda: &Agenda) -> Result<Kept, RunFailure> {
    let entries = Entries::from_text(agenda.version, &agenda.entries).map_err(|error| RunFailure {
        kind: RunFailureKind::Hopeless,
        reason: format!(
            "an agenda in the database cannot be read ({error}); was it written by a newer version of Fanfare?"
        ),
    })?;
    Ok(Kept { key: agenda.series.clone(), entries })
}

pub(crate) fn stored(person: &str, key: &str, entries: &Entries) -> Agenda {
    Agenda { person: person.to_owned(), series: key.to_owned(), version: entries.version, entries: entries.to_text() }
}

/// The version that a job's event stands for.
pub(crate) fn version_of(job: &Job) -> (u64, u64) {
    (job.message.reading.version(), job.message.id.as_u64())
}

/// The address of a calendar: a new one the first time, then always the same. The text is a secret.
pub async fn calendar_url(
    tools: &Tools,
    account: AccountId,
    handler: &str,
    of: CalendarOf,
) -> Result<Option<String>, StoreError> {
    let Some(public_url) = &tools.public_url else { return Ok(None) };
    let token = tools.agendas.calendar_token(account, handler, of, tools.chance.bytes()).await?;
    Ok(Some(format!("{public_url}{}", CalendarToken::from_bytes(token).path())))
}

pub(crate) fn of_store(error: &StoreError) -> RunFailure {
    RunFailure { kind: RunFailureKind::Retry { after: None }, reason: format!("the store of Fanfare: {error}") }
}
