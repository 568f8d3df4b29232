//! Accounts and their API keys, in SQL.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::api_key::{Lifetime, Scopes, StoredKey};
use store::{Account, Accounts, KeyRecord, NewKey, Replacement, StoreError, StoreResult};
use tokio_postgres::Row;
use wire::AccountId;

use crate::PostgresStore;
use crate::columns::{Columns, change, find, list, lock_account, millis, number, run, values};
use crate::session::Session;

const KEY: &str =
    "select account, public_id, hash, scopes, created_at, expires_at, revoked_at, last_used_at from api_key";

#[async_trait]
impl Accounts for PostgresStore {
    async fn create_account(&self, account: Account, key: StoredKey) -> StoreResult<()> {
        let session = self.begin().await?;
        let added = change(
            &session,
            "insert into account (account, name, timezone, created_at) values ($1, $2, $3, $4) on conflict do nothing",
            values![number(account.id), account.name, account.timezone, millis(account.created_at)],
        )
        .await?;
        if added == 0 {
            return Err(StoreError::Exists("an account with this id"));
        }
        let lifetime = Lifetime::new(account.created_at, None);
        insert_key(&session, account.id, &NewKey { key, scopes: Scopes::EVERYTHING, lifetime }).await?;
        session.commit().await
    }

    async fn accounts(&self) -> StoreResult<Vec<Account>> {
        let sql = "select account, name, timezone, created_at from account order by created_at, account";
        list(&self.session().await?, sql, values![], read_account).await
    }

    async fn add_key(&self, account: AccountId, key: NewKey) -> StoreResult<()> {
        let session = self.begin().await?;
        insert_key(&session, account, &key).await?;
        session.commit().await
    }

    async fn keys(&self, account: AccountId) -> StoreResult<Vec<KeyRecord>> {
        let sql = format!("{KEY} where account = $1 order by created_at, public_id");
        list(&self.session().await?, &sql, values![number(account)], read_key).await
    }

    async fn replace_key(&self, account: AccountId, public_id: &str, by: Replacement) -> StoreResult<bool> {
        let session = self.begin().await?;
        let sql = "update api_key set expires_at = least(coalesce(expires_at, $3), $3) where account = $1
                   and public_id = $2 and revoked_at is null and (expires_at is null or expires_at > $4)";
        let (until, now) = (millis(by.old_until), millis(by.new.lifetime.created_at));
        if change(&session, sql, values![number(account), public_id, until, now]).await? == 0 {
            return Ok(false);
        }
        insert_key(&session, account, &by.new).await?;
        session.commit().await?;
        Ok(true)
    }

    async fn note_key_use(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<()> {
        let session = self.begin().await?;
        let sql = "update api_key set last_used_at = greatest(coalesce(last_used_at, $3), $3)
                   where account = $1 and public_id = $2";
        run(&session, sql, values![number(account), public_id, millis(now)]).await?;
        session.commit().await
    }

    async fn revoke_key(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<bool> {
        let session = self.begin().await?;
        let sql = "update api_key set revoked_at = $3 where account = $1 and public_id = $2 and revoked_at is null";
        let revoked = change(&session, sql, values![number(account), public_id, millis(now)]).await?;
        session.commit().await?;
        Ok(revoked > 0)
    }

    async fn find_key(&self, public_id: &str) -> StoreResult<Option<KeyRecord>> {
        let sql = format!("{KEY} where public_id = $1");
        find(&self.session().await?, &sql, values![public_id], read_key).await
    }
}

async fn insert_key(session: &Session, account: AccountId, new: &NewKey) -> StoreResult<()> {
    lock_account(session, account).await?;
    run(
        session,
        "insert into api_key (public_id, account, hash, scopes, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
        values![
            new.key.public_id,
            number(account),
            new.key.hash.as_slice(),
            new.scopes.to_string(),
            millis(new.lifetime.created_at),
            new.lifetime.expires_at.map(millis),
        ],
    )
    .await
}

fn read_account(row: &Row) -> StoreResult<Account> {
    Ok(Account { id: row.account(0)?, name: row.value(1)?, timezone: row.value(2)?, created_at: row.moment(3)? })
}

fn read_key(row: &Row) -> StoreResult<KeyRecord> {
    let hash: &[u8] = row.value(2)?;
    let hash = hash.try_into().map_err(StoreError::broken)?;
    let scopes: &str = row.value(3)?;
    Ok(KeyRecord {
        account: row.account(0)?,
        key: StoredKey { public_id: row.value(1)?, hash },
        scopes: scopes.parse().map_err(StoreError::broken)?,
        lifetime: Lifetime {
            created_at: row.moment(4)?,
            expires_at: row.moment_if_any(5)?,
            revoked_at: row.moment_if_any(6)?,
        },
        last_used_at: row.moment_if_any(7)?,
    })
}
