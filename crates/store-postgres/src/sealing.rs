//! Sealed columns: which keys they may be sealed with, and resealing all of them. A process beside the servers seals with
//! no key that they might lack: only a server's start, or the first secret of a database, introduces one.

use store::{KeyId, SecretPlace, StoreError, StoreResult, Vault};
use tokio_postgres::Row;
use wire::{EndpointId, SourceId};
use zeroize::Zeroizing;

use crate::PostgresStore;
use crate::columns::{Columns, Id, List, change, find, list, number, run, values};
use crate::open::{Address, OpenError};
use crate::session::{Pool, Session};

/// Secrets resealed in one transaction: a few milliseconds, in which others wait for their rows.
const RESEALED_AT_ONCE: i64 = 256;
const KEY_IDS: &str = "select key_id from sealing_key order by key_id";
const INTRODUCE: &str = "insert into sealing_key (key_id) values ($1) on conflict do nothing";
/// Of two that would introduce a key at once, the second sees what the first has done.
const LOCK: &str = "lock table sealing_key in share row exclusive mode";
/// Whether a key is in use; it stays so until the transaction ends.
const HOLD: &str = "select 1 from sealing_key where key_id = $1 for key share";

/// The ids of the keys that secrets in the database may be sealed with; none where it cannot be read: what is wrong with it
/// is told when it is opened.
pub async fn sealing_keys(address: &Address) -> Vec<String> {
    let Ok(pool) = Pool::new(address, Default::default()) else { return Vec::new() };
    let Ok(session) = pool.session().await else { return Vec::new() };
    key_ids(&session).await.unwrap_or_default()
}

/// Refuses a vault that could not open everything.
pub(crate) async fn check_keys(pool: &Pool, vault: &Vault, address: &Address) -> Result<(), OpenError> {
    let told = |source| OpenError::told(address, source);
    let session = pool.session().await.map_err(told)?;
    require_all(&session, vault, address).await
}

/// From now on secrets may be sealed with the vault's first key. Refuses a vault that could not open everything.
pub(crate) async fn introduce(pool: &Pool, vault: &Vault, address: &Address) -> Result<(), OpenError> {
    let told = |source| OpenError::told(address, source);
    let mut session = pool.session().await.map_err(told)?;
    session.begin(None);
    run(&session, LOCK, values![]).await.map_err(told)?;
    require_all(&session, vault, address).await?;
    let key = vault.key_in_use();
    let keys_before = list(&session, KEY_IDS, values![], |row| row.value::<String>(0)).await.map_err(told)?;
    let is_new = change(&session, INTRODUCE, values![key.to_string()]).await.map_err(told)? > 0;
    session.commit().await.map_err(told)?;
    if is_new && !keys_before.is_empty() {
        tracing::warn!(
            %key,
            "secrets are sealed with a new key from now on; every other node needs it too, or it cannot open them"
        );
    }
    Ok(())
}

/// Seals a secret with the key in use.
pub(crate) async fn seal(session: &Session, vault: &Vault, place: SecretPlace, secret: &str) -> StoreResult<String> {
    require_introduced(session, vault.key_in_use()).await?;
    Ok(vault.seal(place, secret))
}

/// Opens the sealed column `at`.
pub(crate) fn open(row: &Row, at: usize, vault: &Vault, place: SecretPlace) -> StoreResult<Zeroizing<String>> {
    vault.open(place, row.value(at)?).map_err(StoreError::broken)
}

impl PostgresStore {
    /// Seals everything with the vault's first key that was sealed with another; how many secrets. Afterwards no other
    /// key is needed. Refused beside servers that were not started with that key.
    pub async fn reseal(&self) -> StoreResult<u64> {
        let mut resealed = 0;
        loop {
            let session = self.begin().await?;
            require_introduced(&session, self.vault.key_in_use()).await?;
            let some = reseal_endpoints(&session, &self.vault).await? + reseal_sources(&session, &self.vault).await?;
            if some > 0 {
                session.commit().await?;
                resealed += some;
                continue;
            }
            if forget_others(&session, self.vault.key_in_use()).await? {
                session.commit().await?;
                return Ok(resealed);
            }
        }
    }
}

async fn key_ids(session: &Session) -> StoreResult<Vec<String>> {
    list(session, KEY_IDS, values![], |row| row.value(0)).await
}

async fn require_all(session: &Session, vault: &Vault, address: &Address) -> Result<(), OpenError> {
    let given: Vec<String> = vault.key_ids().map(|id| id.to_string()).collect();
    let mut missing = key_ids(session).await.map_err(|source| OpenError::told(address, source))?;
    missing.retain(|id| !given.contains(id));
    if missing.is_empty() {
        return Ok(());
    }
    let (missing, given) = (missing.join(", "), given.join(", "));
    Err(OpenError::UnknownSealingKey { database: address.to_string(), missing, given })
}

async fn require_introduced(session: &Session, key: KeyId) -> StoreResult<()> {
    let id = key.to_string();
    if find(session, HOLD, values![id], |_| Ok(())).await?.is_some() {
        return Ok(());
    }
    run(session, LOCK, values![]).await?;
    match key_ids(session).await? {
        ids if ids.is_empty() => run(session, INTRODUCE, values![id]).await,
        ids if ids.contains(&id) => Ok(()),
        _ => Err(StoreError::broken(format!(
            "key {key} is not in use in this database yet, and a running server may not know it; give the servers this \
             key as their first one and restart them, or put the key that they use first here"
        ))),
    }
}

async fn reseal_endpoints(session: &Session, vault: &Vault) -> StoreResult<u64> {
    let sql = "select account, endpoint, number, sealed from endpoint_secret where strpos(sealed, $1) = 0
               order by account, endpoint, number limit $2 for no key update";
    let found = list(session, sql, values![mark(vault.key_in_use()), RESEALED_AT_ONCE], |row| {
        let (account, endpoint) = (row.account(0)?, row.id::<EndpointId>(1)?);
        let place = SecretPlace::Endpoint(account, endpoint);
        Ok((account, endpoint, row.value::<i64>(2)?, vault.seal(place, &open(row, 3, vault, place)?)))
    })
    .await?;
    let accounts = List(found.iter().map(|(account, ..)| number(*account)).collect::<Vec<_>>());
    let endpoints = List(found.iter().map(|(_, endpoint, ..)| endpoint.bytes()).collect::<Vec<_>>());
    let numbers = List(found.iter().map(|(_, _, number, _)| *number).collect::<Vec<_>>());
    let sealed = List(found.iter().map(|(.., sealed)| sealed.as_str()).collect::<Vec<_>>());
    let sql = "update endpoint_secret as s set sealed = anew.sealed
               from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::text[]) as anew (account, endpoint, number, sealed)
               where s.account = anew.account and s.endpoint = anew.endpoint and s.number = anew.number";
    change(session, sql, values![accounts, endpoints, numbers, sealed]).await
}

async fn reseal_sources(session: &Session, vault: &Vault) -> StoreResult<u64> {
    let sql = "select account, source, sealed_keys from source where strpos(sealed_keys, $1) = 0
               order by account, source limit $2 for no key update";
    let found = list(session, sql, values![mark(vault.key_in_use()), RESEALED_AT_ONCE], |row| {
        let (account, source) = (row.account(0)?, row.id::<SourceId>(1)?);
        let place = SecretPlace::Source(account, source);
        Ok((account, source, vault.seal(place, &open(row, 2, vault, place)?)))
    })
    .await?;
    let accounts = List(found.iter().map(|(account, ..)| number(*account)).collect::<Vec<_>>());
    let sources = List(found.iter().map(|(_, source, _)| source.bytes()).collect::<Vec<_>>());
    let sealed = List(found.iter().map(|(.., sealed)| sealed.as_str()).collect::<Vec<_>>());
    let sql = "update source as s set sealed_keys = anew.sealed
               from unnest($1::bigint[], $2::bytea[], $3::text[]) as anew (account, source, sealed)
               where s.account = anew.account and s.source = anew.source";
    change(session, sql, values![accounts, sources, sealed]).await
}

/// Forgets all other keys, where nothing is sealed with one of them. Whoever is sealing with one is waited for first, and
/// what they have sealed is seen by the look that follows.
async fn forget_others(session: &Session, key: KeyId) -> StoreResult<bool> {
    run(session, "delete from sealing_key where key_id <> $1", values![key.to_string()]).await?;
    let sql = "select exists (select 1 from endpoint_secret where strpos(sealed, $1) = 0)
               or exists (select 1 from source where strpos(sealed_keys, $1) = 0)";
    let is_any_left = find(session, sql, values![mark(key)], |row| row.value::<bool>(0)).await?;
    Ok(is_any_left == Some(false))
}

/// How sealed text names its key. The id stands between full stops, which occur nowhere else in it.
fn mark(key: KeyId) -> String {
    format!(".{key}.")
}
