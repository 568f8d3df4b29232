//! Accounts and their API keys, in SQL.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::api_key::{Lifetime, Scopes, StoredKey};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Row};
use store::{Account, Accounts, KeyRecord, NewKey, Replacement, StoreError, StoreResult};
use wire::AccountId;

use crate::SqliteStore;
use crate::columns::{AccountColumn, Millis, change, find, list, millis, number, run};

const KEY: &str =
    "select account, public_id, hash, scopes, created_at, expires_at, revoked_at, last_used_at from api_key";

#[async_trait]
impl Accounts for SqliteStore {
    async fn create_account(&self, account: Account, key: StoredKey) -> StoreResult<()> {
        self.writer
            .write(move |connection| {
                let added = change(
                    connection,
                    "insert into account (account, name, timezone, created_at) values (?1, ?2, ?3, ?4)
                     on conflict do nothing",
                    (number(account.id), &account.name, &account.timezone, millis(account.created_at)),
                )?;
                if added == 0 {
                    return Err(StoreError::Exists("an account with this id"));
                }
                let lifetime = Lifetime::new(account.created_at, None);
                insert_key(connection, account.id, &NewKey { key, scopes: Scopes::EVERYTHING, lifetime })
            })
            .await
    }

    async fn accounts(&self) -> StoreResult<Vec<Account>> {
        let sql = "select account, name, timezone, created_at from account order by created_at, account";
        self.readers.read(move |connection| list(connection, sql, [], read_account)).await
    }

    async fn add_key(&self, account: AccountId, key: NewKey) -> StoreResult<()> {
        self.writer.write(move |connection| insert_key(connection, account, &key)).await
    }

    async fn keys(&self, account: AccountId) -> StoreResult<Vec<KeyRecord>> {
        let sql = format!("{KEY} where account = ?1 order by created_at, public_id");
        self.readers.read(move |connection| list(connection, &sql, [number(account)], read_key)).await
    }

    async fn replace_key(&self, account: AccountId, public_id: &str, by: Replacement) -> StoreResult<bool> {
        let public_id = public_id.to_owned();
        let sql = "update api_key set expires_at = min(coalesce(expires_at, ?3), ?3) where account = ?1
                   and public_id = ?2 and revoked_at is null and (expires_at is null or expires_at > ?4)";
        self.writer
            .write(move |connection| {
                let (until, now) = (millis(by.old_until), millis(by.new.lifetime.created_at));
                if change(connection, sql, (number(account), public_id, until, now))? == 0 {
                    return Ok(false);
                }
                insert_key(connection, account, &by.new).map(|()| true)
            })
            .await
    }

    async fn note_key_use(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<()> {
        let public_id = public_id.to_owned();
        let sql = "update api_key set last_used_at = max(coalesce(last_used_at, ?3), ?3)
                   where account = ?1 and public_id = ?2";
        self.writer.write(move |connection| run(connection, sql, (number(account), public_id, millis(now)))).await
    }

    async fn revoke_key(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<bool> {
        let public_id = public_id.to_owned();
        let sql = "update api_key set revoked_at = ?3 where account = ?1 and public_id = ?2 and revoked_at is null";
        self.writer
            .write(move |connection| Ok(change(connection, sql, (number(account), public_id, millis(now)))? > 0))
            .await
    }

    async fn find_key(&self, public_id: &str) -> StoreResult<Option<KeyRecord>> {
        let public_id = public_id.to_owned();
        let sql = format!("{KEY} where public_id = ?1");
        self.readers.read(move |connection| find(connection, &sql, [public_id], read_key)).await
    }
}

fn insert_key(connection: &Connection, account: AccountId, new: &NewKey) -> StoreResult<()> {
    if find(connection, "select 1 from account where account = ?1", [number(account)], |_| Ok(()))?.is_none() {
        return Err(StoreError::Missing("the account"));
    }
    run(
        connection,
        "insert into api_key (public_id, account, hash, scopes, created_at, expires_at) values (?1, ?2, ?3, ?4, ?5, ?6)",
        (
            &new.key.public_id,
            number(account),
            new.key.hash,
            new.scopes.to_string(),
            millis(new.lifetime.created_at),
            new.lifetime.expires_at.map(millis),
        ),
    )
}

fn read_account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get::<_, AccountColumn>(0)?.0,
        name: row.get(1)?,
        timezone: row.get(2)?,
        created_at: row.get::<_, Millis>(3)?.0,
    })
}

fn read_key(row: &Row<'_>) -> rusqlite::Result<KeyRecord> {
    Ok(KeyRecord {
        account: row.get::<_, AccountColumn>(0)?.0,
        key: StoredKey { public_id: row.get(1)?, hash: row.get(2)? },
        scopes: read_scopes(row, 3)?,
        lifetime: Lifetime {
            created_at: row.get::<_, Millis>(4)?.0,
            expires_at: row.get::<_, Option<Millis>>(5)?.map(|at| at.0),
            revoked_at: row.get::<_, Option<Millis>>(6)?.map(|at| at.0),
        },
        last_used_at: row.get::<_, Option<Millis>>(7)?.map(|at| at.0),
    })
}

fn read_scopes(row: &Row<'_>, at: usize) -> rusqlite::Result<Scopes> {
    let text = row.get_ref(at)?.as_str()?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(FromSqlError::other(error)))
    })
}
