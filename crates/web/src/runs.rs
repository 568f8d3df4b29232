//! `/api/v1/inbox/handlers` and `/api/v1/inbox/runs`: how far each handler is, and what became of each message. Orders to
//! run again or to drop are in `runs/orders`.

mod orders;

use std::fmt;
use std::str::FromStr;

use axum::extract::State;
use http::Uri;
use serde::{Deserialize, Serialize};
use store::{HandlerStanding, RunCursor, RunFilter, RunRecord, RunStanding, RunState};
use wire::{AccountId, InboxMessageId};

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{NoQuery, QueryOf, parse_filter};

pub(crate) use orders::{drop_runs, rerun};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    handler: Option<String>,
    state: Option<String>,
    message: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct HandlerList {
    data: Vec<HandlerView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HandlerView {
    handler: String,
    /// Messages it has not begun, or is handling now.
    ahead: u64,
    /// When the oldest of them was received.
    oldest_ahead_at: Option<String>,
    /// Runs that wait for another attempt.
    waiting: u64,
    /// Given up: dead letters.
    parked: u64,
    done: u64,
    skipped: u64,
}

/// One handler's progress on one message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunView {
    message: String,
    handler: String,
    /// `waiting`, `done`, `skipped` or `parked`.
    state: &'static str,
    /// Made since it was asked for, the last time.
    attempts: u32,
    /// How often it was asked for anew.
    reruns: u32,
    reason: Option<String>,
    next_attempt_at: Option<String>,
    changed_at: String,
}

impl HandlerView {
    fn of(standing: HandlerStanding) -> HandlerView {
        HandlerView {
            handler: standing.handler,
            ahead: standing.ahead,
            oldest_ahead_at: standing.oldest_ahead.map(instant),
            waiting: standing.waiting,
            parked: standing.parked,
            done: standing.done,
            skipped: standing.skipped,
        }
    }
}

impl RunView {
    pub(crate) fn of(run: &RunRecord) -> RunView {
        let due = match &run.state {
            RunState::Waiting { due, .. } => Some(instant(*due)),
            RunState::Done | RunState::Skipped(_) | RunState::Parked { .. } => None,
        };
        RunView {
            message: InboxMessageId::from_u64(run.number).to_string(),
            handler: run.handler.clone(),
            state: run.state.standing().name(),
            attempts: run.attempts,
            reruns: run.generation,
            reason: run.state.reason().map(str::to_owned),
            next_attempt_at: due,
            changed_at: instant(run.changed_at),
        }
    }
}

/// Lists handlers by name; an account has few.
pub(crate) async fn handlers(State(app): State<AppState>, caller: Caller, _: QueryOf<NoQuery>) -> Reply {
    let standings = app.store().handlers(caller.account).await?;
    Ok(reply::ok(&HandlerList { data: standings.into_iter().map(HandlerView::of).collect() }))
}

/// Lists runs, newest message first. A message that a handler has not begun, or passed over, has none.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<ListQuery>,
) -> Reply {
    let after: Option<CursorText> = parse_filter("cursor", query.cursor.as_deref())?;
    let limit = reply::page_size(query.limit)?;
    let message: Option<InboxMessageId> = parse_filter("message", query.message.as_deref())?;
    let standing = match query.state.as_deref() {
        Some(text) => Some(parse_standing(text).map_err(|words| Problem::invalid_query(format!("state: {words}")))?),
        None => None,
    };
    if let Some(handler) = &query.handler {
        find_handler(&app, caller.account, handler).await?;
    }
    let filter = RunFilter { handler: query.handler, standing, message: message.map(|id| id.as_u64()) };
    let page = app.store().runs(caller.account, filter, after.map(|text| text.0), limit).await?;
    let views: Vec<_> = page.items.iter().map(RunView::of).collect();
    Ok(reply::page(&uri, &views, page.next.map(|cursor| CursorText(cursor).to_string())))
}

/// Refuses a handler that is not known.
async fn find_handler(app: &App, account: AccountId, name: &str) -> Result<(), Problem> {
    let known = app.store().handlers(account).await?;
    if known.iter().any(|standing| standing.handler == name) {
        return Ok(());
    }
    Err(Problem::no_such_handler(known.iter().map(|standing| standing.handler.as_str())))
}

fn parse_standing(text: &str) -> Result<RunStanding, String> {
    RunStanding::ALL.into_iter().find(|standing| standing.name() == text).ok_or_else(|| {
        let names = RunStanding::ALL.map(RunStanding::name);
        format!("give one of {}", names.join(", "))
    })
}

/// A cursor as text: `inm_….handler`.
struct CursorText(RunCursor);

impl fmt::Display for CursorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", InboxMessageId::from_u64(self.0.number), self.0.handler)
    }
}

impl FromStr for CursorText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<CursorText, &'static str> {
        let read = || {
            let (message, handler) = text.split_once('.')?;
            let message: InboxMessageId = message.parse().ok()?;
            Some(RunCursor { number: message.as_u64(), handler: handler.to_owned() })
        };
        read().map(CursorText).ok_or("is not one that a page gave as \"nextCursor\"")
    }
}
