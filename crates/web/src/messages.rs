//! `/api/v1/inbox/messages`: the webhooks the inbox has accepted.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use receiver::KeptHeaders;
use serde::{Deserialize, Serialize};
use store::{Message, MessageContent, MessageFilter};
use wire::InboxMessageId;

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{QueryOf, parse_filter, parse_id};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    source: Option<String>,
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
    let filter = MessageFilter { source: parse_filter("source", query.source.as_deref())?, ..MessageFilter::default() };
    let after = parse_filter("cursor", query.cursor.as_deref())?.map(|id: InboxMessageId| id.as_u64());
    let page = app.store().messages(caller.account, filter, after, reply::page_size(query.limit)?).await?;
    let views: Vec<_> = page.items.iter().map(|message| MessageView::of(message, BodyView::ABSENT)).collect();
    Ok(reply::page(&uri, &views, page.next.map(|number| InboxMessageId::from_u64(number).to_string())))
}

/// Shows one message with its body.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let id: InboxMessageId = parse_id(&id, "message")?;
    let found = app.store().message(caller.account, id.as_u64()).await?;
    let mut message = found.ok_or_else(|| Problem::not_found("message"))?;
    let body = BodyView::of(std::mem::take(&mut message.body));
    Ok(reply::ok(&MessageView::of(&message, body)))
}
