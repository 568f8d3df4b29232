//! `/api/v1/events`: what was announced, and how far it has got.

use axum::extract::{Path, State};
use http::Uri;
use serde::Serialize;
use serde_json::value::RawValue;
use store::{EventSummary, FanOutProgress, FanOutState};

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{PageQuery, QueryOf, parse_filter, parse_id};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventView {
    id: String,
    r#type: &'static str,
    trigger: &'static str,
    webinar: WebinarBrief,
    tzdb_version: String,
    created_at: String,
    /// Size of the frozen audience; null until the first lane has counted it.
    audience: Option<u64>,
    endpoints: Vec<ProgressView>,
    /// The part of the body that all participants share.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_body: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct WebinarBrief {
    id: String,
    version: u32,
    title: String,
}

/// One endpoint's part of an event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProgressView {
    fan_out: String,
    endpoint: String,
    /// `running` until everyone has been tried once, then `swept`.
    state: &'static str,
    pub(crate) delivered: u64,
    pub(crate) retrying: u64,
    pub(crate) abandoned: u64,
    /// Not tried yet; null while the audience is not counted.
    pub(crate) pending: Option<u64>,
}

impl ProgressView {
    pub(crate) fn of(progress: &FanOutProgress, audience: Option<u64>) -> ProgressView {
        let tried = progress.delivered + progress.retrying + progress.abandoned;
        ProgressView {
            fan_out: progress.id.to_string(),
            endpoint: progress.endpoint.to_string(),
            state: match progress.state {
                FanOutState::Running => "running",
                FanOutState::Swept => "swept",
            },
            delivered: progress.delivered,
            retrying: progress.retrying,
            abandoned: progress.abandoned,
            pending: match progress.state {
                FanOutState::Running => audience.map(|all| all.saturating_sub(tried)),
                FanOutState::Swept => Some(0),
            },
        }
    }
}

impl EventView {
    fn of(event: &EventSummary) -> EventView {
        EventView {
            id: event.id.to_string(),
            r#type: event.event.as_str(),
            trigger: event.trigger.as_str(),
            webinar: WebinarBrief { id: event.series.to_string(), version: event.version, title: event.title.clone() },
            tzdb_version: event.tzdb_version.clone(),
            created_at: instant(event.created_at),
            audience: event.audience,
            endpoints: event.fan_outs.iter().map(|progress| ProgressView::of(progress, event.audience)).collect(),
            shared_body: None,
        }
    }
}

/// Lists events, newest first.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<PageQuery>,
) -> Reply {
    let after = parse_filter("cursor", query.cursor.as_deref())?;
    let page = app.store().events(caller.account, after, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.iter().map(EventView::of).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows one event with the part of the body that all participants share.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let found = app.store().event(caller.account, parse_id(&id, "event")?).await?;
    let event = found.ok_or_else(|| Problem::not_found("event"))?;
    let shared_body = shared_body(&event.series_part);
    Ok(reply::ok(&EventView { shared_body, ..EventView::of(&event.summary) }))
}

/// The stored part begins with the comma after the participant's fields and ends with the body's last brace.
fn shared_body(series_part: &[u8]) -> Option<Box<RawValue>> {
    let members = std::str::from_utf8(series_part.strip_prefix(b",")?).ok()?;
    RawValue::from_string(format!("{{{members}")).ok()
}
