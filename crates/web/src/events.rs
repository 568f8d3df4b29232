//! `/api/v1/events`: what was announced, and how far it has got.

use axum::extract::{Path, State};
use http::Uri;
use jiff::Timestamp;
use provider::eta;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::{Act, EventSummary, FanOutProgress, FanOutState, Steer};
use wire::{EndpointId, EventId};

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
    /// The replay it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
    /// `running` until everyone has been tried once, then `swept`; or `paused`, `superseded`, `skipped`.
    state: &'static str,
    delivered: u64,
    retrying: u64,
    /// To be tried again once it is no longer paused.
    held: u64,
    abandoned: u64,
    /// Got a newer version instead.
    superseded: u64,
    /// Called off by their owner.
    skipped: u64,
    /// Called off because the person was erased.
    erased: u64,
    /// Not tried yet; null while the audience is not counted.
    pending: Option<u64>,
    /// When everyone will have been tried once, at the speed of late; null where nothing leaves or nothing is known.
    eta: Option<String>,
}

impl ProgressView {
    fn of(progress: &FanOutProgress, audience: Option<u64>, now: Timestamp) -> ProgressView {
        let untold = audience.map(|all| progress.untold(all));
        let ended = progress.called_off + untold.unwrap_or(0);
        let (pending, superseded, skipped) = match progress.state {
            FanOutState::Running | FanOutState::Paused => (untold, progress.called_off, 0),
            FanOutState::Swept => (Some(0), progress.called_off, 0),
            FanOutState::Superseded => (Some(0), ended, 0),
            FanOutState::Skipped => (Some(0), 0, ended),
        };
        let waiting = pending.filter(|_| progress.state == FanOutState::Running);
        let eta = waiting.zip(progress.per_minute);
        ProgressView {
            fan_out: progress.id.to_string(),
            endpoint: progress.endpoint.to_string(),
            replay: progress.replay.map(|(replay, _)| replay.to_string()),
            state: progress.state.name(),
            delivered: progress.delivered,
            retrying: progress.retrying,
            held: progress.held,
            abandoned: progress.abandoned,
            superseded,
            skipped,
            erased: progress.erased,
            pending,
            eta: eta.and_then(|(pending, speed)| eta::eta(pending, progress.ahead, speed, now)).map(instant),
        }
    }
}

impl EventView {
    fn of(event: &EventSummary, now: Timestamp) -> EventView {
        EventView {
            id: event.id.to_string(),
            r#type: event.event.as_str(),
            trigger: event.trigger.as_str(),
            webinar: WebinarBrief { id: event.series.to_string(), version: event.version, title: event.title.clone() },
            tzdb_version: event.tzdb_version.clone(),
            created_at: instant(event.created_at),
            audience: event.audience,
            endpoints: event.fan_outs.iter().map(|progress| ProgressView::of(progress, event.audience, now)).collect(),
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
    let now = app.now();
    let views: Vec<_> = page.items.iter().map(|event| EventView::of(event, now)).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows one event with the part of the body that all participants share.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let found = app.store().event(caller.account, parse_id(&id, "event")?).await?;
    let event = found.ok_or_else(|| Problem::not_found("event"))?;
    let shared_body = shared_body(&event.series_part);
    Ok(reply::ok(&EventView { shared_body, ..EventView::of(&event.summary, app.now()) }))
}

/// Which part of an event an order means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderQuery {
    endpoint: Option<String>,
}

/// The same for going on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResumeQuery {
    endpoint: Option<String>,
    /// Although a newer version of the webinar was announced meanwhile.
    even_if_outdated: Option<bool>,
}

/// Holds the event back: nothing of it leaves, everything is kept.
pub(crate) async fn pause(app: State<AppState>, caller: Caller, id: Path<String>, query: QueryOf<OrderQuery>) -> Reply {
    steer(app, caller, id, query, Steer::Pause).await
}

/// Goes on where it stood.
pub(crate) async fn resume(
    app: State<AppState>,
    caller: Caller,
    id: Path<String>,
    QueryOf(query): QueryOf<ResumeQuery>,
) -> Reply {
    if !query.even_if_outdated.unwrap_or_default() {
        refuse_outdated(&app, &caller, &id).await?;
    }
    steer(app, caller, id, QueryOf(OrderQuery { endpoint: query.endpoint }), Steer::Resume).await
}

/// An old version must not follow a newer one unless its owner says so.
async fn refuse_outdated(app: &AppState, caller: &Caller, id: &str) -> Result<(), Problem> {
    let id: EventId = parse_id(id, "event")?;
    let event = app.store().event(caller.account, id).await?.ok_or_else(|| Problem::not_found("event"))?.summary;
    let newest = app.store().series(caller.account, event.series).await?.map_or(0, |series| series.version);
    if newest <= event.version {
        return Ok(());
    }
    let detail = format!(
        "version {newest} of the webinar was announced after this version {}, and would be followed by it; cancel this \
         event, or resume it with ?evenIfOutdated=true",
        event.version
    );
    Err(Problem::conflict("outdated", detail))
}

/// Calls off what has not arrived.
pub(crate) async fn cancel(
    app: State<AppState>,
    caller: Caller,
    id: Path<String>,
    query: QueryOf<OrderQuery>,
) -> Reply {
    steer(app, caller, id, query, Steer::Cancel).await
}

async fn steer(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(query): QueryOf<OrderQuery>,
    steer: Steer,
) -> Reply {
    let id: EventId = parse_id(&id, "event")?;
    let endpoint: Option<EndpointId> = parse_filter("endpoint", query.endpoint.as_deref())?;
    if endpoint.is_some() {
        let event = app.store().event(caller.account, id).await?.ok_or_else(|| Problem::not_found("event"))?;
        let is_told = event.summary.fan_outs.iter().any(|fan_out| Some(fan_out.endpoint) == endpoint);
        is_told.then_some(()).ok_or_else(|| Problem::not_found("endpoint, among those that this event goes to,"))?;
    }
    let act = match steer {
        Steer::Pause => Act::EventPause,
        Steer::Resume => Act::EventResume,
        Steer::Cancel => Act::EventCancel,
    };
    let object = endpoint.map_or_else(|| id.to_string(), |endpoint| format!("{id} to {endpoint}"));
    let mut store = app.noting(&caller, act, object);
    // The order holds from the first call on; the others only bring many rows in line.
    while let Some(steered) = store.steer(caller.account, id, endpoint, steer, app.now()).await?
        && steered.is_more
    {
        store = app.context.store.clone();
    }
    app.context.lanes_hint.notify_one();
    let found = app.store().event(caller.account, id).await?.ok_or_else(|| Problem::not_found("event"))?;
    Ok(reply::ok(&EventView::of(&found.summary, app.now())))
}

/// The stored part begins with the comma after the participant's fields and ends with the body's last brace.
fn shared_body(series_part: &[u8]) -> Option<Box<RawValue>> {
    let members = std::str::from_utf8(series_part.strip_prefix(b",")?).ok()?;
    RawValue::from_string(format!("{{{members}")).ok()
}
