//! Endpoints and what they subscribe to.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::attempt::Reason;
use provider::lane::LaneState;
use provider::secret::EndpointSecret;
use provider::settings::EndpointSettings;
use provider::subscription::{Subscription, WebinarFilter};
use webinar::EventType;
use wire::{AccountId, EndpointId, Secret, SubscriptionId};

use crate::{Page, StoreResult};

/// One URL of one account that receives webhooks.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// The vetted URL.
    pub url: String,
    /// The owner's switch.
    pub switch: EndpointSwitch,
    /// How it is doing.
    pub health: LaneState,
    /// How it is to be served.
    pub settings: EndpointSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// What signs its webhooks, newest first. Some may have expired that have not been removed yet.
    pub secrets: Vec<EndpointSecret>,
    /// The last attempt that failed, however long ago.
    pub last_failure: Option<LastFailure>,
}

/// The last attempt at an endpoint that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// When it ended.
    pub at: Timestamp,
    /// Why it failed.
    pub reason: Reason,
}

/// What the owner wants of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointSwitch {
    /// Deliver.
    On,
    /// Keep the backlog, deliver nothing.
    Paused,
}

/// What an owner may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointChange {
    /// Keep the backlog, deliver nothing.
    Pause,
    /// Deliver again; a retired (410) or disabled endpoint is given another chance.
    Resume,
    /// Serve it like this from now on.
    Serve(EndpointSettings),
}

/// A subscription to be made.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Its id, if it is new.
    pub id: SubscriptionId,
    /// The vetted URL; an endpoint of the account with the same URL is used.
    pub url: String,
    /// The endpoint's id, if it is new.
    pub endpoint: EndpointId,
    /// The endpoint's signing secret, if it is new.
    pub secret: Secret,
    /// To be told of what.
    pub event: EventType,
    /// Of which webinar only.
    pub webinar: Option<WebinarFilter>,
    /// When.
    pub now: Timestamp,
}

/// What subscribing came to.
#[derive(Clone, Debug)]
pub enum Subscribed {
    /// A new subscription at a new endpoint: its secret is to be shown now, and never again.
    WithNewEndpoint(SubscriptionRecord, Box<Endpoint>),
    /// A new subscription at a URL that was known.
    AtKnownEndpoint(SubscriptionRecord, Box<Endpoint>),
    /// The same subscription was there.
    Already(SubscriptionRecord, Box<Endpoint>),
}

/// A subscription as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionRecord {
    /// Who is told of what.
    pub subscription: Subscription,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Endpoints and subscriptions.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// Subscribes a URL to an event. The same URL, event and filter twice is the same subscription.
    async fn subscribe(&self, account: AccountId, new: NewSubscription) -> StoreResult<Subscribed>;

    /// A page of subscriptions, oldest first.
    async fn subscriptions(
        &self,
        account: AccountId,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> StoreResult<Page<SubscriptionRecord, SubscriptionId>>;

    /// One subscription.
    async fn subscription(&self, account: AccountId, id: SubscriptionId) -> StoreResult<Option<SubscriptionRecord>>;

    /// Ends a subscription; what it has already been promised is still delivered. `false` where there is none.
    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId) -> StoreResult<bool>;

    /// A page of endpoints, oldest first.
    async fn endpoints(
        &self,
        account: AccountId,
        after: Option<EndpointId>,
        limit: usize,
    ) -> StoreResult<Page<Endpoint, EndpointId>>;

    /// One endpoint.
    async fn endpoint(&self, account: AccountId, id: EndpointId) -> StoreResult<Option<Endpoint>>;

    /// Changes an endpoint. `None` where there is none.
    async fn change_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        change: EndpointChange,
        now: Timestamp,
    ) -> StoreResult<Option<Endpoint>>;
}
