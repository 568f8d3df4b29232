//! What sources are called: those of the database, and those of the settings file where one is given.

use std::collections::HashMap;

use anyhow::bail;
use receiver::reading::{self, Reading};
use receiver::{KeptHeaders, Source};
use serde::Deserialize;
use store::{Message, MessageContent, MessageFilter, Store};
use wire::{AccountId, SourceId};

use crate::config::UsageError;
use crate::database::DatabaseArgs;
use crate::receiving::read_text;

/// A larger body is not read for the sake of one cell of a list.
const BODY_BYTES_READ_MAX: u64 = 256 * 1024;

/// The sources of one account that are known here.
pub(super) struct SourceLabels(HashMap<SourceId, Label>);

struct Label {
    name: String,
    /// What all its webhooks are, where its settings say so.
    event: Option<String>,
}

/// Of the settings file what these commands need; `fanfare inbox check` tells what is wrong with the rest.
#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default)]
    source: Vec<SourceSettings>,
}

#[derive(Deserialize)]
struct SourceSettings {
    name: String,
    event: Option<String>,
}

impl SourceLabels {
    pub(super) async fn read(
        store: &dyn Store,
        account: AccountId,
        database: &DatabaseArgs,
    ) -> anyhow::Result<SourceLabels> {
        let stored = store.sources(account).await?.into_iter();
        let stored = stored.map(|source| (source.id, Label { name: source.name, event: None }));
        let settings = match &database.config {
            None => Settings::default(),
            Some(file) => toml::from_str(&read_text(file)?)
                .map_err(|error| UsageError(format!("{}: {}", file.display(), error.message())))?,
        };
        let written = settings.source.into_iter().map(|source| {
            let id = Source::id_of_name(account, &source.name);
            (id, Label { name: source.name, event: source.event })
        });
        Ok(SourceLabels(stored.chain(written).collect()))
    }

    /// Its name, or its id where nothing here names it.
    pub(super) fn name(&self, id: SourceId) -> String {
        self.0.get(&id).map_or_else(|| id.to_string(), |label| label.name.clone())
    }

    /// A source by its id or its name.
    pub(super) async fn find(&self, store: &dyn Store, account: AccountId, text: &str) -> anyhow::Result<SourceId> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        if let Some((id, _)) = self.0.iter().find(|(_, label)| label.name == text) {
            return Ok(*id);
        }
        // One of a settings file that is not given here is known by what came from it.
        let id = Source::id_of_name(account, text);
        let filter = MessageFilter { source: Some(id), ..MessageFilter::default() };
        if store.messages(account, filter, None, 1).await?.items.is_empty() {
            bail!(
                "{text:?} is neither a source's id nor its name, or nothing has come from it yet; fanfare inbox list \
                 shows where messages came in"
            );
        }
        Ok(id)
    }

    /// What a message with its body says; `None` where its content is gone.
    pub(super) fn reading(&self, message: &Message) -> Option<Reading> {
        let headers = KeptHeaders::from_text(message.headers.clone());
        let event = self.0.get(&message.source).and_then(|label| label.event.as_deref());
        (message.content == MessageContent::Kept).then(|| reading::read(&headers, &message.body, event))
    }

    /// The event of a message of a list, which has no body yet.
    pub(super) async fn event(
        &self,
        store: &dyn Store,
        account: AccountId,
        message: &Message,
    ) -> anyhow::Result<Option<String>> {
        let headers = KeptHeaders::from_text(message.headers.clone());
        if let Some(event) = headers.get(wire::headers::FANFARE_EVENT) {
            return Ok(Some(event.to_owned()));
        }
        if message.content != MessageContent::Kept || message.body_length > BODY_BYTES_READ_MAX {
            return Ok(None);
        }
        let whole = store.message(account, message.number).await?;
        let reading = whole.as_ref().and_then(|whole| self.reading(whole));
        Ok(reading.and_then(|reading| reading.event().map(str::to_owned)))
    }
}
