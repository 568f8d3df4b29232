//! Accounts and their API keys.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::api_key::{Lifetime, Scopes, StoredKey};
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
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it begins and ends.
    pub lifetime: Lifetime,
    /// When it was used last, to the hour or so; `None` for a key that never was.
    pub last_used_at: Option<Timestamp>,
}

/// A key to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The public id and the hash.
    pub key: StoredKey,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it begins and ends.
    pub lifetime: Lifetime,
}

/// A key that takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The new key; its lifetime begins now.
    pub new: NewKey,
    /// Until when the old one is good beside it, unless it ends earlier by itself.
    pub old_until: Timestamp,
}

/// Accounts and their keys.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// Adds an account with its first key, which may do everything and has no end.
    async fn create_account(&self, account: Account, key: StoredKey) -> StoreResult<()>;

    /// All accounts, oldest first.
    async fn accounts(&self) -> StoreResult<Vec<Account>>;

    /// Adds a key to an account.
    async fn add_key(&self, account: AccountId, key: NewKey) -> StoreResult<()>;

    /// An account's keys, those that open nothing any more too, oldest first.
    async fn keys(&self, account: AccountId) -> StoreResult<Vec<KeyRecord>>;

    /// Puts another key in the place of one. `false`, and no new key, where the account has no such key that is good
    /// when the new one begins.
    async fn replace_key(&self, account: AccountId, public_id: &str, by: Replacement) -> StoreResult<bool>;

    /// Remembers when a key was used last; for the caller to do now and then only.
    async fn note_key_use(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<()>;

    /// Ends a key. `false` where the account has no such key, or it was ended before.
    async fn revoke_key(&self, account: AccountId, public_id: &str, now: Timestamp) -> StoreResult<bool>;

    /// The key with this public id, whosever it is. The caller compares the hash.
    async fn find_key(&self, public_id: &str) -> StoreResult<Option<KeyRecord>>;
}
