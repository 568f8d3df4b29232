//! `POST /api/v1/inbox/runs/rerun` and `/drop`: an operator's orders to one handler, worked off in pieces. A request does
//! a bounded part and answers where the next one goes on.

use std::time::Duration;

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Act, MessageNumber, RunOrder, RunPiece, RunScope, RunStanding};
use wire::{AccountId, InboxMessageId};

use super::{find_handler, parse_standing};
use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{JsonBody, QueryOf};
use crate::source_labels::SourceLabels;

/// Messages looked at in one transaction: webhooks that come in meanwhile wait for it, a few milliseconds.
const PIECE: usize = 1_000;
/// Messages looked at by one read of a count, which holds up nobody.
const COUNT_PIECE: usize = 10_000;
const COUNT_PIECES_MAX: usize = 100;
const PER_SECOND: std::ops::RangeInclusive<f64> = 0.001..=1_000.0;

/// What is to be run again or dropped.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OrderBody {
    handler: String,
    message: Option<String>,
    source: Option<String>,
    state: Option<String>,
    from: Option<String>,
    to: Option<String>,
    /// Everything; needed where nothing narrows it down.
    #[serde(default)]
    all: bool,
    per_second: Option<f64>,
    /// `next` of the answer before.
    after: Option<String>,
    /// `startAt` of the answer before.
    start_at: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DryRunQuery {
    #[serde(default)]
    dry_run: bool,
}

/// What a request came to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderView {
    dry_run: bool,
    /// Runs that were changed, or would be.
    runs: u64,
    /// Goes on there, as `after`; null when all is done.
    next: Option<String>,
    /// When the next request's first run is due, where the order has a pace.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Option<String>,
}

/// An order as it was asked for, proved.
struct Wish {
    scope: RunScope,
    after: MessageNumber,
    start: Timestamp,
    spacing: Duration,
}

/// How far it has got.
#[derive(Default)]
struct Obeyed {
    runs: u64,
    next: Option<MessageNumber>,
}

/// Runs a handler again on what it has handled, given up or passed over.
pub(crate) async fn rerun(
    State(app): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<DryRunQuery>,
    JsonBody(body): JsonBody<OrderBody>,
) -> Reply {
    let is_paced = body.per_second.is_some();
    let wish = read(&app, caller.account, body).await?;
    if query.dry_run {
        return counted(&app, caller.account, &wish, RunOrder::Count).await;
    }
    let obeyed = obey(&app, &caller, &wish, Act::RunsRerun).await?;
    app.context.runs_hint.notify_one();
    let start_at = (is_paced && obeyed.next.is_some()).then(|| instant(wish.due_after(obeyed.runs)));
    Ok(reply::ok(&OrderView { start_at, ..OrderView::of(&obeyed) }))
}

/// Drops what waits, is given up or has not been begun.
pub(crate) async fn drop_runs(
    State(app): State<AppState>,
    caller: Caller,
    QueryOf(query): QueryOf<DryRunQuery>,
    JsonBody(body): JsonBody<OrderBody>,
) -> Reply {
    for (pointer, is_given) in [("/perSecond", body.per_second.is_some()), ("/startAt", body.start_at.is_some())] {
        if is_given {
            return Err(Problem::invalid(pointer, "belongs to a rerun; leave it out"));
        }
    }
    let wish = read(&app, caller.account, body).await?;
    if let Some(standing @ (RunStanding::Done | RunStanding::Skipped)) = wish.scope.standing {
        let words = format!("must be \"waiting\" or \"parked\": what is {} is over", standing.name());
        return Err(Problem::invalid("/state", words));
    }
    if query.dry_run {
        return counted(&app, caller.account, &wish, RunOrder::CountDrop).await;
    }
    let obeyed = obey(&app, &caller, &wish, Act::RunsDrop).await?;
    Ok(reply::ok(&OrderView::of(&obeyed)))
}

async fn counted(app: &App, account: AccountId, wish: &Wish, order: RunOrder) -> Reply {
    let mut counted = Obeyed { runs: 0, next: Some(wish.after) };
    for _ in 0..COUNT_PIECES_MAX {
        let Some(after) = counted.next else { break };
        let piece = RunPiece { after, limit: COUNT_PIECE, now: wish.start };
        let ordered = app.store().order_runs(account, &wish.scope, order, piece).await?;
        counted = Obeyed { runs: counted.runs + ordered.runs, next: ordered.next };
    }
    Ok(reply::ok(&OrderView { dry_run: true, ..OrderView::of(&counted) }))
}

async fn obey(app: &App, caller: &Caller, wish: &Wish, act: Act) -> Result<Obeyed, Problem> {
    let now = app.now();
    let noting = app.noting(caller, act, wish.object());
    let mut obeyed = Obeyed { runs: 0, next: Some(wish.after) };
    let mut left = app.context.settings.limits.order_messages;
    while let (Some(after), 1..) = (obeyed.next, left) {
        let limit = PIECE.min(left);
        let order = match act {
            Act::RunsRerun => RunOrder::Rerun { first: wish.due_after(obeyed.runs), spacing: wish.spacing },
            _ => RunOrder::Drop,
        };
        // The first piece that changes anything leaves the note; the others belong to the same act.
        let store = if obeyed.runs == 0 { noting.as_ref() } else { app.store() };
        let piece = RunPiece { after, limit, now };
        let ordered = store.order_runs(caller.account, &wish.scope, order, piece).await?;
        obeyed = Obeyed { runs: obeyed.runs + ordered.runs, next: ordered.next };
        left -= limit;
    }
    Ok(obeyed)
}

impl Wish {
    /// When the run after so many is due.
    fn due_after(&self, runs: u64) -> Timestamp {
        let wait = self.spacing.saturating_mul(u32::try_from(runs).unwrap_or(u32::MAX));
        self.start.checked_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// What the audit log calls it.
    fn object(&self) -> String {
        match self.scope.message {
            Some(number) => format!("{} {}", self.scope.handler, InboxMessageId::from_u64(number)),
            None => self.scope.handler.clone(),
        }
    }
}

impl OrderView {
    fn of(obeyed: &Obeyed) -> OrderView {
        let next = obeyed.next.map(|number| InboxMessageId::from_u64(number).to_string());
        OrderView { dry_run: false, runs: obeyed.runs, next, start_at: None }
    }
}

async fn read(app: &App, account: AccountId, body: OrderBody) -> Result<Wish, Problem> {
    let is_narrow =
        [&body.message, &body.source, &body.state, &body.from, &body.to].iter().any(|field| field.is_some());
    if !is_narrow && !body.all {
        let words = "is everything there is: give a message, state, source, from or to, or say \"all\": true";
        return Err(Problem::invalid("", format!("this {words}")));
    }
    if is_narrow && body.all {
        return Err(Problem::invalid("/all", "is not all with what else is given; leave it out"));
    }
    let invalid = |pointer: &'static str| move |words: String| Problem::invalid(pointer, words);
    let message: Option<InboxMessageId> = parse("/message", body.message.as_deref())?;
    let after: Option<InboxMessageId> = parse("/after", body.after.as_deref())?;
    let source = match body.source.as_deref() {
        Some(text) => Some(SourceLabels::of(app, account).await?.parse(text, invalid("/source"))?),
        None => None,
    };
    let standing = body.state.as_deref().map(parse_standing).transpose().map_err(invalid("/state"))?;
    let from = parse_time("/from", body.from.as_deref())?;
    let to = parse_time("/to", body.to.as_deref())?;
    let start = parse_time("/startAt", body.start_at.as_deref())?.unwrap_or_else(|| app.now());
    let spacing = match body.per_second {
        None => Duration::ZERO,
        Some(rate) if PER_SECOND.contains(&rate) => Duration::from_secs_f64(1.0 / rate),
        Some(_) => return Err(Problem::invalid("/perSecond", "give 0.001 to 1000, or leave it out")),
    };
    find_handler(app, account, &body.handler).await?;
    if let Some(id) = message
        && app.store().message(account, id.as_u64()).await?.is_none()
    {
        return Err(Problem::not_found("message"));
    }
    let scope = RunScope { handler: body.handler, message: message.map(|id| id.as_u64()), source, standing, from, to };
    Ok(Wish { scope, after: after.map_or(0, |id| id.as_u64()), start, spacing })
}

fn parse(pointer: &str, text: Option<&str>) -> Result<Option<InboxMessageId>, Problem> {
    text.map(str::parse).transpose().map_err(|error: wire::ParseIdError| Problem::invalid(pointer, error.to_string()))
}

fn parse_time(pointer: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let words = "give a time with its offset, such as 2027-03-05T10:00:00Z";
    text.map(str::parse).transpose().map_err(|_| Problem::invalid(pointer, words))
}
