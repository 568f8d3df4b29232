//! One payload run through the settings without doing anything: what it says, which handlers take it, and what each would
//! do.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use async_trait::async_trait;
use bytes::Bytes;
use handlers::{Job, JobMessage, Tools};
use jiff::Timestamp;
use receiver::handling::takes;
use receiver::{KeptHeaders, Source};
use serde_json::Value;
use store::{Agenda, Agendas, Calendar, CalendarOf, StoreResult};
use wire::{AccountId, InboxMessageId};
use workers::MessageRead;

use crate::config::{HandlerConfig, InboxConfig};

/// What is tried.
pub struct Payload {
    /// At which source; needed only where there are several.
    pub source: Option<String>,
    /// Headers it would come with, lines of `name: value`.
    pub headers: String,
    /// Its body.
    pub body: Bytes,
}

/// What would happen.
pub struct Trial {
    /// The source it would come in at.
    pub source: String,
    /// The event as handlers see it.
    pub event: Value,
    /// For each handler, in the order of the file, its name, its type and what would become of the message there.
    pub runs: Vec<(String, &'static str, Outcome)>,
}

/// What would become of a message at one handler.
pub enum Outcome {
    /// It is not for this handler; why.
    PassedOver(&'static str),
    /// What it would do.
    Would(String),
    /// It would fail; why.
    WouldFail(String),
}

/// Runs the payload through the settings. Nothing is kept, sent or called; whether it is signed is not asked.
pub async fn run(config: InboxConfig, payload: Payload, tools: Tools, now: Timestamp) -> anyhow::Result<Trial> {
    let source = the_source(&config.sources, payload.source.as_deref())?;
    let headers = KeptHeaders::from_text(payload.headers);
    let read = MessageRead::of(&headers, &payload.body, source.event());
    let (account, name) = (source.account(), source.name().to_owned());
    let message = Arc::new(JobMessage {
        id: InboxMessageId::from_u64(1),
        source: source.id(),
        source_name: source.name().into(),
        message_id: headers.get(wire::headers::WEBHOOK_ID).map(str::to_owned),
        received_at: now,
        headers,
        body: payload.body,
        reading: read.reading.clone(),
    });
    let tools = Tools { public_url: config.public_url.clone(), ..tools };
    let mut event = Value::Null;
    let mut runs = Vec::new();
    for handler in config.handlers {
        let job = Job {
            account,
            handler: handler.rules.name.as_str().into(),
            message: message.clone(),
            attempt: 1,
            generation: 0,
            now,
        };
        event = job.to_json();
        let (handler_name, kind) = (handler.rules.name.clone(), handler.kind.name());
        runs.push((handler_name, kind, outcome(handler, &job, &read, &tools).await?));
    }
    if event.is_null() {
        event = message.reading.to_json(&message.body);
    }
    Ok(Trial { source: name, event, runs })
}

async fn outcome(handler: HandlerConfig, job: &Job, read: &MessageRead, tools: &Tools) -> anyhow::Result<Outcome> {
    let HandlerConfig { rules, filter, kind } = handler;
    if read.is_test && !rules.test_webhooks {
        return Ok(Outcome::PassedOver("it is a test, and test-webhooks is not true"));
    }
    if !takes(&rules, &job.message.source_name, job.message.reading.event()) {
        return Ok(Outcome::PassedOver("its sources or events do not name it"));
    }
    match filter.map(|filter| filter.takes(&job.to_json())) {
        Some(Ok(false)) => return Ok(Outcome::PassedOver("its filter does not take it")),
        Some(Err(error)) => return Ok(Outcome::WouldFail(format!("its filter: {error}"))),
        Some(Ok(true)) | None => {}
    }
    let made = match kind.make_to_look(&rules, tools) {
        Ok(made) => made,
        Err(mend) => return Ok(Outcome::WouldFail(mend)),
    };
    Ok(match made.foresee(job).await {
        Ok(text) => Outcome::Would(text),
        Err(failure) => Outcome::WouldFail(failure.reason),
    })
}

fn the_source<'s>(sources: &'s [Source], wanted: Option<&str>) -> anyhow::Result<&'s Source> {
    let names = || sources.iter().map(Source::name).collect::<Vec<_>>().join(", ");
    match (sources, wanted) {
        ([], _) => bail!("the file has no [[source]]; a payload comes in at one"),
        ([only], None) => Ok(only),
        (_, None) => bail!("the file has several sources; say which with --source: {}", names()),
        (_, Some(wanted)) => {
            let found = sources.iter().find(|source| source.name() == wanted);
            found.ok_or_else(|| anyhow!("there is no source {wanted:?} in the file; there are: {}", names()))
        }
    }
}

/// Calendars in which nobody has been told anything yet.
pub struct NoAgendas;

#[async_trait]
impl Agendas for NoAgendas {
    async fn agendas(&self, _: AccountId, _: &str, _: &str) -> StoreResult<Vec<Agenda>> {
        Ok(Vec::new())
    }

    async fn series_agenda(&self, _: AccountId, _: &str, _: &str) -> StoreResult<Option<Agenda>> {
        Ok(None)
    }

    async fn keep_agendas(&self, _: AccountId, _: &str, _: Vec<Agenda>) -> StoreResult<()> {
        Ok(())
    }

    async fn calendar_token(&self, _: AccountId, _: &str, _: CalendarOf, fresh: [u8; 20]) -> StoreResult<[u8; 20]> {
        Ok(fresh)
    }

    async fn calendar(&self, _: [u8; 20]) -> StoreResult<Option<Calendar>> {
        Ok(None)
    }
}
