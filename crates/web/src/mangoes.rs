//! `/api/v1/mangoes`: paid plans, whose members are audiences.

use axum::extract::{Path, State};
use http::Uri;
use serde::{Deserialize, Serialize};
use store::{Act, Mango};
use webinar::MangoId;

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{JsonBody, PageQuery, QueryOf, parse_filter, parse_id};

/// A name stands in one line of a list, and in every payload.
const NAME_CHARS_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMango {
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MangoView {
    id: String,
    name: String,
    /// Active ones.
    members: u64,
    created_at: String,
}

impl MangoView {
    fn of(mango: &Mango, members: u64) -> MangoView {
        MangoView { id: mango.id.to_string(), name: mango.name.clone(), members, created_at: instant(mango.created_at) }
    }
}

/// Adds a mango.
pub(crate) async fn create(State(app): State<AppState>, caller: Caller, JsonBody(new): JsonBody<NewMango>) -> Reply {
    let name = parse_name(&new.name)?;
    let now = app.now();
    let mango = Mango { id: MangoId::from_bytes(app.short_id_bytes(now)), name, created_at: now };
    app.noting(&caller, Act::MangoCreate, mango.id).create_mango(caller.account, mango.clone()).await?;
    Ok(reply::created(&format!("/api/v1/mangoes/{}", mango.id), &MangoView::of(&mango, 0)))
}

/// Lists mangoes with their numbers of members, oldest first.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<PageQuery>,
) -> Reply {
    let after = parse_filter("cursor", query.cursor.as_deref())?;
    let page = app.store().mangoes(caller.account, after, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.iter().map(|(mango, members)| MangoView::of(mango, *members)).collect();
    Ok(reply::page(&uri, &views, page.next.map(|id| id.to_string())))
}

/// Shows one mango.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let id: MangoId = parse_id(&id, "mango")?;
    // The list counts members, so one mango is the page of one that follows the id before its own.
    let page = app.store().mangoes(caller.account, id_before(id), 1).await?;
    let found = page.items.iter().find(|(mango, _)| mango.id == id);
    let (mango, members) = found.ok_or_else(|| Problem::not_found("mango"))?;
    Ok(reply::ok(&MangoView::of(mango, *members)))
}

/// The greatest id below this one; `None` for the least.
fn id_before(id: MangoId) -> Option<MangoId> {
    let mut bytes = *id.as_bytes();
    let last = bytes.iter().rposition(|byte| *byte > 0)?;
    bytes[last] -= 1;
    bytes[last + 1..].fill(0xff);
    Some(MangoId::from_bytes(bytes))
}

fn parse_name(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    let length = name.chars().count();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Problem::invalid("/name", "is empty or holds a control character; give one line of plain text"));
    }
    if length > NAME_CHARS_MAX {
        let detail = format!("is {length} characters long; shorten it to {NAME_CHARS_MAX}");
        return Err(Problem::invalid("/name", detail));
    }
    Ok(name.to_owned())
}
