//! The audit log: who did what to an account, when and from where. It is only ever added to.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use wire::AccountId;

use crate::{Page, Store, StoreResult};

/// The number of an entry of the log; later ones are greater.
pub type AuditNumber = u64;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds the API key with this public id.
    Key(String),
    /// Whoever may run commands on the database itself.
    CommandLine,
}

/// What is done. Few words, of which the first is the kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// An account is made.
    AccountCreate,
    /// An API key is made.
    KeyCreate,
    /// An API key is replaced by another.
    KeyRotate,
    /// An API key is ended.
    KeyRevoke,
    /// A mango is made.
    MangoCreate,
    /// A version of a series is saved.
    WebinarSave,
    /// A series is cancelled.
    WebinarCancel,
    /// A URL is subscribed.
    SubscriptionCreate,
    /// A subscription is ended.
    SubscriptionDelete,
    /// What was announced is held, to all endpoints or to one.
    EventPause,
    /// What was announced goes on.
    EventResume,
    /// What was announced is called off.
    EventCancel,
    /// Deliveries are sent again.
    ReplayStart,
    /// A replay is held.
    ReplayPause,
    /// A replay goes on.
    ReplayResume,
    /// A replay is ended.
    ReplayCancel,
    /// How an endpoint is served is changed.
    EndpointChange,
    /// What waits for an endpoint is skipped.
    EndpointDrop,
    /// An endpoint gets nothing for a while.
    EndpointPause,
    /// An endpoint gets everything again.
    EndpointResume,
    /// A place for the inbox to accept at is made.
    SourceCreate,
    /// The keys of a source are replaced.
    SourceKeys,
    /// An endpoint gets a new signing secret.
    EndpointRotateSecret,
    /// A person is erased; the object is the erasure, which says nothing of the person.
    ParticipantErase,
    /// How long the account keeps things is changed.
    AccountRetention,
    /// Messages are handled again by a handler, which is the object.
    RunsRerun,
    /// What waits for a handler, which is the object, is dropped.
    RunsDrop,
}

/// One act, to be kept together with what it changes. Ids only: no secret and no person's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditNote {
    /// Whose things it is done to.
    pub account: AccountId,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// From which address; `None` for the command line.
    pub from: Option<IpAddr>,
    /// What.
    pub act: Act,
    /// The id of what it is done to.
    pub object: String,
}

/// One entry of the log. Its act is text: an older program may have written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its place in the log.
    pub number: AuditNumber,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// From which address.
    pub from: Option<IpAddr>,
    /// What, as [`Act::as_str`] named it.
    pub act: String,
    /// The id of what it was done to.
    pub object: String,
}

/// The audit log.
#[async_trait]
pub trait Audit: Send + Sync {
    /// The same store for one act: what is written through it and the note are kept together or not at all. A write
    /// that fails or changes nothing leaves no note.
    fn noting(&self, note: AuditNote) -> Arc<dyn Store>;

    /// An account's log, newest first, before the entry given.
    async fn audit_log(
        &self,
        account: AccountId,
        before: Option<AuditNumber>,
        limit: usize,
    ) -> StoreResult<Page<AuditRecord, AuditNumber>>;
}

impl Act {
    /// Its name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Act::AccountCreate => "account.create",
            Act::KeyCreate => "key.create",
            Act::KeyRotate => "key.rotate",
            Act::KeyRevoke => "key.revoke",
            Act::MangoCreate => "mango.create",
            Act::WebinarSave => "webinar.save",
            Act::WebinarCancel => "webinar.cancel",
            Act::SubscriptionCreate => "subscription.create",
            Act::SubscriptionDelete => "subscription.delete",
            Act::EventPause => "event.pause",
            Act::EventResume => "event.resume",
            Act::EventCancel => "event.cancel",
            Act::ReplayStart => "replay.start",
            Act::ReplayPause => "replay.pause",
            Act::ReplayResume => "replay.resume",
            Act::ReplayCancel => "replay.cancel",
            Act::EndpointChange => "endpoint.change",
            Act::EndpointDrop => "endpoint.drop",
            Act::EndpointPause => "endpoint.pause",
            Act::EndpointResume => "endpoint.resume",
            Act::SourceCreate => "source.create",
            Act::SourceKeys => "source.keys",
            Act::EndpointRotateSecret => "endpoint.rotate-secret",
            Act::ParticipantErase => "participant.erase",
            Act::AccountRetention => "account.retention",
            Act::RunsRerun => "run.rerun",
            Act::RunsDrop => "run.drop",
        }
    }
}

/// The command line in the log. No public id of a key holds a space.
const COMMAND_LINE: &str = "command line";

impl Actor {
    /// Its name in the log.
    pub fn as_str(&self) -> &str {
        match self {
            Actor::Key(public_id) => public_id,
            Actor::CommandLine => COMMAND_LINE,
        }
    }

    /// Reads a name of the log.
    pub fn from_name(name: String) -> Actor {
        if name == COMMAND_LINE { Actor::CommandLine } else { Actor::Key(name) }
    }
}
