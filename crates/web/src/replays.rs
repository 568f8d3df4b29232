//! `/api/v1/replays`: deliveries that are sent again under the ids they have. Counted first, steered like events.

mod view;

use axum::extract::{Path, State};
use http::Uri;
use jiff::Timestamp;
use provider::pace::{RATE_PER_MINUTE_MAX, Rate};
use serde::Deserialize;
use store::{
    Act, Foreseen, NewReplay, OPEN_REPLAYS_MAX, OutdatedReplay, Replay, ReplayScope, ReplayWay, Started, Steer,
};
use wire::ReplayId;

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::request::{JsonBody, PageQuery, QueryOf, parse_filter, parse_id};
use view::{DryRunView, ReplayView};

/// What is to be sent again.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ReplayBody {
    scope: Scope,
    delivery: Option<String>,
    event: Option<String>,
    endpoint: Option<String>,
    since: Option<String>,
    per_minute: Option<u32>,
    #[serde(default)]
    even_if_outdated: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    Delivery,
    Failed,
    All,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DryRunQuery {
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OneQuery {
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    even_if_outdated: bool,
}

/// A replay as it was asked for, proved.
struct Wish {
    scope: ReplayScope,
    rate: Option<Rate>,
    outdated: OutdatedReplay,
}

/// Starts a replay, or says with `?dryRun=true` what it would send.
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<DryRunQuery>,
    JsonBody(body): JsonBody<ReplayBody>,
) -> Reply {
    begin(&app, caller, body.read()?, query.dry_run).await
}

/// The short form for one delivery.
pub(crate) async fn of_delivery(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(query): QueryOf<OneQuery>,
) -> Reply {
    let scope = ReplayScope::Delivery(parse_id(&id, "delivery")?);
    begin(&app, caller, Wish { scope, rate: None, outdated: outdated(query.even_if_outdated) }, query.dry_run).await
}

/// Lists replays, newest first.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<PageQuery>,
) -> Reply {
    let after = parse_filter("cursor", query.cursor.as_deref())?;
    let page = app.store().replays(caller.account, after, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.iter().map(ReplayView::of).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows how far a replay has got.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    Ok(reply::ok(&ReplayView::of(&find(&app, caller, parse_id(&id, "replay")?).await?)))
}

/// Puts nothing more into the queue, and keeps everything.
pub(crate) async fn pause(app: State<AppState>, caller: Caller, id: Path<String>) -> Reply {
    steer(app, caller, id, Steer::Pause).await
}

/// Goes on where it stood.
pub(crate) async fn resume(app: State<AppState>, caller: Caller, id: Path<String>) -> Reply {
    steer(app, caller, id, Steer::Resume).await
}

/// Ends it.
pub(crate) async fn cancel(app: State<AppState>, caller: Caller, id: Path<String>) -> Reply {
    steer(app, caller, id, Steer::Cancel).await
}

async fn steer(State(app): State<AppState>, caller: Caller, Path(id): Path<String>, steer: Steer) -> Reply {
    let id: ReplayId = parse_id(&id, "replay")?;
    let act = match steer {
        Steer::Pause => Act::ReplayPause,
        Steer::Resume => Act::ReplayResume,
        Steer::Cancel => Act::ReplayCancel,
    };
    let mut store = app.noting(&caller, act, id);
    // The order holds from the first call on; the others only bring many rows in line.
    while let Some(steered) = store.steer_replay(caller.account, id, steer, app.now()).await?
        && steered.is_more
    {
        store = app.context.store.clone();
    }
    let replay = find(&app, caller, id).await?;
    poke(&app, &replay);
    Ok(reply::ok(&ReplayView::of(&replay)))
}

async fn begin(app: &App, caller: Caller, wish: Wish, is_dry_run: bool) -> Reply {
    let now = app.now();
    let foreseen = app.store().foresee(caller.account, wish.scope, now).await?;
    let Foreseen { deliveries, example, way, newer } = foreseen.ok_or_else(|| Problem::not_found(what(wish.scope)))?;
    if is_dry_run {
        return Ok(reply::ok(&DryRunView::of(deliveries, way, newer, example.as_ref())));
    }
    if deliveries == 0 {
        return Err(nothing(wish.scope));
    }
    let id = ReplayId::from_bytes(app.id_bytes(now));
    let Wish { scope, rate, outdated } = wish;
    let new = NewReplay { id, scope, way, deliveries, rate, outdated, now };
    match app.noting(&caller, Act::ReplayStart, id).start_replay(caller.account, new).await? {
        Started::Replay(replay) => {
            poke(app, &replay);
            Ok(reply::created(&format!("/api/v1/replays/{id}"), &ReplayView::of(&replay)))
        }
        Started::Outdated { newer } => Err(Problem::conflict(
            "outdated",
            format!(
                "the endpoint was told of version {newer} of this webinar since; replay the event of that version, or say \
             \"evenIfOutdated\": true"
            ),
        )),
        Started::TooMany => Err(Problem::conflict(
            "too_many_replays",
            format!("{OPEN_REPLAYS_MAX} replays are under way; wait for one to end, or cancel one"),
        )),
    }
}

fn what(scope: ReplayScope) -> &'static str {
    match scope {
        ReplayScope::Delivery(_) => "delivery",
        ReplayScope::Failed { event: Some(_), endpoint: None, .. } | ReplayScope::Event { endpoint: None, .. } => {
            "event"
        }
        ReplayScope::Failed { event: None, .. } => "endpoint",
        ReplayScope::Failed { .. } | ReplayScope::Event { .. } => "such event or endpoint",
    }
}

fn nothing(scope: ReplayScope) -> Problem {
    Problem::conflict(
        "nothing_to_replay",
        match scope {
            ReplayScope::Delivery(_) => "this delivery waits for its turn already, or its event is paused: resume that",
            ReplayScope::Failed { .. } => "nothing has failed there; what is paused or cancelled is not counted",
            ReplayScope::Event { .. } => "the event concerned nobody, or was not announced to this endpoint",
        },
    )
}

async fn find(app: &App, caller: Caller, id: ReplayId) -> Result<Replay, Problem> {
    app.store().replay(caller.account, id).await?.ok_or_else(|| Problem::not_found("replay"))
}

fn poke(app: &App, replay: &Replay) {
    match replay.way {
        ReplayWay::Revive => app.context.replays_hint.notify_one(),
        ReplayWay::Resend => app.context.lanes_hint.notify_one(),
    }
}

fn outdated(is_allowed: bool) -> OutdatedReplay {
    if is_allowed { OutdatedReplay::Allowed } else { OutdatedReplay::Refused }
}

impl ReplayBody {
    fn read(self) -> Result<Wish, Problem> {
        let field = |pointer: &str, words: &str| Problem::invalid(pointer, words.to_owned());
        let delivery = parse("/delivery", self.delivery.as_deref())?;
        let event = parse("/event", self.event.as_deref())?;
        let endpoint = parse("/endpoint", self.endpoint.as_deref())?;
        let since: Option<Timestamp> = match self.since.as_deref().map(str::parse).transpose() {
            Ok(since) => since,
            Err(_) => return Err(field("/since", "give a time with its offset, such as 2027-03-05T10:00:00Z")),
        };
        let scope = match (self.scope, delivery, event) {
            (Scope::Delivery, Some(delivery), None) if endpoint.is_none() => ReplayScope::Delivery(delivery),
            (Scope::Delivery, ..) => {
                return Err(field("/delivery", "give the id of one delivery, and neither event nor endpoint"));
            }
            (_, Some(_), _) => return Err(field("/delivery", "belongs to the scope \"delivery\"; leave it out")),
            (Scope::Failed, None, None) if endpoint.is_none() => {
                return Err(field("/event", "give an event, an endpoint, or both"));
            }
            (Scope::Failed, None, event) => ReplayScope::Failed { event, endpoint, since },
            (Scope::All, None, Some(event)) => ReplayScope::Event { event, endpoint },
            (Scope::All, None, None) => return Err(field("/event", "give the event to be sent again")),
        };
        if since.is_some() && !matches!(scope, ReplayScope::Failed { .. }) {
            return Err(field("/since", "belongs to the scope \"failed\"; leave it out"));
        }
        let rate =
            self.per_minute.map(Rate::steady).transpose().map_err(|_| {
                Problem::invalid("/perMinute", format!("give 1 to {RATE_PER_MINUTE_MAX}, or leave it out"))
            })?;
        Ok(Wish { scope, rate, outdated: outdated(self.even_if_outdated) })
    }
}

fn parse<T: std::str::FromStr>(pointer: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    text.map(str::parse).transpose().map_err(|error: T::Err| Problem::invalid(pointer, error.to_string()))
}
