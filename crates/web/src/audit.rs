//! `/api/v1/audit`: who did what to the account, when and from where.

use axum::extract::State;
use http::Uri;
use serde::Serialize;
use store::{AuditNumber, AuditRecord};

use crate::app::AppState;
use crate::caller::Caller;
use crate::reply::{self, Reply, instant};
use crate::request::{PageQuery, QueryOf, parse_filter};

#[derive(Serialize)]
struct AuditView {
    number: AuditNumber,
    at: String,
    /// The public id of a key, or `command line`.
    actor: String,
    from: Option<String>,
    act: String,
    object: String,
}

impl AuditView {
    fn of(record: AuditRecord) -> AuditView {
        AuditView {
            number: record.number,
            at: instant(record.at),
            actor: record.actor.as_str().to_owned(),
            from: record.from.map(|address| address.to_string()),
            act: record.act,
            object: record.object,
        }
    }
}

/// Lists acts, newest first.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<PageQuery>,
) -> Reply {
    let before = parse_filter("cursor", query.cursor.as_deref())?;
    let page = app.store().audit_log(caller.account, before, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.into_iter().map(AuditView::of).collect();
    Ok(reply::page(&uri, &views, page.next.map(|number| number.to_string())))
}
