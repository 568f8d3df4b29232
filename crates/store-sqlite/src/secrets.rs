//! The signing secrets of endpoints, in SQL: one row each, sealed.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::secret::{EndpointSecret, SECRETS_VALID_MAX};
use rusqlite::Connection;
use rusqlite::types::Type;
use store::{Rotated, Rotation, SecretPlace, Secrets, StoreResult, Vault};
use wire::{AccountId, EndpointId, Secret};

use crate::SqliteStore;
use crate::columns::{Millis, change, find, list, millis, number, run};
use crate::subscriptions::endpoint;
use crate::{due, sealing};

pub(crate) const OF_ENDPOINT: &str = "select number, sealed, created_at, valid_until from endpoint_secret
    where account = ?1 and endpoint = ?2 order by number desc";
pub(crate) const REMOVE_EXPIRED: &str = "delete from endpoint_secret where valid_until <= ?1";

#[async_trait]
impl Secrets for SqliteStore {
    async fn rotate_secret(
        &self,
        account: AccountId,
        endpoint: EndpointId,
        rotation: Rotation,
    ) -> StoreResult<Option<Rotated>> {
        let vault = self.vault.clone();
        self.writer.write(move |connection| rotate(connection, &vault, (account, endpoint), &rotation)).await
    }

    async fn remove_expired_secrets(&self, now: Timestamp) -> StoreResult<u64> {
        self.writer.write(move |connection| Ok(change(connection, REMOVE_EXPIRED, [millis(now)])? as u64)).await
    }
}

/// All of an endpoint's secrets, newest first.
pub(crate) fn of_endpoint(
    connection: &Connection,
    vault: &Vault,
    account: AccountId,
    endpoint: EndpointId,
) -> StoreResult<Vec<EndpointSecret>> {
    let place = SecretPlace::Endpoint(account, endpoint);
    list(connection, OF_ENDPOINT, (number(account), endpoint.as_bytes()), |row| {
        let text = sealing::open(row, 1, vault, place)?;
        let parsed: Result<Secret, _> = text.parse();
        Ok(EndpointSecret {
            number: row.get(0)?,
            secret: parsed
                .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error)))?,
            created_at: row.get::<_, Millis>(2)?.0,
            valid_until: row.get::<_, Option<Millis>>(3)?.map(|at| at.0),
        })
    })
}

/// Adds the newest secret of an endpoint, where no other is the newest.
pub(crate) fn add(
    connection: &Connection,
    vault: &Vault,
    (account, endpoint): (AccountId, EndpointId),
    secret: &Secret,
    now: Timestamp,
) -> StoreResult<()> {
    let sealed = sealing::seal(connection, vault, SecretPlace::Endpoint(account, endpoint), &secret.reveal())?;
    run(
        connection,
        "insert into endpoint_secret (account, endpoint, number, sealed, created_at)
         select ?1, ?2, 1 + coalesce(max(number), 0), ?3, ?4 from endpoint_secret where account = ?1 and endpoint = ?2",
        (number(account), endpoint.as_bytes(), sealed, millis(now)),
    )
}

fn rotate(
    connection: &Connection,
    vault: &Vault,
    (account, id): (AccountId, EndpointId),
    rotation: &Rotation,
) -> StoreResult<Option<Rotated>> {
    let key = (number(account), id.as_bytes(), millis(rotation.old_until), millis(rotation.now));
    let sql = "select count(*), coalesce(sum(min(?3, coalesce(valid_until, ?3)) > ?4), 0) from endpoint_secret
               where account = ?1 and endpoint = ?2";
    let counted = find(connection, sql, key, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    match counted {
        None | Some((0, _)) => return Ok(None),
        Some((_, valid)) if valid >= SECRETS_VALID_MAX as i64 => return Ok(Some(Rotated::TooManyValid)),
        Some(_) => {}
    }
    let sql = "update endpoint_secret set valid_until = min(?3, coalesce(valid_until, ?3))
               where account = ?1 and endpoint = ?2";
    run(connection, sql, (key.0, key.1, key.2))?;
    add(connection, vault, (account, id), &rotation.secret, rotation.now)?;
    due::signal(connection, account, id)?;
    // After the new one, so that numbers go on rising where none of the old ones is left.
    let sql = "delete from endpoint_secret where account = ?1 and endpoint = ?2 and valid_until <= ?3";
    run(connection, sql, (key.0, key.1, key.3))?;
    Ok(endpoint(connection, vault, account, id)?.map(|endpoint| Rotated::Done(Box::new(endpoint))))
}
