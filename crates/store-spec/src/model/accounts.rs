//! Accounts and their keys, in memory.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::api_key::StoredKey;
use store::{Account, Accounts, KeyRecord, StoreError, StoreResult};
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
        let record = new_key(&tables, account.id, key, account.created_at)?;
        tables.keys.push(record);
        tables.accounts.insert(account.id, account);
        Ok(())
    }

    async fn accounts(&self) -> StoreResult<Vec<Account>> {
        let mut accounts: Vec<Account> = self.tables().accounts.values().cloned().collect();
        accounts.sort_by_key(|account| account.created_at);
        Ok(accounts)
    }

    async fn add_key(&self, account: AccountId, key: StoredKey, now: Timestamp) -> StoreResult<()> {
        let mut tables = self.tables();
        tables.require_account(account)?;
        let record = new_key(&tables, account, key, now)?;
        tables.keys.push(record);
        Ok(())
    }

    async fn keys(&self, account: AccountId) -> StoreResult<Vec<KeyRecord>> {
        let tables = self.tables();
        let mut keys: Vec<KeyRecord> = tables.keys.iter().filter(|record| record.account == account).cloned().collect();
        keys.sort_by_key(|record| (record.created_at, record.key.public_id.clone()));
        Ok(keys)
    }

    async fn revoke_key(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<bool> {
        let mut tables = self.tables();
        let good = tables.keys.iter_mut().find(|record| {
            record.account == account && record.key.public_id == public_id && record.revoked_at.is_none()
        });
        Ok(good.map(|record| record.revoked_at = Some(now)).is_some())
    }

    async fn find_key(&self, public_id: &str) -> StoreResult<Option<KeyRecord>> {
        Ok(self.tables().keys.iter().find(|record| record.key.public_id == public_id).cloned())
    }
}

fn new_key(tables: &Tables, account: AccountId, key: StoredKey, now: Timestamp) -> StoreResult<KeyRecord> {
    if tables.keys.iter().any(|record| record.key.public_id == key.public_id) {
        return Err(StoreError::Exists("a key with this public id"));
    }
    Ok(KeyRecord { account, key, created_at: now, revoked_at: None })
}
