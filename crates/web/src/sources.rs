//! `/api/v1/sources`: places the inbox accepts webhooks from.

use axum::extract::State;
use receiver::{Scheme, Source, SourceError};
use serde::{Deserialize, Serialize};
use store::SourceRecord;
use wire::SourceId;

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::JsonBody;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSource {
    /// Chosen by the caller where a sender must know the URL before it tells its key; else made here.
    id: Option<String>,
    name: String,
    keys: Vec<String>,
}

/// A source; its keys are never shown again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceView {
    id: String,
    name: String,
    path: String,
    key_count: usize,
    created_at: String,
}

#[derive(Serialize)]
struct SourceList {
    data: Vec<SourceView>,
}

impl SourceView {
    fn of(record: &SourceRecord) -> SourceView {
        SourceView {
            id: record.id.to_string(),
            name: record.name.clone(),
            path: format!("/in/{}", record.id),
            key_count: record.keys.len(),
            created_at: instant(record.created_at),
        }
    }
}

/// Adds a source.
pub(crate) async fn create(State(app): State<AppState>, caller: Caller, JsonBody(new): JsonBody<NewSource>) -> Reply {
    let now = app.now();
    let id = match new.id.as_deref() {
        Some(text) => text.parse().map_err(|error: wire::ParseIdError| Problem::invalid("/id", error.to_string()))?,
        None => SourceId::from_bytes(app.id_bytes(now)),
    };
    let keys: Vec<String> = new.keys.iter().map(|key| key.trim().to_owned()).collect();
    let scheme = Scheme::standard_webhooks(keys.iter().map(String::as_str));
    let source = scheme.and_then(|scheme| Source::new(id, caller.account, &new.name, scheme));
    let source = source.map_err(|error| refusal(&error))?;
    let name = source.name().to_owned();
    let record = SourceRecord { id, account: caller.account, name, keys, created_at: now };
    app.store().create_source(record.clone()).await?;
    Ok(reply::created(&format!("/in/{id}"), &SourceView::of(&record)))
}

/// Lists sources, oldest first; an account has few.
pub(crate) async fn list(State(app): State<AppState>, caller: Caller) -> Reply {
    let records = app.store().sources(caller.account).await?;
    Ok(reply::ok(&SourceList { data: records.iter().map(SourceView::of).collect() }))
}

fn refusal(error: &SourceError) -> Problem {
    let pointer = match error {
        SourceError::NameLength(_) | SourceError::NameCharacter => "/name".to_owned(),
        SourceError::Key { number, .. } => format!("/keys/{}", number - 1),
        SourceError::KeyCount(_) => "/keys".to_owned(),
    };
    Problem::invalid(&pointer, error.to_string())
}
