//! The signing secrets of endpoints, in SQL: one row each, sealed.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::secret::{EndpointSecret, SECRETS_VALID_MAX};
use store::{Rotated, Rotation, SecretPlace, Secrets, StoreError, StoreResult, Vault};
use wire::{AccountId, EndpointId, Secret};

use crate::PostgresStore;
use crate::columns::{Columns, Id, LEASE_NOW, List, change, find, list, lock_account, millis, number, run, values};
use crate::session::Session;
use crate::subscriptions::endpoint;
use crate::{due, sealing};

/// One that is being changed now is left to the next turn. Over by the database's clock too, if a test does not tell the time.
fn remove_expired_sql() -> String {
    format!(
        "delete from endpoint_secret where (account, endpoint, number) in (
             select account, endpoint, number from endpoint_secret where valid_until <= least({LEASE_NOW}, $2)
             for update skip locked)"
    )
}

#[async_trait]
impl Secrets for PostgresStore {
    async fn rotate_secret(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        rotation: Rotation,
    ) -> StoreResult<Option<Rotated>> {
        let session = self.begin().await?;
        lock_account(&session, account).await?;
        let rotated = rotate(&session, &self.vault, (account, endpoint), &rotation).await?;
        session.commit().await?;
        Ok(rotated)
    }

    async fn remove_expired_secrets(&self, now: Timestamp) -> StoreResult<u64> {
        let session = self.begin().await?;
        let removed = change(&session, &remove_expired_sql(), values![self.lease_now(now), millis(now)]).await?;
        session.commit().await?;
        Ok(removed)
    }
}

/// All secrets of these endpoints, each endpoint's newest first.
pub(crate) async fn of_endpoints(
    session: &Session,
    vault: &Vault,
    account: AccountId,
    endpoints: &[EndpointId],
) -> StoreResult<Vec<(EndpointId, EndpointSecret)>> {
    let sql = "select endpoint, number, sealed, created_at, valid_until from endpoint_secret
               where account = $1 and endpoint = any($2) order by endpoint, number desc";
    let ids = List(endpoints.iter().map(Id::bytes).collect::<Vec<_>>());
    list(session, sql, values![number(account), ids], |row| {
        let endpoint = row.id(0)?;
        let text = sealing::open(row, 2, vault, SecretPlace::Endpoint(account, endpoint))?;
        let secret = EndpointSecret {
            number: row.small(1)?,
            secret: text.parse::<Secret>().map_err(StoreError::broken)?,
            created_at: row.moment(3)?,
            valid_until: row.moment_if_any(4)?,
        };
        Ok((endpoint, secret))
    })
    .await
}

/// Adds the newest secret of an endpoint, where no other is the newest.
pub(crate) async fn add(
    session: &Session,
    vault: &Vault,
    (account, endpoint): (AccountId, EndpointId),
    secret: &Secret,
    now: Timestamp,
) -> StoreResult<()> {
    let sealed = sealing::seal(session, vault, SecretPlace::Endpoint(account, endpoint), &secret.reveal()).await?;
    run(
        session,
        "insert into endpoint_secret (account, endpoint, number, sealed, created_at)
         select $1, $2, 1 + coalesce(max(number), 0), $3, $4 from endpoint_secret where account = $1 and endpoint = $2",
        values![number(account), endpoint.bytes(), sealed, millis(now)],
    )
    .await
}

async fn rotate(
    session: &Session,
    vault: &Vault,
    (account, id): (AccountId, EndpointId),
    rotation: &Rotation,
) -> StoreResult<Option<Rotated>> {
    let (owner, old_until, now) = (number(account), millis(rotation.old_until), millis(rotation.now));
    let sql = "select count(*), count(*) filter (where least($3, valid_until) > $4) from endpoint_secret
               where account = $1 and endpoint = $2";
    let values = values![owner, id.bytes(), old_until, now];
    let counted = find(session, sql, values, |row| Ok((row.count(0)?, row.count(1)?))).await?;
    match counted {
        None | Some((0, _)) => return Ok(None),
        Some((_, valid)) if valid >= SECRETS_VALID_MAX as u64 => return Ok(Some(Rotated::TooManyValid)),
        Some(_) => {}
    }
    due::signal_all(session, account, &[id]).await?;
    let sql = "update endpoint_secret set valid_until = least($3, valid_until) where account = $1 and endpoint = $2";
    run(session, sql, values![owner, id.bytes(), old_until]).await?;
    add(session, vault, (account, id), &rotation.secret, rotation.now).await?;
    // After the new one, so that numbers go on rising where none of the old ones is left.
    let sql = "delete from endpoint_secret where account = $1 and endpoint = $2 and valid_until <= $3";
    run(session, sql, values![owner, id.bytes(), now]).await?;
    Ok(endpoint(session, vault, account, id).await?.map(|endpoint| Rotated::Done(Box::new(endpoint))))
}
