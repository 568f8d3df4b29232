//! The signing secrets of endpoints: exchanged with an overlap, and removed when they have expired. They are stored
//! sealed (`vault`); what is valid when is `provider::secret`'s.

use async_trait::async_trait;
use jiff::Timestamp;
use wire::{AccountId, EndpointId, Secret};

use crate::{Endpoint, StoreResult};

/// A new secret for an endpoint.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// What signs from now on.
    pub secret: Secret,
    /// Until when those before it sign beside it; one that was to end sooner still does.
    pub old_until: Timestamp,
    /// When.
    pub now: Timestamp,
}

/// What a rotation came to.
#[derive(Clone, Debug)]
pub enum Rotated {
    /// The new secret signs: it is to be shown now, and never again.
    Done(Box<Endpoint>),
    /// With this one there would be more than `provider::secret::SECRETS_VALID_MAX` valid at once; nothing was changed.
    TooManyValid,
}

/// Signing secrets.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// Gives an endpoint a new secret. `None` where there is no such endpoint.
    async fn rotate_secret(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        rotation: Rotation,
    ) -> StoreResult<Option<Rotated>>;

    /// Removes secrets, of whomever, that are not valid any more; how many.
    async fn remove_expired_secrets(&self, now: Timestamp) -> StoreResult<u64>;
}
