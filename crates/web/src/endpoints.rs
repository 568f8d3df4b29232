//! `/api/v1/endpoints`: how the receivers' URLs are doing, and their owner's switch.

use axum::extract::{Path, State};
use http::Uri;
use provider::lane::LaneState;
use serde::Serialize;
use store::{Endpoint, EndpointChange, EndpointSwitch};

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{PageQuery, QueryOf, parse_filter, parse_id};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointView {
    id: String,
    url: String,
    state: &'static str,
    /// When a failing endpoint is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_probe_at: Option<String>,
    /// Since when it has answered 410.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_since: Option<String>,
    created_at: String,
}

impl EndpointView {
    fn of(endpoint: &Endpoint) -> EndpointView {
        let (next_probe_at, gone_since) = match endpoint.health {
            LaneState::Open { until, .. } => (Some(instant(until)), None),
            LaneState::Gone { since } => (None, Some(instant(since))),
            LaneState::Healthy { .. } | LaneState::SlowStart { .. } => (None, None),
        };
        EndpointView {
            id: endpoint.id.to_string(),
            url: endpoint.url.clone(),
            state: state_of(endpoint),
            next_probe_at,
            gone_since,
            created_at: instant(endpoint.created_at),
        }
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
    let views: Vec<_> = page.items.iter().map(EndpointView::of).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows one endpoint.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let found = app.store().endpoint(caller.account, parse_id(&id, "endpoint")?).await?;
    found.map(|endpoint| reply::ok(&EndpointView::of(&endpoint))).ok_or_else(|| Problem::not_found("endpoint"))
}

/// Keeps the backlog and delivers nothing.
pub(crate) async fn pause(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    change(&app, caller, &id, EndpointChange::Pause).await
}

/// Delivers again, the backlog first; one that answered 410 is given another chance.
pub(crate) async fn resume(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let reply = change(&app, caller, &id, EndpointChange::Resume).await?;
    app.context.lanes_hint.notify_one();
    Ok(reply)
}

async fn change(app: &App, caller: Caller, id: &str, change: EndpointChange) -> Reply {
    let id = parse_id(id, "endpoint")?;
    let changed = app.store().change_endpoint(caller.account, id, change, app.now()).await?;
    changed.map(|endpoint| reply::ok(&EndpointView::of(&endpoint))).ok_or_else(|| Problem::not_found("endpoint"))
}
