//! Where the keys come from that seal the secrets in the database: the environment, a file, or a file of our own making
//! beside the database, so that nothing has to be set up.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use store::{Chance, SealingKey, Vault};
use store_sqlite::sealing_keys;
use zeroize::Zeroizing;

use crate::clock::SystemChance;
use crate::config::UsageError;

#[cfg(test)]
mod tests;

/// The keys themselves; not an option, since other users of the machine can see what is typed.
const KEY_VARIABLE: &str = "FANFARE_SECRET_KEY";
/// A few keys of 50 characters each and remarks; a file given by mistake is not read whole.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// The option that says where the secret keys are.
#[derive(Debug, Args)]
pub(crate) struct SecretKeyArgs {
    /// A file with the keys that seal secrets in the database, one a line, the one in use first; or put the keys into
    /// FANFARE_SECRET_KEY, separated by commas [default: made beside the database, with the ending .key]
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
    /// In the database's own file of keys, which is made where the database has no sealed secret yet.
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
    /// The vault for this database, and the key file where it was made just now.
    pub(crate) fn vault(&self, database: &Path) -> anyhow::Result<(Vault, Option<PathBuf>)> {
        let path = beside(database);
        let made = *self == KeySource::BesideDatabase && !path.exists() && make(&path, database)?;
        Ok((self.vault_to_read(database)?, made.then_some(path)))
    }

    /// The vault to look into this database: makes no file, and is not refused for the lack of one, since most that is
    /// looked at is no secret.
    pub(crate) fn vault_to_read(&self, database: &Path) -> anyhow::Result<Vault> {
        let keys = match self {
            KeySource::Environment => {
                let text = std::env::var(KEY_VARIABLE).with_context(|| format!("{KEY_VARIABLE} is no text"))?;
                parse(&Zeroizing::new(text)).context(KEY_VARIABLE)?
            }
            KeySource::File(path) => read(path)?,
            KeySource::BesideDatabase if beside(database).exists() => read(&beside(database))?,
            KeySource::BesideDatabase => return passing_vault(),
        };
        Ok(Vault::new(keys, Arc::new(SystemChance))?)
    }
}

/// A vault with a key that nobody keeps, for a database that does not outlive this process.
pub(crate) fn passing_vault() -> anyhow::Result<Vault> {
    Ok(Vault::new([new_key()], Arc::new(SystemChance))?)
}

/// A key that nobody else has.
pub(crate) fn new_key() -> SealingKey {
    SealingKey::from_bytes((&SystemChance as &dyn Chance).bytes())
}

/// What is said of a key file that was made just now.
pub(crate) const NEW_FILE: &str =
    "made the key that seals signing secrets; keep a copy of it, apart from copies of the database";

/// A link and what it points to are one database, so its keys stand beside the file itself.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.canonicalize().unwrap_or_else(|_| database.to_owned()).into_os_string();
    name.push(".key");
    name.into()
}

fn read(path: &Path) -> anyhow::Result<Vec<SealingKey>> {
    let told = || format!("cannot read the key file {}", path.display());
    let mut text = Zeroizing::new(String::new());
    File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text)).with_context(told)?;
    parse(&text).with_context(|| format!("key file {}", path.display()))
}

/// Keys separated by commas or line ends; what follows `#` is a remark.
fn parse(text: &str) -> anyhow::Result<Vec<SealingKey>> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let texts = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|text| !text.is_empty());
    let keys = texts.enumerate().map(|(before, text)| text.parse().with_context(|| format!("key {}", before + 1)));
    let keys: Vec<SealingKey> = keys.collect::<anyhow::Result<_>>()?;
    if keys.is_empty() {
        bail!("holds no key; make one with: fanfare secrets new-key");
    }
    Ok(keys)
}

/// Makes a file with a new key, whole and on disk before it has its name; `false` where another process was faster.
fn make(path: &Path, database: &Path) -> anyhow::Result<bool> {
    let sealed_with = sealing_keys(database);
    if !sealed_with.is_empty() {
        bail!(
            "secrets in {} are sealed with key {}, and its file {} is not there; bring it back, or give the key in \
             {KEY_VARIABLE} or by --secret-key-file",
            database.display(),
            sealed_with.join(", "),
            path.display()
        );
    }
    let told = || format!("cannot write {}, the file of the key that seals secrets", path.display());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let key = new_key();
    let text = Zeroizing::new(format!(
        "# Seals the signing secrets in {}. Whoever has both can read them; without this file they are lost.\n{}\n",
        database.display(),
        *key.reveal()
    ));
    // For its owner alone from the first moment on, as such files are made.
    let mut file = tempfile::NamedTempFile::new_in(directory).with_context(told)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).with_context(told)?;
    match file.persist_noclobber(path) {
        Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => return Ok(false),
        persisted => persisted.map(drop).with_context(told)?,
    }
    File::open(directory).and_then(|directory| directory.sync_all()).with_context(told)?;
    Ok(true)
}
