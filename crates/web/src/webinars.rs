//! `/api/v1/webinars`: series. Each save that changes something is a version, an event, and webhooks.

mod dry_run;
mod if_match;
mod merge_patch;
mod proposal;
mod rules;
#[cfg(test)]
mod tests;
mod view;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, Uri};
use serde::Deserialize;
use serde_json::Value;
use store::SeriesRecord;
use webinar::{SeriesDraft, SeriesId};
use wire::AccountId;

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, with_version};
use crate::request::{JsonBody, PageQuery, QueryOf, parse_filter, parse_id};
pub(crate) use proposal::Proposal;
use view::{SavedView, SeriesView};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SaveQuery {
    #[serde(default)]
    dry_run: bool,
}

/// Saves the first version of a series.
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<SaveQuery>,
    JsonBody(draft): JsonBody<SeriesDraft>,
) -> Reply {
    let id = SeriesId::from_bytes(app.short_id_bytes(app.now()));
    let proposal = Proposal::of_first(&app, caller.account, id, draft).await?;
    if query.dry_run {
        return Ok(reply::ok(&dry_run::of(&app, caller.account, &proposal).await?));
    }
    let saved = proposal.save(&app, &caller).await?;
    let created = reply::created(&format!("/api/v1/webinars/{id}"), &saved);
    Ok(with_version(created, saved.version()))
}

/// Lists series, newest first, without their sessions.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<PageQuery>,
) -> Reply {
    let after = parse_filter("cursor", query.cursor.as_deref())?;
    let page = app.store().series_list(caller.account, after, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.into_iter().map(SeriesView::of).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows one series with its sessions.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let record = find(&app, caller.account, &id).await?;
    let series = proposal::parse_stored(&app, &record)?;
    let pending = rules::pending_change(&app, caller.account, &record, &series).await?;
    let version = record.version;
    Ok(with_version(reply::ok(&SeriesView::of(record).with_sessions(&series, pending)), version))
}

/// Saves a series as a whole.
pub(crate) async fn replace(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    QueryOf(query): QueryOf<SaveQuery>,
    JsonBody(draft): JsonBody<SeriesDraft>,
) -> Reply {
    let record = find(&app, caller.account, &id).await?;
    if_match::check(&headers, record.version)?;
    save_next(&app, &caller, record, draft, query).await
}

/// Saves a part of a series: a JSON merge patch (RFC 7396) of what GET gives under the fields of a draft.
pub(crate) async fn amend(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    QueryOf(query): QueryOf<SaveQuery>,
    JsonBody(patch): JsonBody<Value>,
) -> Reply {
    let record = find(&app, caller.account, &id).await?;
    if_match::check(&headers, record.version)?;
    let draft = merge_patch::apply(&record.draft, &patch)?;
    save_next(&app, &caller, record, draft, query).await
}

/// Cancels a series: a version in which no session takes place.
pub(crate) async fn cancel(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    QueryOf(query): QueryOf<SaveQuery>,
) -> Reply {
    let record = find(&app, caller.account, &id).await?;
    if_match::check(&headers, record.version)?;
    if record.cancelled_at.is_some() {
        return unchanged(&app, record);
    }
    let proposal = Proposal::of_cancellation(&app, caller.account, &record).await?;
    settle(&app, &caller, proposal, query).await
}

/// Announces sessions that newer rules of the series' zone have moved: a version with the same draft. Where they have
/// moved none nobody is told, so that a repeated request tells nobody twice.
pub(crate) async fn announce(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    QueryOf(query): QueryOf<SaveQuery>,
) -> Reply {
    let record = find(&app, caller.account, &id).await?;
    if_match::check(&headers, record.version)?;
    let series = proposal::parse_stored(&app, &record)?;
    if rules::pending_change(&app, caller.account, &record, &series).await?.is_none() {
        return unchanged(&app, record);
    }
    let proposal = Proposal::of_next(&app, caller.account, &record, record.draft.clone()).await?;
    settle(&app, &caller, proposal, query).await
}

async fn find(app: &App, account: AccountId, id: &str) -> Result<SeriesRecord, Problem> {
    let found = app.store().series(account, parse_id(id, "webinar")?).await?;
    found.ok_or_else(|| Problem::not_found("webinar"))
}

async fn save_next(app: &App, caller: &Caller, record: SeriesRecord, draft: SeriesDraft, query: SaveQuery) -> Reply {
    if draft == record.draft && !query.dry_run {
        return unchanged(app, record);
    }
    let proposal = Proposal::of_next(app, caller.account, &record, draft).await?;
    settle(app, caller, proposal, query).await
}

async fn settle(app: &App, caller: &Caller, proposal: Proposal, query: SaveQuery) -> Reply {
    if query.dry_run {
        return Ok(reply::ok(&dry_run::of(app, caller.account, &proposal).await?));
    }
    let saved = proposal.save(app, caller).await?;
    Ok(versioned(&saved))
}

/// Nothing changes, so there is no version and nobody is told.
fn unchanged(app: &App, record: SeriesRecord) -> Reply {
    let series = proposal::parse_stored(app, &record)?;
    Ok(versioned(&SavedView::unchanged(record.version, &series)))
}

fn versioned(saved: &SavedView) -> Response {
    with_version(reply::ok(saved), saved.version())
}
