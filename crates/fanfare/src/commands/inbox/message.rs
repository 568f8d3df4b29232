//! A message as the terminal shows it, in the shape of the API.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use receiver::KeptHeaders;
use serde::Serialize;
use store::{Message, MessageContent};
use wire::InboxMessageId;

use crate::output::instant;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageJson {
    pub(super) id: String,
    pub(super) source: String,
    pub(super) message_id: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) received_at: String,
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
    pub(super) body_length: u64,
    /// Whether body and headers are still there.
    pub(super) content: &'static str,
}

/// The body as it came: text where it is UTF-8.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum BodyText {
    Text {
        body: String,
    },
    #[serde(rename_all = "camelCase")]
    Other {
        body_base64: String,
    },
    /// It was erased or has expired.
    Gone {},
}

impl BodyText {
    /// Takes the body of a message.
    pub(super) fn take(message: &mut Message) -> BodyText {
        if message.content != MessageContent::Kept {
            return BodyText::Gone {};
        }
        match String::from_utf8(std::mem::take(&mut message.body)) {
            Ok(body) => BodyText::Text { body },
            Err(error) => BodyText::Other { body_base64: STANDARD.encode(error.as_bytes()) },
        }
    }
}

impl From<Message> for MessageJson {
    fn from(message: Message) -> MessageJson {
        let headers = KeptHeaders::from_text(message.headers);
        MessageJson {
            id: InboxMessageId::from_u64(message.number).to_string(),
            source: message.source.to_string(),
            message_id: message.message_id,
            headers: headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            received_at: instant(message.received_at),
            duplicates: message.duplicates,
            conflicts: message.conflicts,
            body_length: message.body_length,
            content: match message.content {
                MessageContent::Kept => "kept",
                MessageContent::Erased => "erased",
                MessageContent::Expired => "expired",
            },
        }
    }
}
