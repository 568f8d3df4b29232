//! `/api/v1/endpoints`: how the receivers' URLs are doing, how they are served, and their owner's orders.

mod settings;

use axum::extract::{Path, State};
use http::Uri;
use jiff::Timestamp;
use provider::lane::LaneState;
use serde::Serialize;
use store::{Act, Endpoint, EndpointChange, EndpointSwitch};
use wire::EndpointId;

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{JsonBody, PageQuery, QueryOf, parse_filter, parse_id};
use crate::secrets::{SecretView, views_of};
use settings::{SettingsBody, SettingsView};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointView {
    id: String,
    url: String,
    state: &'static str,
    /// When a failing endpoint is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_probe_at: Option<String>,
    /// Since when nothing has been accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// Since when it has answered 410.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_since: Option<String>,
    /// Since when nothing is tried any more, because it failed for days.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_since: Option<String>,
    #[serde(flatten)]
    settings: SettingsView,
    /// The last attempt that failed, however long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failure: Option<LastFailureView>,
    created_at: String,
    /// What signs its webhooks, newest first; the secrets themselves are never shown again.
    secrets: Vec<SecretView>,
}

#[derive(Serialize)]
struct LastFailureView {
    at: String,
    reason: String,
}

impl EndpointView {
    fn of(endpoint: &Endpoint, now: Timestamp) -> EndpointView {
        let mut view = EndpointView {
            id: endpoint.id.to_string(),
            url: endpoint.url.clone(),
            state: state_of(endpoint),
            next_probe_at: None,
            failing_since: None,
            gone_since: None,
            disabled_since: None,
            settings: SettingsView::of(endpoint.settings),
            last_failure: endpoint
                .last_failure
                .as_ref()
                .map(|last| LastFailureView { at: instant(last.at), reason: last.reason.to_string() }),
            created_at: instant(endpoint.created_at),
            secrets: views_of(endpoint, now),
        };
        match endpoint.health {
            LaneState::Open { until, since, .. } => {
                (view.next_probe_at, view.failing_since) = (Some(instant(until)), Some(instant(since)));
            }
            LaneState::Gone { since } => view.gone_since = Some(instant(since)),
            LaneState::Disabled { since } => view.disabled_since = Some(instant(since)),
            LaneState::Healthy { .. } | LaneState::SlowStart { .. } => {}
        }
        view
    }
}

/// How an endpoint is doing, in one word; its owner's switch comes first.
pub(crate) fn state_of(endpoint: &Endpoint) -> &'static str {
    match (endpoint.switch, endpoint.health) {
        (EndpointSwitch::Paused, _) => "paused",
        (EndpointSwitch::On, LaneState::Healthy { .. }) => "healthy",
        (EndpointSwitch::On, LaneState::SlowStart { .. }) => "recovering",
        (EndpointSwitch::On, LaneState::Open { .. }) => "failing",
        (EndpointSwitch::On, LaneState::Gone { .. }) => "gone",
        (EndpointSwitch::On, LaneState::Disabled { .. }) => "disabled",
    }
}

/// Lists endpoints, oldest first.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<PageQuery>,
) -> Reply {
    let after = parse_filter("cursor", query.cursor.as_deref())?;
    let page = app.store().endpoints(caller.account, after, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.iter().map(|endpoint| EndpointView::of(endpoint, app.now())).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows one endpoint.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let found = app.store().endpoint(caller.account, parse_id(&id, "endpoint")?).await?;
    found
        .map(|endpoint| reply::ok(&EndpointView::of(&endpoint, app.now())))
        .ok_or_else(|| Problem::not_found("endpoint"))
}

/// Changes how an endpoint is served; what is not named stays.
pub(crate) async fn amend(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<SettingsBody>,
) -> Reply {
    let known = parse_id(&id, "endpoint")?;
    let found = app.store().endpoint(caller.account, known).await?.ok_or_else(|| Problem::not_found("endpoint"))?;
    change(&app, &caller, &id, Act::EndpointChange, EndpointChange::Serve(body.amend(found.settings)?)).await
}

/// Keeps the backlog and delivers nothing.
pub(crate) async fn pause(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    change(&app, &caller, &id, Act::EndpointPause, EndpointChange::Pause).await
}

/// Delivers again, the backlog first; one that answered 410 or was disabled is given another chance.
pub(crate) async fn resume(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let reply = change(&app, &caller, &id, Act::EndpointResume, EndpointChange::Resume).await?;
    app.context.lanes_hint.notify_one();
    Ok(reply)
}

/// Skips the backlog and delivers what comes from now on.
pub(crate) async fn skip(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    drop_all(&app, &caller, &id).await?;
    resume(State(app), caller, Path(id)).await
}

/// Skips the backlog and changes nothing else.
pub(crate) async fn drop_backlog(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    drop_all(&app, &caller, &id).await?;
    show(State(app), caller, Path(id)).await
}

async fn drop_all(app: &App, caller: &Caller, id: &str) -> Result<(), Problem> {
    let id: EndpointId = parse_id(id, "endpoint")?;
    let mut store = app.noting(caller, Act::EndpointDrop, id);
    loop {
        let dropped = store.drop_backlog(caller.account, id, app.now()).await?;
        // The order holds from the first call on; the others only bring many rows in line.
        if !dropped.ok_or_else(|| Problem::not_found("endpoint"))?.is_more {
            return Ok(());
        }
        store = app.context.store.clone();
    }
}

async fn change(app: &App, caller: &Caller, id: &str, act: Act, change: EndpointChange) -> Reply {
    let id: EndpointId = parse_id(id, "endpoint")?;
    let changed = app.noting(caller, act, id).change_endpoint(caller.account, id, change, app.now()).await?;
    changed
        .map(|endpoint| reply::ok(&EndpointView::of(&endpoint, app.now())))
        .ok_or_else(|| Problem::not_found("endpoint"))
}
