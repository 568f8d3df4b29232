//! A message on its way through one handler.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use jiff::Timestamp;
use receiver::{KeptHeaders, Reading};
use serde_json::{Value, json};
use wire::{AccountId, InboxMessageId, SourceId};

/// One attempt at one message by one handler.
#[derive(Clone, Debug)]
pub struct Job {
    /// Whose inbox.
    pub account: AccountId,
    /// The handler's name.
    pub handler: Arc<str>,
    /// What came.
    pub message: Arc<JobMessage>,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How often the run was asked for anew; 0 for the first time.
    pub generation: u32,
    /// When the attempt began.
    pub now: Timestamp,
}

/// A message, read.
#[derive(Clone, Debug)]
pub struct JobMessage {
    /// Its id in the inbox.
    pub id: InboxMessageId,
    /// Where it came in.
    pub source: SourceId,
    /// That source's name.
    pub source_name: Arc<str>,
    /// The sender's id of it, where it has one.
    pub message_id: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// The headers that were kept.
    pub headers: KeptHeaders,
    /// The raw body.
    pub body: Bytes,
    /// What it says.
    pub reading: Reading,
}

impl Job {
    /// The same for every attempt at this run, and for no other run of any inbox: 40 hex digits.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let message = &self.message;
        let text = format!(
            "{}\n{}\n{}\n{}\n{}\n{}",
            self.account,
            message.source,
            message.id,
            message.received_at.as_millisecond(),
            self.handler,
            self.generation
        );
        digest(&SHA256, text.as_bytes()).as_ref()[..20]
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    /// What templates, filters and statements see: the event's own JSON, and `message` beside it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let message = &self.message;
        let mut json = message.reading.to_json(&message.body);
        if let Value::Object(members) = &mut json {
            members.insert(
                "message".to_owned(),
                json!({
                    "id": message.id.to_string(),
                    "source": &*message.source_name,
                    "senderId": message.message_id,
                    "receivedAt": message.received_at.to_string(),
                    "attempt": self.attempt,
                    "rerun": self.generation,
                    "idempotencyKey": self.idempotency_key(),
                }),
            );
        }
        json
    }
}
