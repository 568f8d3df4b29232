//! `/api/v1/sources`: places the inbox accepts webhooks from.

use axum::extract::{Path, State};
use receiver::{ParsePresetError, Preset, Scheme, Source, SourceError};
use serde::{Deserialize, Serialize};
use store::{Act, SourceKey, SourceRecord, StoreError};
use wire::SourceId;

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{JsonBody, parse_id};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSource {
    /// Chosen by the caller where a sender must know the URL before it tells its key; else made here.
    id: Option<String>,
    name: String,
    /// How its sender signs.
    preset: Option<String>,
    /// None yet where the sender tells its key only after it was given the path.
    #[serde(default)]
    keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKeys {
    keys: Vec<String>,
}

/// A source; its keys are never shown again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceView {
    id: String,
    name: String,
    preset: String,
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
            preset: record.preset.clone(),
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
    let name = Source::parse_name(&new.name).map_err(|error| refusal(&error))?;
    let preset = parse_preset(new.preset.as_deref())?;
    let keys = if new.keys.is_empty() { Vec::new() } else { parse_keys(preset, &new.keys)? };
    let record = SourceRecord { id, account: caller.account, name, preset: preset.to_string(), keys, created_at: now };
    app.noting(&caller, Act::SourceCreate, id).create_source(record.clone()).await?;
    Ok(reply::created(&format!("/in/{id}"), &SourceView::of(&record)))
}

/// Lists sources, oldest first; an account has few.
pub(crate) async fn list(State(app): State<AppState>, caller: Caller) -> Reply {
    let records = app.store().sources(caller.account).await?;
    Ok(reply::ok(&SourceList { data: records.iter().map(SourceView::of).collect() }))
}

/// Replaces the keys of a source: during a rotation give the old and the new one.
pub(crate) async fn set_keys(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(new): JsonBody<NewKeys>,
) -> Reply {
    let id: SourceId = parse_id(&id, "source")?;
    let known = app.store().source(id).await?.filter(|source| source.account == caller.account);
    let known = known.ok_or_else(|| Problem::not_found("source"))?;
    let keys = parse_keys(known.preset.parse().map_err(StoreError::broken)?, &new.keys)?;
    if !app.noting(&caller, Act::SourceKeys, id).set_source_keys(caller.account, id, keys.clone()).await? {
        return Err(Problem::not_found("source"));
    }
    let record = SourceRecord { keys, ..known };
    Ok(reply::ok(&SourceView::of(&record)))
}

/// A preset that needs nothing but keys; a source of the database has no other settings.
fn parse_preset(text: Option<&str>) -> Result<Preset, Problem> {
    let preset = text.map_or(Ok(Preset::StandardWebhooks), str::parse);
    let preset = preset.map_err(|error: ParsePresetError| Problem::invalid("/preset", error.to_string()))?;
    if !preset.needs_only_keys() {
        let detail = format!("{preset} needs more than keys; declare it as a [[source]] in the settings file");
        return Err(Problem::invalid("/preset", detail));
    }
    Ok(preset)
}

fn parse_keys(preset: Preset, texts: &[String]) -> Result<Vec<SourceKey>, Problem> {
    let keys = Scheme::key_texts(preset, texts.iter().map(String::as_str)).map_err(|error| refusal(&error))?;
    Ok(keys.into_iter().map(SourceKey::new).collect())
}

fn refusal(error: &SourceError) -> Problem {
    let pointer = match error {
        SourceError::NameLength(_) | SourceError::NameCharacter => "/name".to_owned(),
        SourceError::Key { number, .. } => format!("/keys/{}", number - 1),
        SourceError::KeyCount(_) => "/keys".to_owned(),
        SourceError::Field { field, .. } => format!("/{field}"),
    };
    Problem::invalid(&pointer, error.to_string())
}
