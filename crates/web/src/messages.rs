//! `/api/v1/inbox/messages`: the webhooks the inbox has accepted.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use jiff::Timestamp;
use receiver::KeptHeaders;
use receiver::Reading;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Message, MessageContent, MessageFilter, PAGE_SIZE_MAX, RunFilter};
use wire::InboxMessageId;

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{QueryOf, parse_filter, parse_id};
use crate::runs::RunView;
use crate::source_labels::SourceLabels;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    source: Option<String>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageView {
    id: String,
    source: String,
    message_id: Option<String>,
    headers: BTreeMap<String, String>,
    received_at: String,
    /// Copies that came after the first.
    duplicates: u64,
    /// Copies among them with other content under the same id.
    conflicts: u64,
    body_length: u64,
    /// Whether body and headers are still there: `kept`, `erased` or `expired`.
    content: &'static str,
    #[serde(flatten)]
    body: BodyView,
}

/// A message alone.
#[derive(Serialize)]
struct MessageDetail {
    #[serde(flatten)]
    message: MessageView,
    /// What it says, its quirks repaired; null where its content is gone.
    reading: Option<Value>,
    /// What its handlers made of it; nothing of those that have not begun it or passed it over.
    runs: Vec<RunView>,
}

/// The body as it came: text where it is UTF-8; nothing in lists.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BodyView {
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl BodyView {
    const ABSENT: BodyView = BodyView { body: None, body_base64: None };

    fn of(body: Vec<u8>) -> BodyView {
        match String::from_utf8(body) {
            Ok(text) => BodyView { body: Some(text), body_base64: None },
            Err(error) => BodyView { body: None, body_base64: Some(STANDARD.encode(error.as_bytes())) },
        }
    }
}

impl MessageView {
    fn of(message: &Message, body: BodyView) -> MessageView {
        let headers = KeptHeaders::from_text(message.headers.clone());
        MessageView {
            id: InboxMessageId::from_u64(message.number).to_string(),
            source: message.source.to_string(),
            message_id: message.message_id.clone(),
            headers: headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            received_at: instant(message.received_at),
            duplicates: message.duplicates,
            conflicts: message.conflicts,
            body_length: message.body_length,
            content: content_name(message.content),
            body,
        }
    }
}

pub(crate) fn content_name(content: MessageContent) -> &'static str {
    match content {
        MessageContent::Kept => "kept",
        MessageContent::Erased => "erased",
        MessageContent::Expired => "expired",
    }
}

/// Lists messages without their bodies, newest first.
pub(crate) async fn list(
    State(app): State<AppState>,
    caller: Caller,
    uri: Uri,
    QueryOf(query): QueryOf<ListQuery>,
) -> Reply {
    let source = match query.source.as_deref() {
        Some(text) => {
            let refused = |words| Problem::invalid_query(format!("source: {words}"));
            Some(SourceLabels::of(&app, caller.account).await?.parse(text, refused)?)
        }
        None => None,
    };
    let from = parse_time("from", query.from.as_deref())?;
    let filter = MessageFilter { source, from, to: parse_time("to", query.to.as_deref())? };
    let after = parse_filter("cursor", query.cursor.as_deref())?.map(|id: InboxMessageId| id.as_u64());
    let page = app.store().messages(caller.account, filter, after, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.iter().map(|message| MessageView::of(message, BodyView::ABSENT)).collect();
    Ok(reply::page(&uri, &views, page.next.map(|number| InboxMessageId::from_u64(number).to_string())))
}

/// Shows one message with its body, what it says, and what became of it.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let id: InboxMessageId = parse_id(&id, "message")?;
    let found = app.store().message(caller.account, id.as_u64()).await?;
    let mut message = found.ok_or_else(|| Problem::not_found("message"))?;
    let reading = match message.content {
        MessageContent::Kept => Some(SourceLabels::of(&app, caller.account).await?.read(&message)),
        MessageContent::Erased | MessageContent::Expired => None,
    };
    let filter = RunFilter { message: Some(message.number), ..RunFilter::default() };
    let runs = app.store().runs(caller.account, filter, None, PAGE_SIZE_MAX).await?.items;
    let reading = reading.map(|reading| reading_view(&reading, &message.body));
    let body = BodyView::of(std::mem::take(&mut message.body));
    let message = MessageView::of(&message, body);
    Ok(reply::ok(&MessageDetail { message, reading, runs: runs.iter().map(RunView::of).collect() }))
}

/// A reading without the body, which stands beside it.
fn reading_view(reading: &Reading, body: &[u8]) -> Value {
    let mut view = reading.to_json(body);
    if let Some(members) = view.as_object_mut() {
        members.remove("body");
    }
    view
}

fn parse_time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let refused = |_| Problem::invalid_query(format!("{name}: give a time such as 2027-03-05T10:00:00Z"));
    text.map(str::parse).transpose().map_err(refused)
}
