//! Notices: what an account's owner is told, in the API and by operational webhooks to the endpoints that ask for them.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::attempt::Outcome;
use provider::judge::Verdict;
use webinar::{NoticeKind, SeriesId};
use wire::{AccountId, EndpointId, NoticeId};

use crate::{Endpoint, Page, StoreResult};

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeSubject {
    /// An endpoint of the account.
    Endpoint(EndpointId),
    /// A series of the account.
    Series(SeriesId),
}

/// Something to tell an account's owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNotice {
    /// Its id, which is also the `webhook-id` it is sent under.
    pub id: NoticeId,
    /// What has happened.
    pub kind: NoticeKind,
    /// To what. An endpoint is not told of itself.
    pub subject: NoticeSubject,
    /// More of it, a JSON object: the `data` of the webhook.
    pub details: String,
    /// When.
    pub now: Timestamp,
}

/// Why an endpoint gets nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisabledBecause {
    /// It answered 410.
    Gone,
    /// It has failed since then.
    FailingSince(Timestamp),
}

impl NewNotice {
    /// That an endpoint gets nothing more until its owner resumes it.
    pub fn endpoint_disabled(
        id: NoticeId,
        endpoint: EndpointId,
        because: DisabledBecause,
        now: Timestamp,
    ) -> NewNotice {
        let (reason, since) = match because {
            DisabledBecause::Gone => ("gone", now),
            DisabledBecause::FailingSince(since) => ("failing", since),
        };
        // Ids, words and times of our own need no escaping.
        let details = format!("{{\"endpoint\":\"{endpoint}\",\"reason\":\"{reason}\",\"since\":\"{since:.3}\"}}");
        let (kind, subject) = (NoticeKind::EndpointDisabled, NoticeSubject::Endpoint(endpoint));
        NewNotice { id, kind, subject, details, now }
    }
}

/// A notice as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRecord {
    /// Its id.
    pub id: NoticeId,
    /// What has happened.
    pub kind: NoticeKind,
    /// To what.
    pub subject: NoticeSubject,
    /// More of it, a JSON object.
    pub details: String,
    /// When.
    pub created_at: Timestamp,
    /// When the owner said that it was read.
    pub read_at: Option<Timestamp>,
}

/// A notice on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeDelivery {
    /// To whom.
    pub endpoint: EndpointId,
    /// What becomes of it.
    pub state: NoticeDeliveryState,
    /// Attempts made.
    pub attempts: u16,
    /// The last attempt's end.
    pub last: Option<(Outcome, Timestamp)>,
}

/// The life of a notice's delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeDeliveryState {
    /// To be sent, not before this time. While somebody sends it, the time at which another may.
    Waiting(Timestamp),
    /// The receiver has it.
    Delivered,
    /// Given up.
    Abandoned,
}

/// A delivery somebody has taken, until its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoticeLease {
    /// Whose notice.
    pub account: AccountId,
    /// Which.
    pub notice: NoticeId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// Rises each time it is taken: who took it before changes nothing any more.
    pub epoch: u64,
}

/// A notice to be sent to one endpoint.
#[derive(Clone, Debug)]
pub struct NoticeErrand {
    /// The proof that it is ours.
    pub lease: NoticeLease,
    /// What is sent.
    pub notice: NoticeRecord,
    /// To whom.
    pub endpoint: Endpoint,
    /// Attempts made before.
    pub attempts: u16,
}

/// The end of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoticeAttempt {
    /// What it came to.
    pub outcome: Outcome,
    /// What follows.
    pub verdict: Verdict,
    /// When it ended.
    pub now: Timestamp,
}

/// Notices and their deliveries.
#[async_trait]
pub trait Notices: Send + Sync {
    /// Keeps a notice and owes it to each endpoint that subscribes to its kind and is not its subject, in ONE
    /// transaction. Those who subscribe later are not told.
    async fn raise_notice(&self, account: AccountId, notice: NewNotice) -> StoreResult<()>;

    /// A page of notices, newest first.
    async fn notices(
        &self,
        account: AccountId,
        after: Option<NoticeId>,
        limit: usize,
    ) -> StoreResult<Page<NoticeRecord, NoticeId>>;

    /// One notice, and to whom it went.
    async fn notice(
        &self,
        account: AccountId,
        id: NoticeId,
    ) -> StoreResult<Option<(NoticeRecord, Vec<NoticeDelivery>)>>;

    /// The newest notice of this kind about this subject.
    async fn latest_notice(
        &self,
        account: AccountId,
        kind: NoticeKind,
        subject: NoticeSubject,
    ) -> StoreResult<Option<NoticeRecord>>;

    /// How many notices nobody has read.
    async fn unread_notices(&self, account: AccountId) -> StoreResult<u64>;

    /// Notes that the owner has read it; the first time counts. `false` where there is no such notice.
    async fn mark_notice_read(&self, account: AccountId, id: NoticeId, now: Timestamp) -> StoreResult<bool>;

    /// Takes up to `limit` deliveries that are due for `lease_for`; the accounts take turns. Not to endpoints that are
    /// paused, gone or disabled: those wait.
    async fn claim_notices(&self, now: Timestamp, lease_for: Duration, limit: usize) -> StoreResult<Vec<NoticeErrand>>;

    /// Writes down an attempt. `Fenced` where another has taken the delivery meanwhile, or it has ended.
    async fn settle_notice(&self, lease: NoticeLease, attempt: NoticeAttempt) -> StoreResult<()>;
}
