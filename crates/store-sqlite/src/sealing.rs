//! Sealed columns: which keys they may be sealed with, and resealing all of them. A process beside the server seals with
//! no key that the server might lack: only a server's start, or the first secret of a file, introduces one.

use std::path::Path;

use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use store::{KeyId, SecretPlace, StoreError, StoreResult, Vault};
use zeroize::Zeroizing;

use crate::SqliteStore;
use crate::columns::{AccountColumn, Id, change, find, list, number, run};
use crate::open::{self, OpenError};

/// Secrets resealed in one write: a few milliseconds, in which others wait.
const RESEALED_AT_ONCE: i64 = 256;
const KEY_IDS: &str = "select key_id from sealing_key order by key_id";
const INTRODUCE: &str = "insert into sealing_key (key_id) values (?1) on conflict do nothing";

/// The ids of the keys that secrets in the file may be sealed with; none where there is no such file, or none to be read:
/// what is wrong with it is told when it is opened.
pub fn sealing_keys(path: &Path) -> Vec<String> {
    if !path.exists() {
        return Vec::new();
    }
    open::readable(path).and_then(|connection| key_ids(&connection)).unwrap_or_default()
}

/// Refuses a vault that could not open everything.
pub(crate) fn check_keys(connection: &Connection, vault: &Vault, path: &Path) -> Result<(), OpenError> {
    let given: Vec<String> = vault.key_ids().map(|id| id.to_string()).collect();
    let mut missing = key_ids(connection).map_err(|source| open::told(path, source))?;
    missing.retain(|id| !given.contains(id));
    if missing.is_empty() {
        return Ok(());
    }
    let (missing, given) = (missing.join(", "), given.join(", "));
    Err(OpenError::UnknownSealingKey { path: path.to_owned(), missing, given })
}

/// From now on secrets may be sealed with this key.
pub(crate) fn introduce(connection: &Connection, key: KeyId) -> rusqlite::Result<()> {
    connection.execute(INTRODUCE, [key.to_string()]).map(drop)
}

/// Seals a secret with the key in use.
pub(crate) fn seal(connection: &Connection, vault: &Vault, place: SecretPlace, secret: &str) -> StoreResult<String> {
    require_introduced(connection, vault.key_in_use())?;
    Ok(vault.seal(place, secret))
}

/// Opens the sealed column `at`.
pub(crate) fn open(row: &Row<'_>, at: usize, vault: &Vault, place: SecretPlace) -> rusqlite::Result<Zeroizing<String>> {
    let opened = vault.open(place, row.get_ref(at)?.as_str()?);
    opened.map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, error.into()))
}

impl SqliteStore {
    /// Seals everything with the vault's first key that was sealed with another; how many secrets. Afterwards no other
    /// key is needed. Refused beside a server that was not started with that key.
    pub async fn reseal(&self) -> StoreResult<u64> {
        let mut resealed = 0;
        loop {
            let vault = self.vault.clone();
            match self.writer.write(move |connection| reseal_some(connection, &vault)).await? {
                0 => return Ok(resealed),
                some => resealed += some,
            }
        }
    }
}

fn key_ids(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection.prepare(KEY_IDS)?.query_map([], |row| row.get(0))?.collect()
}

fn require_introduced(connection: &Connection, key: KeyId) -> StoreResult<()> {
    let sql = "select count(*), coalesce(max(key_id = ?1), false) from sealing_key";
    let found = find(connection, sql, [key.to_string()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    match found {
        Some((_, true)) => Ok(()),
        Some((0, _)) | None => run(connection, INTRODUCE, [key.to_string()]),
        Some((_, false)) => Err(StoreError::broken(format!(
            "key {key} is not in use in this database yet, and a running server may not know it; give the server this \
             key as its first one and restart it, or put the key that it uses first here"
        ))),
    }
}

/// The next few; with none left, the keys not needed any more are forgotten.
fn reseal_some(connection: &Connection, vault: &Vault) -> StoreResult<u64> {
    let key = vault.key_in_use();
    require_introduced(connection, key)?;
    // The id stands between full stops, which occur nowhere else in sealed text.
    let values = (format!(".{key}."), RESEALED_AT_ONCE);
    let sql = "select account, endpoint, number, sealed from endpoint_secret where instr(sealed, ?1) = 0 limit ?2";
    let secrets = list(connection, sql, values.clone(), |row| {
        let (account, endpoint) = (row.get::<_, AccountColumn>(0)?.0, row.get::<_, Id<wire::EndpointId>>(1)?.0);
        let place = SecretPlace::Endpoint(account, endpoint);
        Ok((account, endpoint, row.get::<_, u32>(2)?, vault.seal(place, &open(row, 3, vault, place)?)))
    })?;
    let sql = "update endpoint_secret set sealed = ?4 where account = ?1 and endpoint = ?2 and number = ?3";
    for (account, endpoint, nth, sealed) in &secrets {
        run(connection, sql, (number(*account), endpoint.as_bytes(), nth, sealed))?;
    }
    let sql = "select account, source, sealed_keys from source where instr(sealed_keys, ?1) = 0 limit ?2";
    let sources = list(connection, sql, values.clone(), |row| {
        let (account, source) = (row.get::<_, AccountColumn>(0)?.0, row.get::<_, Id<wire::SourceId>>(1)?.0);
        let place = SecretPlace::Source(account, source);
        Ok((account, source, vault.seal(place, &open(row, 2, vault, place)?)))
    })?;
    let sql = "update source set sealed_keys = ?3 where account = ?1 and source = ?2";
    for (account, source, sealed) in &sources {
        run(connection, sql, (number(*account), source.as_bytes(), sealed))?;
    }
    let resealed = secrets.len() + sources.len();
    if resealed == 0 {
        change(connection, "delete from sealing_key where key_id <> ?1", [key.to_string()])?;
    }
    Ok(resealed as u64)
}
