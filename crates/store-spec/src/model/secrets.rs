//! Signing secrets, in memory and in the clear.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::secret::{EndpointSecret, SECRETS_VALID_MAX};
use store::{Rotated, Rotation, Secrets, StoreResult};
use wire::{AccountId, EndpointId};

use super::Model;

#[async_trait]
impl Secrets for Model {
    async fn rotate_secret(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        rotation: Rotation,
    ) -> StoreResult<Option<Rotated>> {
        let mut tables = self.tables();
        let Some(row) = tables.endpoints.get_mut(&(account, endpoint)) else { return Ok(None) };
        let mut secrets = row.endpoint.secrets.clone();
        for secret in &mut secrets {
            secret.valid_until = Some(secret.valid_until.map_or(rotation.old_until, |at| at.min(rotation.old_until)));
        }
        secrets.retain(|secret| secret.is_valid_at(rotation.now));
        if secrets.len() >= SECRETS_VALID_MAX {
            return Ok(Some(Rotated::TooManyValid));
        }
        let newest = EndpointSecret {
            number: row.endpoint.secrets.first().map_or(0, |secret| secret.number) + 1,
            secret: rotation.secret,
            created_at: rotation.now,
            valid_until: None,
        };
        secrets.insert(0, newest);
        row.endpoint.secrets = secrets;
        row.signal += 1;
        Ok(Some(Rotated::Done(Box::new(row.endpoint.clone()))))
    }

    async fn remove_expired_secrets(&self, now: Timestamp) -> StoreResult<u64> {
        let mut removed = 0;
        for row in self.tables().endpoints.values_mut() {
            let before = row.endpoint.secrets.len();
            row.endpoint.secrets.retain(|secret| secret.is_valid_at(now));
            removed += before - row.endpoint.secrets.len();
        }
        Ok(removed as u64)
    }
}
