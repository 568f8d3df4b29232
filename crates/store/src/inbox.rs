//! The inbox: webhooks accepted from others, each once.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use receiver::Verified;
use wire::{AccountId, FanOutId, SourceId};
use zeroize::Zeroizing;

use crate::{Arrivals, Page, StoreResult};

/// The number of a message, rising with acceptance within one account; another's may have the same.
pub type MessageNumber = u64;

/// A key of a source in text, as its preset has it; wiped from memory when dropped.
pub type SourceKey = Zeroizing<String>;

/// A source as stored; `receiver::Source` is made from it.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceRecord {
    /// Its id, which is its path.
    pub id: SourceId,
    /// Whose messages come in here.
    pub account: AccountId,
    /// For people.
    pub name: String,
    /// How its sender signs: the name of a `receiver::Preset` that needs nothing but keys.
    pub preset: String,
    /// The keys its sender signs with, all valid at once. A source without any waits for them: its sender may have to
    /// know the path before it tells its key.
    pub keys: Vec<SourceKey>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for SourceRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, preset, keys, .. } = self;
        write!(f, "SourceRecord({id}, {name:?}, {preset}, {} keys)", keys.len())
    }
}

/// What accepting a message came to. Both are a success: the sender may stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is on disk.
    Stored(MessageNumber),
    /// It was there.
    Duplicate {
        /// Which one it repeats.
        of: MessageNumber,
        /// Whether its content differs from what was stored: the sender reused an id.
        content: DuplicateContent,
    },
}

/// How a duplicate compares with what was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateContent {
    /// The same bytes.
    Same,
    /// Other bytes under the same id.
    Different,
}

/// A message as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub number: MessageNumber,
    /// Where it came in.
    pub source: SourceId,
    /// The sender's message id, where it gave one.
    pub message_id: Option<String>,
    /// The headers worth keeping, lines of `name: value`.
    pub headers: String,
    /// When the first copy came.
    pub received_at: Timestamp,
    /// Copies that came after the first.
    pub duplicates: u64,
    /// Copies among them with other content under the same id.
    pub conflicts: u64,
    /// The body's length, bytes.
    pub body_length: u64,
    /// The raw body; empty in lists.
    pub body: Vec<u8>,
    /// Whether body and headers are still there.
    pub content: MessageContent,
}

impl Message {
    /// Takes body and headers away.
    pub fn empty(&mut self, content: MessageContent) {
        self.content = content;
        self.headers.clear();
        self.body.clear();
        self.body_length = 0;
    }
}

/// What has become of a message's body and headers. That it came stays known, so that a late copy is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageContent {
    /// They are as they came.
    Kept,
    /// They named somebody who was erased, and are gone.
    Erased,
    /// They were older than the account keeps them, and are gone.
    Expired,
}

/// Which messages to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Of this source.
    pub source: Option<SourceId>,
    /// Received at this time or later.
    pub from: Option<Timestamp>,
    /// Received before this time.
    pub to: Option<Timestamp>,
}

/// The inbox.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Adds a source.
    async fn create_source(&self, source: SourceRecord) -> StoreResult<()>;

    /// An account's sources, oldest first.
    async fn sources(&self, account: AccountId) -> StoreResult<Vec<SourceRecord>>;

    /// Replaces the keys of a source. `false` where the account has no source with this id.
    async fn set_source_keys(&self, account: AccountId, id: SourceId, keys: Vec<SourceKey>) -> StoreResult<bool>;

    /// The source with this id, whosever it is: what an incoming request names.
    async fn source(&self, id: SourceId) -> StoreResult<Option<SourceRecord>>;

    /// Commits the message; the answer comes when it is on disk. `Busy` where too many wait. It is a duplicate where the
    /// newest message of its slot has its key and came within the store's `DedupeWindow`; else it is new, and the newest.
    async fn accept(&self, message: Verified) -> StoreResult<Acceptance>;

    /// A page of messages, newest first, without bodies.
    async fn messages(
        &self,
        account: AccountId,
        filter: MessageFilter,
        after: Option<MessageNumber>,
        limit: usize,
    ) -> StoreResult<Page<Message, MessageNumber>>;

    /// One message with its body.
    async fn message(&self, account: AccountId, number: MessageNumber) -> StoreResult<Option<Message>>;

    /// How many messages an account has, and how many duplicates came.
    async fn message_counts(&self, account: AccountId) -> StoreResult<MessageCounts>;

    /// What has come of a fan-out of a sender that says which of how many each webhook is; `None` where nothing has.
    async fn arrivals(&self, account: AccountId, fan_out: FanOutId) -> StoreResult<Option<Arrivals>>;

    /// The newest fan-outs of which anything has come, newest first. Reads an index entry for each of their messages.
    async fn fan_outs_seen(&self, account: AccountId, limit: usize) -> StoreResult<Vec<(FanOutId, Arrivals)>>;
}

/// What an account's inbox has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Messages stored.
    pub stored: u64,
    /// Further copies that were recognised.
    pub duplicates: u64,
}
