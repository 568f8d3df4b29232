//! Which database and which account a command is about, and opening the one to find the other.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::Args;
use store::{Account, Accounts, Act, Actor, AuditNote, Clock, Vault};
use store_sqlite::{ServerLock, SqliteStore};
use wire::AccountId;

use crate::clock::SystemClock;
use crate::config::ConfigFile;
use crate::output::{self, tame};
use crate::secret_keys::{self, SecretKeyArgs};
use crate::zones;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// In a file of this machine.
    Sqlite(PathBuf),
}

/// Why a text names no database we can open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("PostgreSQL is not in this version yet; use sqlite:PATH")]
    Postgres,
    #[error("a database in memory loses what it has acknowledged; give a file, such as sqlite:./fanfare.db")]
    InMemory,
    #[error("the path is missing; write it such as sqlite:./fanfare.db")]
    NoPath,
    #[error("{0}: is no kind of database we know; write it such as sqlite:./fanfare.db")]
    UnknownKind(String),
}

impl Default for Database {
    fn default() -> Database {
        Database::Sqlite(PathBuf::from("./fanfare.db"))
    }
}

impl FromStr for Database {
    type Err = DatabaseError;

    /// Reads `sqlite:PATH`, `sqlite://PATH` or a plain path.
    fn from_str(text: &str) -> Result<Database, DatabaseError> {
        let path = match text.split_once(':') {
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            Some(("postgres" | "postgresql", _)) => return Err(DatabaseError::Postgres),
            Some((kind, rest)) if rest.starts_with("//") => return Err(DatabaseError::UnknownKind(kind.to_owned())),
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

/// The options that say which database.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// The database: sqlite:PATH [default: sqlite:./fanfare.db]
    #[arg(long, env = "FANFARE_DATABASE", value_name = "sqlite:PATH")]
    pub(crate) database: Option<Database>,
    /// A settings file (TOML) whose keys are named as the options of `serve`; options and environment win over it.
    #[arg(long, env = "FANFARE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) secret_key: SecretKeyArgs,
}

impl DatabaseArgs {
    /// Opens the database there is to change it; asking about one that is not there must not make one.
    pub(crate) fn open_existing(&self) -> anyhow::Result<SqliteStore> {
        self.open(&self.find()?)
    }

    /// Opens the database there is to look into it, and leaves its schema as it is.
    pub(crate) fn open_to_read(&self) -> anyhow::Result<SqliteStore> {
        let path = self.find()?;
        let (_, key_file) = self.choose()?;
        let vault = self.secret_key.source(key_file)?.vault_to_read(&path)?;
        Ok(SqliteStore::open_to_read(&path, zones::newest(), vault)?)
    }

    /// The file of the database there is.
    pub(crate) fn find(&self) -> anyhow::Result<PathBuf> {
        let (path, _) = self.choose()?;
        if !path.try_exists().with_context(|| format!("cannot look for {}", path.display()))? {
            bail!("there is no database {}; name it with --database, or make it with fanfare serve", path.display());
        }
        Ok(path)
    }

    /// Opens the database there is for this process alone; refused where a server runs.
    pub(crate) fn open_alone(&self) -> anyhow::Result<(SqliteStore, ServerLock)> {
        let path = self.find()?;
        Ok(SqliteStore::open_as_server(&path, zones::newest(), self.vault()?)?)
    }

    /// Opens the database, making it where there is none.
    pub(crate) fn open_or_create(&self) -> anyhow::Result<SqliteStore> {
        let (path, _) = self.choose()?;
        self.open(&path)
    }

    /// Whether a server is running on it.
    pub(crate) fn is_served(&self) -> anyhow::Result<bool> {
        let (path, _) = self.choose()?;
        Ok(ServerLock::is_held(&path)?)
    }

    /// The file of the database, and the one with its secret keys where the settings file names one.
    pub(crate) fn choose(&self) -> anyhow::Result<(PathBuf, Option<PathBuf>)> {
        let file = ConfigFile::read(self.config.as_deref())?;
        let Database::Sqlite(path) = self.database.clone().or(file.database).unwrap_or_default();
        Ok((path, file.secret_key_file))
    }

    /// What seals the secrets of the database.
    pub(crate) fn vault(&self) -> anyhow::Result<Vault> {
        let (path, key_file) = self.choose()?;
        let (vault, made) = self.secret_key.source(key_file)?.vault(&path)?;
        if let Some(made) = made {
            output::say(&format!("{}: {}", made.display(), secret_keys::NEW_FILE));
        }
        Ok(vault)
    }

    fn open(&self, path: &Path) -> anyhow::Result<SqliteStore> {
        Ok(SqliteStore::open(path, zones::newest(), self.vault()?)?)
    }
}

/// The account with this id; without one, the only account there is.
pub(crate) async fn the_account(store: &SqliteStore, wanted: Option<AccountId>) -> anyhow::Result<Account> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_file_in_any_of_three_spellings() {
        for text in ["sqlite:a/b.db", "sqlite://a/b.db", "a/b.db"] {
            assert_eq!(text.parse(), Ok(Database::Sqlite("a/b.db".into())), "{text}");
        }
        assert_eq!("sqlite:///a.db".parse(), Ok(Database::Sqlite("/a.db".into())));
        assert_eq!("C:fanfare.db".parse(), Ok(Database::Sqlite("C:fanfare.db".into())));
        assert_eq!(Database::default().to_string(), "sqlite:./fanfare.db");
    }

    #[test]
    fn what_we_cannot_open_is_refused_by_its_reason() {
        for (text, error) in [
            ("postgres://localhost/fanfare", DatabaseError::Postgres),
            ("postgresql://localhost/fanfare", DatabaseError::Postgres),
            ("sqlite::memory:", DatabaseError::InMemory),
            ("sqlite:", DatabaseError::NoPath),
            ("", DatabaseError::NoPath),
            ("mysql://localhost", DatabaseError::UnknownKind("mysql".to_owned())),
        ] {
            assert_eq!(text.parse::<Database>(), Err(error), "{text}");
        }
    }
}
