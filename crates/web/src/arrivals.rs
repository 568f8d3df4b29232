//! `/api/v1/inbox/fan-outs`: where the sender is a Fanfare, which of a fan-out's webhooks have come and which are missing.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use store::Arrivals;
use wire::FanOutId;

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::request::{QueryOf, parse_id};

/// Fan-outs of one list: each is counted, message by message.
const LISTED: usize = 10;
const LISTED_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    limit: Option<usize>,
}

#[derive(Serialize)]
struct ArrivalsList {
    data: Vec<ArrivalsView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArrivalsView {
    fan_out: String,
    /// Webhooks there are, as their sender says.
    total: u64,
    /// Different ones that have come.
    arrived: u64,
    /// Those that have not, as `fanfare-index` counts them.
    missing: Vec<Gap>,
    /// Whether there are more gaps than are listed.
    more: bool,
}

#[derive(Serialize)]
struct Gap {
    from: u64,
    to: u64,
}

impl ArrivalsView {
    fn of(fan_out: FanOutId, arrivals: &Arrivals) -> ArrivalsView {
        ArrivalsView {
            fan_out: fan_out.to_string(),
            total: arrivals.total,
            arrived: arrivals.arrived,
            missing: arrivals.missing.iter().map(|gap| Gap { from: *gap.start(), to: *gap.end() }).collect(),
            more: arrivals.more,
        }
    }
}

/// Lists the fan-outs of which anything came last.
pub(crate) async fn list(State(app): State<AppState>, caller: Caller, QueryOf(query): QueryOf<ListQuery>) -> Reply {
    let limit = match query.limit.unwrap_or(LISTED) {
        limit @ 1..=LISTED_MAX => limit,
        other => return Err(Problem::invalid_query(format!("limit: is {other}; give 1 to {LISTED_MAX}"))),
    };
    let seen = app.store().fan_outs_seen(caller.account, limit).await?;
    Ok(reply::ok(&ArrivalsList { data: seen.iter().map(|(id, arrivals)| ArrivalsView::of(*id, arrivals)).collect() }))
}

/// Shows one.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let id: FanOutId = parse_id(&id, "fan-out")?;
    let arrivals = app.store().arrivals(caller.account, id).await?;
    let arrivals = arrivals.ok_or_else(|| Problem::not_found("fan-out of which anything has come"))?;
    Ok(reply::ok(&ArrivalsView::of(id, &arrivals)))
}
