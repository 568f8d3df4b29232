//! `/api/v1/subscriptions`: which URL is told of what. The compatible route subscribes through here, too.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::extract::{Path, State};
use http::Uri;
use provider::subscription::{Subscription, WebinarFilter};
use serde::{Deserialize, Serialize};
use store::{Act, Endpoint, NewSubscription, Subscribed, SubscriptionRecord};
use webinar::EventType;
use wire::{AccountId, EndpointId, SubscriptionId};

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::endpoints::state_of;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{JsonBody, PageQuery, QueryOf, parse_filter, parse_id};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSubscriptionBody {
    url: String,
    event: String,
    webinar: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionView {
    id: String,
    event: &'static str,
    webinar: Option<String>,
    url: String,
    endpoint: EndpointBrief,
    created_at: String,
    /// Shown once, when the endpoint is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

#[derive(Serialize)]
struct EndpointBrief {
    id: String,
    state: &'static str,
}

impl SubscriptionView {
    fn of(record: &SubscriptionRecord, endpoint: &Endpoint) -> SubscriptionView {
        let Subscription { id, event, webinar, .. } = record.subscription;
        SubscriptionView {
            id: id.to_string(),
            event: event.as_str(),
            webinar: webinar.map(|filter| filter.to_string()),
            url: endpoint.url.clone(),
            endpoint: EndpointBrief { id: endpoint.id.to_string(), state: state_of(endpoint) },
            created_at: instant(record.created_at),
            signing_secret: None,
        }
    }
}

/// A wish to be told, as text, with the name its field for the URL has.
pub(crate) struct Wish<'a> {
    pub(crate) url: &'a str,
    pub(crate) url_pointer: &'static str,
    pub(crate) event: &'a str,
    pub(crate) webinar: Option<&'a str>,
}

/// Subscribes; the same URL, event and filter twice is the same subscription.
pub(crate) async fn subscribe(app: &App, caller: &Caller, wish: Wish<'_>) -> Result<Subscribed, Problem> {
    let account = caller.account;
    let url = app.context.targets.parse(wish.url).map_err(|error| {
        tracing::debug!(%account, reason = error.operator_detail(), "a hook URL was refused");
        Problem::invalid(wish.url_pointer, error.to_string())
    })?;
    let event: EventType =
        wish.event.parse().map_err(|error: webinar::UnsupportedEvent| Problem::invalid("/event", error.to_string()))?;
    if let (EventType::Notice(kind), Some(_)) = (event, wish.webinar) {
        let detail = format!("{kind} is about the whole account and has no webinar filter; leave \"webinar\" out");
        return Err(Problem::invalid("/webinar", detail));
    }
    let webinar = match wish.webinar {
        Some(text) => Some(find_webinar(app, account, text).await?),
        None => None,
    };
    let now = app.now();
    let new = NewSubscription {
        id: SubscriptionId::from_bytes(app.id_bytes(now)),
        url: url.as_str().to_owned(),
        endpoint: EndpointId::from_bytes(app.id_bytes(now)),
        secret: app.new_secret(),
        event,
        webinar,
        now,
    };
    Ok(app.noting(caller, Act::SubscriptionCreate, new.id).subscribe(account, new).await?)
}

/// The series or session of this account that the filter names.
async fn find_webinar(app: &App, account: AccountId, text: &str) -> Result<WebinarFilter, Problem> {
    let filter: WebinarFilter = text.parse().map_err(|error: webinar::Mistake| {
        Problem::invalid("/webinar", format!("{error}; leave \"webinar\" out to be told of all webinars"))
    })?;
    let is_series = app.store().series(account, filter.as_series()).await?.is_some();
    if is_series || app.store().series_of_session(account, filter.as_session()).await?.is_some() {
        return Ok(filter);
    }
    Err(Problem::not_found("webinar, neither a series nor a session,"))
}

/// The secret of a new endpoint, to be shown this once.
pub(crate) fn secret_to_show(subscribed: &Subscribed) -> Option<String> {
    match subscribed {
        Subscribed::WithNewEndpoint(_, endpoint) => {
            endpoint.secrets.first().map(|newest| newest.secret.reveal().to_string())
        }
        Subscribed::AtKnownEndpoint(..) | Subscribed::Already(..) => None,
    }
}

/// Subscribes: 201 for a new subscription, 200 for one that was there.
pub(crate) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    JsonBody(body): JsonBody<NewSubscriptionBody>,
) -> Reply {
    let wish = Wish { url: &body.url, url_pointer: "/url", event: &body.event, webinar: body.webinar.as_deref() };
    let subscribed = subscribe(&app, &caller, wish).await?;
    let signing_secret = secret_to_show(&subscribed);
    Ok(match &subscribed {
        Subscribed::Already(record, endpoint) => reply::ok(&SubscriptionView::of(record, endpoint)),
        Subscribed::WithNewEndpoint(record, endpoint) | Subscribed::AtKnownEndpoint(record, endpoint) => {
            let view = SubscriptionView { signing_secret, ..SubscriptionView::of(record, endpoint) };
            reply::created(&format!("/api/v1/subscriptions/{}", view.id), &view)
        }
    })
}

/// Lists subscriptions, oldest first.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<PageQuery>,
) -> Reply {
    let after = parse_filter("cursor", query.cursor.as_deref())?;
    let page = app.store().subscriptions(caller.account, after, reply::page_size(query.limit)?).await?;
    let mut endpoints = BTreeMap::new();
    for record in &page.items {
        let id = record.subscription.endpoint;
        if let Entry::Vacant(place) = endpoints.entry(id) {
            place.insert(endpoint_of(&app, caller.account, record).await?);
        }
    }
    let view = |record: &SubscriptionRecord| {
        endpoints.get(&record.subscription.endpoint).map(|endpoint| SubscriptionView::of(record, endpoint))
    };
    let views: Vec<_> = page.items.iter().filter_map(view).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows one subscription.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let id = parse_id(&id, "subscription")?;
    let found = app.store().subscription(caller.account, id).await?;
    let record = found.ok_or_else(|| Problem::not_found("subscription"))?;
    let endpoint = endpoint_of(&app, caller.account, &record).await?;
    Ok(reply::ok(&SubscriptionView::of(&record, &endpoint)))
}

/// Ends a subscription; what it has already been promised is still delivered.
pub(crate) async fn delete(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let id: SubscriptionId = parse_id(&id, "subscription")?;
    if app.noting(&caller, Act::SubscriptionDelete, id).unsubscribe(caller.account, id).await? {
        Ok(reply::done())
    } else {
        Err(Problem::not_found("subscription"))
    }
}

async fn endpoint_of(app: &App, account: AccountId, record: &SubscriptionRecord) -> Result<Endpoint, Problem> {
    let found = app.store().endpoint(account, record.subscription.endpoint).await?;
    found.ok_or_else(|| Problem::internal(&format!("{} has no endpoint", record.subscription.id)))
}
