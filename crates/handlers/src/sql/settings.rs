//! What the `sql` handler is told: which database, and what to do there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tokio_postgres::config::{Config, SslMode};

use super::scan::Dialect;
use super::work::SqlWork;

/// The settings of one handler, checked.
#[derive(Debug, Clone)]
pub struct SqlSettings {
    /// The user's own database.
    pub target: SqlTarget,
    /// What to do there.
    pub work: SqlWork,
    /// Whether tables that are missing are made; with an SQLite target also the file.
    pub create_tables: bool,
    /// The inbox's own file, which no handler may write to.
    pub forbidden_file: Option<PathBuf>,
}

/// The user's own database.
#[derive(Debug, Clone)]
pub enum SqlTarget {
    /// A PostgreSQL server.
    Postgres(Box<PostgresTarget>),
    /// An SQLite file.
    Sqlite(PathBuf),
}

/// How to reach a PostgreSQL server.
#[derive(Clone)]
pub struct PostgresTarget {
    pub(super) config: Config,
    /// Certificate authorities to trust instead of the system's, as PEM.
    pub(super) certificate: Option<String>,
}

/// Why a database cannot be meant; never repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SqlTargetError(String);

const FORMS: &str = "write postgres://USER:PASSWORD@HOST/DATABASE or sqlite:PATH";

impl SqlTarget {
    /// Reads `postgres://…` or `sqlite:PATH`. `certificate` is the certificate authorities to trust instead of the
    /// system's, as PEM.
    pub fn parse(text: &str, certificate: Option<&str>) -> Result<SqlTarget, SqlTargetError> {
        if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
            return sqlite(path);
        }
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(SqlTargetError(format!("is no database we know; {FORMS}")));
        }
        let mut config = Config::from_str(&plain_url(text)?).map_err(|error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            SqlTargetError(format!("cannot be read: {why}; {FORMS}"))
        })?;
        if config.get_hosts().is_empty() {
            return Err(SqlTargetError(format!("names no host; {FORMS}")));
        }
        if config.get_application_name().is_none() {
            config.application_name("fanfare");
        }
        if certificate.is_some() && config.get_ssl_mode() == SslMode::Prefer {
            config.ssl_mode(SslMode::Require);
        }
        Ok(SqlTarget::Postgres(Box::new(PostgresTarget { config, certificate: certificate.map(str::to_owned) })))
    }

    /// Which language its statements are written in.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self {
            SqlTarget::Postgres(_) => Dialect::Postgres,
            SqlTarget::Sqlite(_) => Dialect::Sqlite,
        }
    }
}

fn sqlite(path: &str) -> Result<SqlTarget, SqlTargetError> {
    match path {
        "" => Err(SqlTargetError("names no file; write it such as sqlite:./crm.db".to_owned())),
        ":memory:" => Err(SqlTargetError("would lose everything with the process; give a file".to_owned())),
        _ => Ok(SqlTarget::Sqlite(path.into())),
    }
}

/// The URL as our library reads it. What it calls `require` verifies fully here, so the stricter names mean the same.
fn plain_url(text: &str) -> Result<String, SqlTargetError> {
    let Some((address, query)) = text.split_once('?') else { return Ok(text.to_owned()) };
    let mut kept = Vec::new();
    for setting in query.split('&') {
        match setting {
            "sslmode=verify-full" | "sslmode=verify-ca" => kept.push("sslmode=require"),
            "sslmode=allow" => kept.push("sslmode=prefer"),
            "sslrootcert=system" => {}
            _ if setting.starts_with("sslrootcert=") => {
                return Err(SqlTargetError(
                    "names a file of certificates (sslrootcert); write it as certificate = \"file:PATH\" beside it"
                        .to_owned(),
                ));
            }
            _ => kept.push(setting),
        }
    }
    Ok(if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) })
}

impl fmt::Debug for PostgresTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresTarget({:?})", self.config.get_hosts())
    }
}
