//! `/api/v1/notices`: what the account's owner should know, and to whom it was sent.

use axum::extract::{Path, State};
use http::Uri;
use serde::Serialize;
use serde_json::value::RawValue;
use store::{NoticeDelivery, NoticeDeliveryState, NoticeRecord, NoticeSubject};

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{PageQuery, QueryOf, parse_filter, parse_id};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NoticeView {
    id: String,
    r#type: &'static str,
    /// The endpoint or the webinar it is about.
    subject: String,
    data: Option<Box<RawValue>>,
    created_at: String,
    read_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<Vec<DeliveryView>>,
}

/// The notice on its way to one endpoint that subscribes to its type.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryView {
    endpoint: String,
    /// `waiting`, `delivered` or `abandoned`.
    status: &'static str,
    attempts: u16,
    last_outcome: Option<String>,
    last_attempt_at: Option<String>,
    next_attempt_at: Option<String>,
}

impl NoticeView {
    fn of(notice: NoticeRecord) -> NoticeView {
        NoticeView {
            id: notice.id.to_string(),
            r#type: notice.kind.as_str(),
            subject: match notice.subject {
                NoticeSubject::Endpoint(id) => id.to_string(),
                NoticeSubject::Series(id) => id.to_string(),
            },
            data: RawValue::from_string(notice.details).ok(),
            created_at: instant(notice.created_at),
            read_at: notice.read_at.map(instant),
            deliveries: None,
        }
    }
}

impl DeliveryView {
    fn of(delivery: &NoticeDelivery) -> DeliveryView {
        let (status, due) = match delivery.state {
            NoticeDeliveryState::Waiting(due) => ("waiting", Some(due)),
            NoticeDeliveryState::Delivered => ("delivered", None),
            NoticeDeliveryState::Abandoned => ("abandoned", None),
        };
        DeliveryView {
            endpoint: delivery.endpoint.to_string(),
            status,
            attempts: delivery.attempts,
            last_outcome: delivery.last.map(|(outcome, _)| outcome.to_string()),
            last_attempt_at: delivery.last.map(|(_, at)| instant(at)),
            next_attempt_at: due.map(instant),
        }
    }
}

/// Lists notices, newest first.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<PageQuery>,
) -> Reply {
    let after = parse_filter("cursor", query.cursor.as_deref())?;
    let page = app.store().notices(caller.account, after, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.into_iter().map(NoticeView::of).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows one notice, and to whom it went.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let found = app.store().notice(caller.account, parse_id(&id, "notice")?).await?;
    let (notice, deliveries) = found.ok_or_else(|| Problem::not_found("notice"))?;
    let deliveries = Some(deliveries.iter().map(DeliveryView::of).collect());
    Ok(reply::ok(&NoticeView { deliveries, ..NoticeView::of(notice) }))
}

/// Notes that it was read.
pub(crate) async fn read(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    if app.store().mark_notice_read(caller.account, parse_id(&id, "notice")?, app.now()).await? {
        Ok(reply::done())
    } else {
        Err(Problem::not_found("notice"))
    }
}
