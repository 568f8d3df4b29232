//! Where the keys come from that seal the secrets in the database: the environment, a file, or a file of our own making
//! beside a database that is a file, so that nothing has to be set up.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use inbox::key_file::{self, KEY_VARIABLE, beside};
use store::{SealingKey, Vault};
use zeroize::Zeroizing;

use crate::clock::SystemChance;
use crate::config::UsageError;
use crate::database::Database;

#[cfg(test)]
mod tests;

/// The option that says where the secret keys are.
#[derive(Debug, Args)]
pub(crate) struct SecretKeyArgs {
    /// A file with the keys that seal secrets in the database, one a line, the one in use first; or put the keys into
    /// FANFARE_SECRET_KEY, separated by commas [default: made beside the file of the database, with the ending .key; on
    /// PostgreSQL there is none, and every node needs the same keys]
    #[arg(long, env = "FANFARE_SECRET_KEY_FILE", value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
}

/// Where the keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// In `FANFARE_SECRET_KEY`.
    Environment,
    /// In this file, which must be there.
    File(PathBuf),
    /// In the database's own file of keys, which is made where the database is a file without a sealed secret.
    BesideDatabase,
}

impl SecretKeyArgs {
    /// Environment and option over the settings file over the default. Two at once could mean either.
    pub(crate) fn source(&self, from_settings: Option<PathBuf>) -> Result<KeySource, UsageError> {
        let is_in_environment = std::env::var_os(KEY_VARIABLE).is_some_and(|keys| !keys.is_empty());
        match (is_in_environment, self.secret_key_file.clone()) {
            (true, Some(file)) => Err(UsageError(format!(
                "both {KEY_VARIABLE} and the key file {} are given; leave one of them out",
                file.display()
            ))),
            (true, None) => Ok(KeySource::Environment),
            (false, file) => Ok(file.or(from_settings).map_or(KeySource::BesideDatabase, KeySource::File)),
        }
    }
}

impl KeySource {
    /// The vault for this database, and the key file where it was made just now. On PostgreSQL none is made: every node
    /// needs the same key, so a person brings it.
    pub(crate) fn vault(&self, database: &Database) -> anyhow::Result<(Vault, Option<PathBuf>)> {
        let made = match (self, database) {
            (KeySource::BesideDatabase, Database::Postgres(_)) => return Err(UsageError(NO_KEY.to_owned()).into()),
            (KeySource::BesideDatabase, Database::Sqlite(path)) if !beside(path).exists() => {
                key_file::make(&beside(path), path, &new_key())?.then(|| beside(path))
            }
            _ => None,
        };
        Ok((self.vault_to_read(database)?, made))
    }

    /// The vault to look into this database: makes no file, and is not refused for the lack of one, since most that is
    /// looked at is no secret.
    pub(crate) fn vault_to_read(&self, database: &Database) -> anyhow::Result<Vault> {
        let keys = match (self, database) {
            (KeySource::Environment, _) => {
                let text = std::env::var(KEY_VARIABLE).with_context(|| format!("{KEY_VARIABLE} is no text"))?;
                key_file::parse(&Zeroizing::new(text)).context(KEY_VARIABLE)?
            }
            (KeySource::File(path), _) => key_file::read(path)?,
            (KeySource::BesideDatabase, Database::Sqlite(path)) if beside(path).exists() => {
                key_file::read(&beside(path))?
            }
            (KeySource::BesideDatabase, _) => return passing_vault(),
        };
        Ok(Vault::new(keys, Arc::new(SystemChance))?)
    }
}

/// What is said where a key is missing that cannot be made.
const NO_KEY: &str = "the key that seals signing secrets is missing: on PostgreSQL there is no file that it could stand \
    beside, and every node and command needs the same one; make it once with fanfare secrets new-key, and give it to all \
    of them in FANFARE_SECRET_KEY or by --secret-key-file";

/// A vault with a key that nobody keeps, for a database that does not outlive this process.
pub(crate) fn passing_vault() -> anyhow::Result<Vault> {
    Ok(Vault::new([new_key()], Arc::new(SystemChance))?)
}

/// A key that nobody else has.
pub(crate) fn new_key() -> SealingKey {
    key_file::new_key(&SystemChance)
}

/// What is said of a key file that was made just now.
pub(crate) const NEW_FILE: &str =
    "made the key that seals signing secrets; keep a copy of it, apart from copies of the database";
