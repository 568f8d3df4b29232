//! `/api/v1/deliveries`: the log of what was sent to whom, and what came back.

use std::fmt;
use std::str::FromStr;

use axum::extract::{Path, State};
use http::Uri;
use serde::{Deserialize, Serialize};
use store::{DeliveryCursor, DeliveryFilter, DeliveryPart, DeliveryStatus, DeliverySummary};
use wire::AccountId;

use crate::app::{App, AppState};
use crate::attempt_view::AttemptView;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{QueryOf, parse_filter, parse_id};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    event: Option<String>,
    endpoint: Option<String>,
    participant: Option<String>,
    status: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeliveryView {
    id: String,
    event: String,
    endpoint: String,
    participant: PersonView,
    status: &'static str,
    /// Attempts made so far.
    attempts: u16,
    last_attempt: Option<AttemptView>,
    next_attempt_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<AttemptView>>,
}

/// Name and address are those of now, and null where the person is no longer on the roster.
#[derive(Serialize)]
struct PersonView {
    number: u64,
    name: Option<String>,
    email: Option<String>,
}

impl DeliveryView {
    pub(crate) fn of(delivery: &DeliverySummary) -> DeliveryView {
        let (name, email) = delivery.person.clone().unzip();
        DeliveryView {
            id: delivery.id.to_string(),
            event: delivery.event.to_string(),
            endpoint: delivery.endpoint.to_string(),
            participant: PersonView { number: delivery.participant, name, email },
            status: delivery.status.name(),
            attempts: delivery.attempts,
            last_attempt: delivery.last.as_ref().map(AttemptView::of),
            next_attempt_at: delivery.next_attempt_at.map(instant),
            history: None,
        }
    }
}

/// Lists deliveries, newest events first. Those not yet tried are only counted, in their event.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<ListQuery>,
) -> Reply {
    let after: Option<CursorText> = parse_filter("cursor", query.cursor.as_deref())?;
    let limit = reply::page_size(query.limit)?;
    let Some(filter) = filter_of(&app, caller.account, &query).await? else {
        return Ok(reply::page(&uri, &[] as &[DeliveryView], None));
    };
    let page = app.store().deliveries(caller.account, filter, after.map(|text| text.0), limit).await?;
    let views: Vec<_> = page.items.iter().map(DeliveryView::of).collect();
    Ok(reply::page(&uri, &views, page.next.map(|cursor| CursorText(cursor).to_string())))
}

/// Shows one delivery with all its attempts.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let found = app.store().delivery(caller.account, parse_id(&id, "delivery")?).await?;
    let delivery = found.ok_or_else(|| Problem::not_found("delivery"))?;
    let history = Some(delivery.attempts.iter().map(AttemptView::of).collect());
    Ok(reply::ok(&DeliveryView { history, ..DeliveryView::of(&delivery.summary) }))
}

/// The filter asked for; `None` where it names a person who does not exist, so that nothing can match.
async fn filter_of(app: &App, account: AccountId, query: &ListQuery) -> Result<Option<DeliveryFilter>, Problem> {
    let status = query.status.as_deref().map(parse_status).transpose()?;
    let participant = match query.participant.as_deref() {
        None => None,
        Some(text) => match find_person(app, account, text).await? {
            Some(number) => Some(number),
            None => return Ok(None),
        },
    };
    Ok(Some(DeliveryFilter {
        event: parse_filter("event", query.event.as_deref())?,
        endpoint: parse_filter("endpoint", query.endpoint.as_deref())?,
        participant,
        status,
    }))
}

/// A person by number or by e-mail address.
async fn find_person(app: &App, account: AccountId, text: &str) -> Result<Option<u64>, Problem> {
    if let Ok(number) = text.parse() {
        return Ok(Some(number));
    }
    if !text.contains('@') {
        return Err(Problem::invalid_query("participant: give a number or an e-mail address"));
    }
    Ok(app.store().participant_by_email(account, text).await?.map(|record| record.number))
}

fn parse_status(text: &str) -> Result<DeliveryStatus, Problem> {
    DeliveryStatus::ALL.into_iter().find(|status| status.name() == text).ok_or_else(|| {
        let names: Vec<_> = DeliveryStatus::ALL.iter().map(|status| status.name()).collect();
        Problem::invalid_query(format!("status: give one of {}", names.join(", ")))
    })
}

/// A cursor as text: `fan_….x.17`, where `x` is for exceptions and `d` for delivered.
struct CursorText(DeliveryCursor);

impl fmt::Display for CursorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.0.part {
            DeliveryPart::Exceptions => 'x',
            DeliveryPart::Delivered => 'd',
        };
        write!(f, "{}.{part}.{}", self.0.fan_out, self.0.participant)
    }
}

impl FromStr for CursorText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<CursorText, &'static str> {
        let parts: Vec<&str> = text.split('.').collect();
        let read = || {
            let [fan_out, part, participant] = parts.as_slice() else { return None };
            let part = match *part {
                "x" => DeliveryPart::Exceptions,
                "d" => DeliveryPart::Delivered,
                _ => return None,
            };
            Some(DeliveryCursor { fan_out: fan_out.parse().ok()?, part, participant: participant.parse().ok()? })
        };
        read().map(CursorText).ok_or("is not one that a page gave as \"nextCursor\"")
    }
}
