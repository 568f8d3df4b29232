//! Accounts and their API keys.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::api_key::StoredKey;
use wire::AccountId;

use crate::StoreResult;

/// A creator or platform; everything else belongs to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// For people.
    pub name: String,
    /// The IANA zone its people think in.
    pub timezone: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One API key of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Whose.
    pub account: AccountId,
    /// The public id and the hash.
    pub key: StoredKey,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it opens nothing; `None` while it is good.
    pub revoked_at: Option<Timestamp>,
}

/// Accounts and their keys.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Adds an account with its first key.
    async fn create_account(&self, account: Account, key: StoredKey) -> StoreResult<()>;

    /// All accounts, oldest first.
    async fn accounts(&self) -> StoreResult<Vec<Account>>;

    /// Adds a key to an account.
    async fn add_key(&self, account: AccountId, key: StoredKey, now: Timestamp) -> StoreResult<()>;

    /// An account's keys, revoked ones too, oldest first.
    async fn keys(&self, account: AccountId) -> StoreResult<Vec<KeyRecord>>;

    /// Ends a key. `false` where the account has no such key that is still good.
    async fn revoke_key(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<bool>;

    /// The key with this public id, whosever it is. The caller compares the hash.
    async fn find_key(&self, public_id: &str) -> StoreResult<Option<KeyRecord>>;
}
