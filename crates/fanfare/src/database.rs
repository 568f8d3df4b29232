//! Which database and which account a command is about, and opening the one to find the other.

mod address;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use store::{Account, Act, Actor, AuditNote, Clock, Store, Vault};
use store_postgres::{Address, PostgresStore};
use store_sqlite::{ServerLock, SqliteStore};
use wire::AccountId;

use crate::clock::SystemClock;
use crate::config::{ConfigFile, UsageError};
use crate::output::{self, tame};
use crate::secret_keys::{self, SecretKeyArgs};
use crate::zones;
use address::PostgresMistake;

pub(crate) use address::told_with_mend;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// In a file of this machine.
    Sqlite(PathBuf),
    /// On a PostgreSQL server.
    Postgres(Box<Address>),
}

/// Why a text names no database we can open. Never repeats the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error(transparent)]
    Postgres(#[from] PostgresMistake),
    #[error("a database in memory loses what it has acknowledged; give a file, such as sqlite:./fanfare.db")]
    InMemory,
    #[error("the path is missing; write it such as sqlite:./fanfare.db")]
    NoPath,
    #[error("{0}: is no kind of database we know; {FORMS}")]
    UnknownKind(String),
    #[error("this is neither a file nor a URL; {FORMS}")]
    KeysAndValues,
}

const FORMS: &str = "write it such as sqlite:./fanfare.db or postgres://USER@HOST:5432/DATABASE";

impl Default for Database {
    fn default() -> Database {
        Database::Sqlite(PathBuf::from("./fanfare.db"))
    }
}

impl FromStr for Database {
    type Err = DatabaseError;

    /// Reads `postgres://…`, `postgresql://…`, `sqlite:PATH`, `sqlite://PATH` or a plain path.
    fn from_str(text: &str) -> Result<Database, DatabaseError> {
        let path = match text.split_once(':') {
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            Some(("postgres" | "postgresql", _)) => return Ok(Database::Postgres(Box::new(address::read(text)?))),
            Some((kind, rest)) if rest.starts_with("//") => return Err(DatabaseError::UnknownKind(kind.to_owned())),
            // As libpq has it too; as the name of a file it would stand in errors, password and all.
            _ if ["host=", "dbname=", "password="].iter().any(|key| text.contains(key)) => {
                return Err(DatabaseError::KeysAndValues);
            }
            _ => text,
        };
        match path {
            "" => Err(DatabaseError::NoPath),
            ":memory:" => Err(DatabaseError::InMemory),
            path => Ok(Database::Sqlite(PathBuf::from(path))),
        }
    }
}

impl fmt::Display for Database {
    /// Without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Database::Postgres(address) => address.fmt(f),
        }
    }
}

/// Reads a database without repeating what was typed: it may hold a password.
#[derive(Clone)]
pub(crate) struct DatabaseParser;

impl TypedValueParser for DatabaseParser {
    type Value = Database;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Database, clap::Error> {
        let option = argument.and_then(clap::Arg::get_long).unwrap_or("database");
        let variable = argument.and_then(clap::Arg::get_env).unwrap_or(OsStr::new("FANFARE_DATABASE"));
        let told = |why: String| {
            let text = format!("--{option} or {}: {why}\n", variable.display());
            clap::Error::raw(ErrorKind::ValueValidation, text).with_cmd(command)
        };
        let text = value.to_str().ok_or_else(|| told("this is not written in UTF-8".to_owned()))?;
        text.parse().map_err(|error: DatabaseError| told(error.to_string()))
    }
}

/// The options that say which database.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// The database: sqlite:PATH, or postgres://USER@HOST:5432/NAME. One with a password belongs into FANFARE_DATABASE,
    /// since everybody on the machine sees arguments [default: sqlite:./fanfare.db]
    #[arg(long, env = "FANFARE_DATABASE", hide_env_values = true, value_name = "DATABASE", value_parser = DatabaseParser)]
    pub(crate) database: Option<Database>,
    /// A settings file (TOML) whose keys are named as the options of `serve`; options and environment win over it.
    #[arg(long, env = "FANFARE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) secret_key: SecretKeyArgs,
}

/// Whether a server is running on a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    Yes,
    No,
    /// Nothing tells: on PostgreSQL any number may, anywhere.
    Perhaps,
}

impl DatabaseArgs {
    /// Opens the database there is to change it; asking about one that is not there must not make one.
    pub(crate) async fn open_existing(&self) -> anyhow::Result<Arc<dyn Store>> {
        match self.choose()?.0 {
            Database::Sqlite(path) => self.require(&path).and_then(|()| self.open_file(&path)),
            Database::Postgres(address) => {
                let opened = PostgresStore::open_existing(&address, zones::newest(), self.vault()?).await;
                Ok(Arc::new(opened.map_err(told_with_mend)?))
            }
        }
    }

    /// Opens the database there is to look into it, and leaves its schema as it is.
    pub(crate) async fn open_to_read(&self) -> anyhow::Result<Arc<dyn Store>> {
        let (database, key_file) = self.choose()?;
        let vault = self.secret_key.source(key_file)?.vault_to_read(&database)?;
        Ok(match database {
            Database::Sqlite(path) => {
                self.require(&path)?;
                Arc::new(SqliteStore::open_to_read(&path, zones::newest(), vault)?)
            }
            Database::Postgres(address) => {
                Arc::new(PostgresStore::open_to_read(&address, zones::newest(), vault).await.map_err(told_with_mend)?)
            }
        })
    }

    /// Opens the database, making it where there is none.
    pub(crate) async fn open_or_create(&self) -> anyhow::Result<Arc<dyn Store>> {
        match self.choose()?.0 {
            Database::Sqlite(path) => self.open_file(&path),
            Database::Postgres(address) => {
                let opened = PostgresStore::open(&address, zones::newest(), self.vault()?).await;
                Ok(Arc::new(opened.map_err(told_with_mend)?))
            }
        }
    }

    /// The file of the database there is, for what is done to a file alone; `instead` says what is done on PostgreSQL.
    pub(crate) fn file(&self, instead: &str) -> anyhow::Result<PathBuf> {
        match self.choose()?.0 {
            Database::Sqlite(path) => self.require(&path).map(|()| path),
            Database::Postgres(address) => Err(UsageError(format!("{address} is no file; {instead}")).into()),
        }
    }

    /// Whether a server is running on it.
    pub(crate) fn served(&self) -> anyhow::Result<Served> {
        Ok(match self.choose()?.0 {
            Database::Sqlite(path) if ServerLock::is_held(&path)? => Served::Yes,
            Database::Sqlite(_) => Served::No,
            Database::Postgres(_) => Served::Perhaps,
        })
    }

    /// The database, and the file with its secret keys where the settings file names one.
    pub(crate) fn choose(&self) -> anyhow::Result<(Database, Option<PathBuf>)> {
        let file = ConfigFile::read(self.config.as_deref())?;
        Ok((self.database.clone().or(file.database).unwrap_or_default(), file.secret_key_file))
    }

    /// What seals the secrets of the database.
    pub(crate) fn vault(&self) -> anyhow::Result<Vault> {
        let (database, key_file) = self.choose()?;
        let (vault, made) = self.secret_key.source(key_file)?.vault(&database)?;
        if let Some(made) = made {
            output::say(&format!("{}: {}", made.display(), secret_keys::NEW_FILE));
        }
        Ok(vault)
    }

    fn require(&self, path: &std::path::Path) -> anyhow::Result<()> {
        if !path.try_exists().with_context(|| format!("cannot look for {}", path.display()))? {
            bail!("there is no database {}; name it with --database, or make it with fanfare serve", path.display());
        }
        Ok(())
    }

    fn open_file(&self, path: &std::path::Path) -> anyhow::Result<Arc<dyn Store>> {
        Ok(Arc::new(SqliteStore::open(path, zones::newest(), self.vault()?)?))
    }
}

impl Served {
    /// What becomes of work that was just put in line; `look` is the command that shows how far it is.
    pub(crate) fn says(self, look: &str) -> String {
        match self {
            Served::Yes => format!("The running server works it off; see how far it is with: {look}"),
            Served::No => "No server is running on this database; it begins with: fanfare serve".to_owned(),
            Served::Perhaps => {
                format!("The servers on this database work it off, once one runs; see how far it is with: {look}")
            }
        }
    }
}

/// The account with this id; without one, the only account there is.
pub(crate) async fn the_account(store: &dyn Store, wanted: Option<AccountId>) -> anyhow::Result<Account> {
    let mut accounts = store.accounts().await?;
    if let Some(id) = wanted {
        let found = accounts.into_iter().find(|account| account.id == id);
        return found.with_context(|| format!("there is no account {id}; see fanfare account list"));
    }
    match (accounts.pop(), accounts.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => bail!("there is no account yet; make one with fanfare account create --name NAME --timezone ZONE"),
        (Some(last), false) => {
            let known: Vec<String> = accounts.iter().chain([&last]).take(SUGGESTIONS_MAX).map(described).collect();
            bail!("there are several accounts; say which with --account: {}", known.join(", "))
        }
    }
}

/// A note in the audit log of what a command does.
pub(crate) fn by_hand(account: AccountId, act: Act, object: impl fmt::Display) -> AuditNote {
    let (at, object) = (SystemClock.now(), object.to_string());
    AuditNote { account, at, actor: Actor::CommandLine, from: None, act, object }
}

/// More than these do not help anyone choose.
const SUGGESTIONS_MAX: usize = 10;

fn described(account: &Account) -> String {
    format!("{} ({})", account.id, tame(&account.name))
}
