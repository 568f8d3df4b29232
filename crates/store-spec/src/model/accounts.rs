//! Accounts and their keys, in memory.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::api_key::{KeyState, Lifetime, Scopes, StoredKey};
use store::{Account, Accounts, KeyRecord, NewKey, Replacement, StoreError, StoreResult};
use wire::AccountId;

use super::Model;
use super::tables::Tables;

#[async_trait]
impl Accounts for Model {
    async fn create_account(&self, account: Account, key: StoredKey) -> StoreResult<()> {
        let mut tables = self.tables();
        if tables.accounts.contains_key(&account.id) {
            return Err(StoreError::Exists("an account with this id"));
        }
        let lifetime = Lifetime::new(account.created_at, None);
        let record = new_key(&tables, account.id, NewKey { key, scopes: Scopes::EVERYTHING, lifetime })?;
        tables.keys.push(record);
        tables.accounts.insert(account.id, account);
        Ok(())
    }

    async fn accounts(&self) -> StoreResult<Vec<Account>> {
        let mut accounts: Vec<Account> = self.tables().accounts.values().cloned().collect();
        accounts.sort_by_key(|account| account.created_at);
        Ok(accounts)
    }

    async fn add_key(&self, account: AccountId, key: NewKey) -> StoreResult<()> {
        let mut tables = self.tables();
        tables.require_account(account)?;
        let record = new_key(&tables, account, key)?;
        tables.keys.push(record);
        Ok(())
    }

    async fn keys(&self, account: AccountId) -> StoreResult<Vec<KeyRecord>> {
        let tables = self.tables();
        let mut keys: Vec<KeyRecord> = tables.keys.iter().filter(|record| record.account == account).cloned().collect();
        keys.sort_by_key(|record| (record.lifetime.created_at, record.key.public_id.clone()));
        Ok(keys)
    }

    async fn replace_key(&self, account: AccountId, public_id: &str, by: Replacement) -> StoreResult<bool> {
        let mut tables = self.tables();
        let now = by.new.lifetime.created_at;
        let is_old = |record: &KeyRecord| {
            record.account == account
                && record.key.public_id == public_id
                && record.lifetime.state(now) == KeyState::Good
        };
        let Some(old) = tables.keys.iter().position(is_old) else { return Ok(false) };
        let record = new_key(&tables, account, by.new)?;
        let end = tables.keys[old].lifetime.expires_at.unwrap_or(by.old_until);
        tables.keys[old].lifetime.expires_at = Some(end.min(by.old_until));
        tables.keys.push(record);
        Ok(true)
    }

    async fn note_key_use(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<()> {
        let mut tables = self.tables();
        let key = tables.keys.iter_mut().find(|record| record.account == account && record.key.public_id == public_id);
        if let Some(record) = key {
            record.last_used_at = record.last_used_at.max(Some(now));
        }
        Ok(())
    }

    async fn revoke_key(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<bool> {
        let mut tables = self.tables();
        let good = tables.keys.iter_mut().find(|record| {
            record.account == account && record.key.public_id == public_id && record.lifetime.revoked_at.is_none()
        });
        Ok(good.map(|record| record.lifetime.revoked_at = Some(now)).is_some())
    }

    async fn find_key(&self, public_id: &str) -> StoreResult<Option<KeyRecord>> {
        Ok(self.tables().keys.iter().find(|record| record.key.public_id == public_id).cloned())
    }
}

fn new_key(tables: &Tables, account: AccountId, new: NewKey) -> StoreResult<KeyRecord> {
    let NewKey { key, scopes, lifetime } = new;
    if tables.keys.iter().any(|record| record.key.public_id == key.public_id) {
        return Err(StoreError::Exists("a key with this public id"));
    }
    Ok(KeyRecord { account, key, scopes, lifetime, last_used_at: None })
}
