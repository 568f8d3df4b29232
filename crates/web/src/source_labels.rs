//! What an account's sources are called and what their settings say of them: those of the database and those of the
//! settings file alike.

use std::collections::HashMap;

use receiver::{KeptHeaders, Reading, reading};
use store::{Message, StoreResult};
use wire::{AccountId, SourceId};

use crate::app::App;
use crate::problem::Problem;

/// The sources of one account.
pub(crate) struct SourceLabels(HashMap<SourceId, SourceLabel>);

struct SourceLabel {
    name: String,
    /// What all its webhooks are, where its settings say so.
    event: Option<String>,
}

impl SourceLabels {
    pub(crate) async fn of(app: &App, account: AccountId) -> StoreResult<SourceLabels> {
        let stored = app.store().sources(account).await?.into_iter();
        let stored = stored.map(|source| (source.id, SourceLabel { name: source.name, event: None }));
        let configured = app.context.configured_sources.iter().filter(|source| source.account() == account);
        let configured = configured.map(|source| {
            (source.id(), SourceLabel { name: source.name().to_owned(), event: source.event().map(str::to_owned) })
        });
        Ok(SourceLabels(stored.chain(configured).collect()))
    }

    /// Its name, or its id where it is gone.
    pub(crate) fn name(&self, id: SourceId) -> String {
        self.0.get(&id).map_or_else(|| id.to_string(), |label| label.name.clone())
    }

    /// What a message with its body says.
    pub(crate) fn read(&self, message: &Message) -> Reading {
        let headers = KeptHeaders::from_text(message.headers.clone());
        let event = self.0.get(&message.source).and_then(|label| label.event.as_deref());
        reading::read(&headers, &message.body, event)
    }

    /// The source a caller means: an id, of a source that may be gone, or a name; `problem` says where it stands.
    pub(crate) fn parse(&self, text: &str, problem: impl FnOnce(String) -> Problem) -> Result<SourceId, Problem> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let named = self.0.iter().find(|(_, label)| label.name == text).map(|(id, _)| *id);
        named.ok_or_else(|| {
            let mut names: Vec<_> = self.0.values().map(|label| format!("\"{}\"", label.name)).collect();
            names.sort();
            problem(match names.as_slice() {
                [] => "is neither a source's id nor its name; there is no source yet".to_owned(),
                names => format!("is neither a source's id nor its name; there is {}", names.join(", ")),
            })
        })
    }
}
