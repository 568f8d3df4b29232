//! Where the database is and how it is reached: the address, TLS, and the settings on which the promises rest; and the
//! reasons to refuse.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use store::StoreError;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::PATIENCE;

/// Connections of one process, where its address does not say: more than a small server's cores only wait for each other.
const CONNECTIONS: usize = 16;
/// What the server shows our connections as, where the address does not say.
pub(crate) const APPLICATION: &str = "fanfare";
/// As many as anybody should give one process.
const CONNECTIONS_MAX: usize = 1_000;
/// A transaction whose process hangs gives up its locks after this time: others wait for them, such as every node that accepts
/// messages of the same account, and no longer than `LOCK_PATIENCE`. Between two statements nothing takes long.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);
/// A row that is held for so long is held by something that has gone wrong.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// What is sent and not acknowledged for so long was sent to nobody: a partition, a machine that is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Where a database is: `postgres://user:password@host:port/name`, and what this program adds to it.
#[derive(Clone)]
pub struct Address {
    config: Config,
    connections_max: usize,
    preparing: Preparing,
    tls: Option<Arc<ClientConfig>>,
}

/// Whether statements are prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preparing {
    /// Once on each connection.
    Once,
    /// Never: a pooler may hand each transaction to another connection.
    Never,
}

/// Why a text is no address. It never repeats the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not in the form of one.
    #[error("{0}; write it such as postgres://USER:PASSWORD@HOST:5432/DATABASE")]
    Malformed(String),
    /// No database named.
    #[error("the address names no database; write it such as postgres://USER:PASSWORD@HOST:5432/DATABASE")]
    NoDatabase,
    /// `connections` is out of range.
    #[error("connections={0} is no number from 2 to {CONNECTIONS_MAX}")]
    Connections(String),
    /// `pooler` is neither of the two.
    #[error("pooler={0} is unknown; give pooler=transaction behind PgBouncer in transaction mode, or leave it out")]
    Pooler(String),
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads a URL as libpq does, with two parameters of our own: `connections` (how many this process opens at most, 16)
    /// and `pooler=transaction` (behind PgBouncer in transaction mode).
    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (theirs, ours) = split(text);
        let config: Config = theirs.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            AddressError::Malformed(cause.unwrap_or_else(|| "this is no address of a PostgreSQL database".to_owned()))
        })?;
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(AddressError::NoDatabase);
        }
        let mut address = Address { config, connections_max: CONNECTIONS, preparing: Preparing::Once, tls: None };
        for (name, value) in ours {
            match (name, value) {
                ("pooler", "transaction") => address.preparing = Preparing::Never,
                ("pooler", other) => return Err(AddressError::Pooler(other.to_owned())),
                (_, count) => {
                    let wanted = count.parse().ok().filter(|count| (2..=CONNECTIONS_MAX).contains(count));
                    address.connections_max = wanted.ok_or_else(|| AddressError::Connections(count.to_owned()))?;
                }
            }
        }
        address.settle();
        Ok(address)
    }
}

impl fmt::Display for Address {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(nth, host)| {
                let ports = self.config.get_ports();
                let port = ports.get(nth).or(ports.first()).copied().unwrap_or(5432);
                match host {
                    Host::Tcp(name) => format!("{name}:{port}"),
                    Host::Unix(path) => format!("{}:{port}", path.display()),
                }
            })
            .collect();
        let user = self.config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
        write!(f, "postgres://{user}{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Address) -> bool {
        self.config == other.config
            && self.connections_max == other.connections_max
            && self.preparing == other.preparing
    }
}

impl Eq for Address {}

impl Address {
    /// The same address, whose server's certificate is checked by `tls` wherever its `sslmode` has the connection encrypted.
    #[must_use]
    pub fn with_tls(self, tls: Arc<ClientConfig>) -> Address {
        Address { tls: Some(tls), ..self }
    }

    pub(crate) fn config(&self) -> Config {
        self.config.clone()
    }

    /// The same address, under another name by which the server shows its connections.
    #[must_use]
    pub(crate) fn named(&self, name: &str) -> Address {
        let mut address = self.clone();
        address.config.application_name(name);
        address
    }

    pub(crate) fn connections_max(&self) -> usize {
        self.connections_max
    }

    pub(crate) fn preparing(&self) -> Preparing {
        self.preparing
    }

    /// Without settings of TLS every certificate is refused.
    pub(crate) fn tls(&self) -> MakeRustlsConnect {
        let nobody =
            || ClientConfig::builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        MakeRustlsConnect::new(self.tls.as_deref().cloned().unwrap_or_else(nobody))
    }

    fn settle(&mut self) {
        self.config.connect_timeout(Duration::from_secs(5));
        self.config.tcp_user_timeout(UNACKNOWLEDGED);
        self.config.keepalives_idle(UNACKNOWLEDGED);
        if self.config.get_application_name().is_none() {
            self.config.application_name(APPLICATION);
        }
        if self.preparing == Preparing::Never {
            // A pooler refuses what it cannot promise for the connection that it gives.
            return;
        }
        let settings = [
            format!("statement_timeout={}", PATIENCE.as_millis()),
            format!("lock_timeout={}", LOCK_PATIENCE.as_millis()),
            format!("idle_in_transaction_session_timeout={}", IDLE_IN_TRANSACTION.as_millis()),
            // Statements are short and known: to plan them anew for their values, or to compile them, costs more than it gains.
            "jit=off".to_owned(),
            // Each has an index. While a table is young, reading the whole of it is cheaper, and a statement that was planned
            // then would go on doing so until somebody has analysed the table: 500 ms instead of 0.1 for a batch of the inbox.
            "enable_seqscan=off".to_owned(),
            "synchronous_commit=on".to_owned(),
        ];
        let asked = self.config.get_options().map(str::to_owned).unwrap_or_default();
        let ours = settings.map(|setting| format!("-c {setting}")).join(" ");
        // What the operator says wins.
        self.config.options(format!("{ours} {asked}"));
    }
}

/// Takes our own parameters out of a URL.
fn split(text: &str) -> (String, Vec<(&str, &str)>) {
    let Some((base, query)) = text.split_once('?') else { return (text.to_owned(), Vec::new()) };
    let is_ours = |pair: &&str| pair.starts_with("connections=") || pair.starts_with("pooler=");
    let (ours, theirs): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_ours);
    let ours = ours.into_iter().filter_map(|pair| pair.split_once('=')).collect();
    match theirs.is_empty() {
        true => (base.to_owned(), ours),
        false => (format!("{base}?{}", theirs.join("&")), ours),
    }
}

/// Why a database was not opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server does not answer, or lets us not in.
    #[error(
        "{database} cannot be opened: {reason}; is the server running, and are the user, the password and the name right"
    )]
    Unreachable {
        /// Which.
        database: String,
        /// What was said.
        reason: String,
    },
    /// A newer version of Fanfare has migrated the database.
    #[error(
        "{database} has schema {found}, but this version of Fanfare knows schemas up to {known}; use the newer version \
         that wrote it"
    )]
    NewerSchema {
        /// Which.
        database: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The database was only to be read, and an older version of Fanfare has written it.
    #[error(
        "{database} has schema {found}, and this version of Fanfare reads schema {known}; fanfare serve of this version \
         brings it up to date"
    )]
    OlderSchema {
        /// Which.
        database: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The schema has a number we know, but was made by other statements.
    #[error(
        "{database} was made by another build of Fanfare, whose schema {number} differs from this one's; schemas are fixed \
         from the first release on, so use the build that made it, or begin with an empty database"
    )]
    ForeignSchema {
        /// Which.
        database: String,
        /// The first migration that differs.
        number: u32,
    },
    /// A copy into the database has not come to its end.
    #[error(
        "{database} is an incomplete copy of {origin}; complete it by the fanfare copy that began it, or drop it and use \
         {origin} as before"
    )]
    IncompleteCopy {
        /// Which.
        database: String,
        /// What was being copied.
        origin: String,
    },
    /// Nothing is in it, and it was only to be read.
    #[error("{0} holds nothing of Fanfare yet; fanfare serve with this --database makes its tables")]
    Empty(String),
    /// Secrets are sealed with a key that was not given.
    #[error(
        "secrets in {database} are sealed with key {missing}, which is not among those given ({given}); give this process the \
         keys that the servers on this database have, in the key file or in FANFARE_SECRET_KEY. To bring in \
         a new key, put it on the line below the one in use on every node, restart them, and only then put it first"
    )]
    UnknownSealingKey {
        /// Which.
        database: String,
        /// The ids of the keys that are missing.
        missing: String,
        /// The ids of the keys that were given.
        given: String,
    },
    /// Settings that cannot be used.
    #[error("the connections to PostgreSQL cannot be set up: {0}")]
    Settings(String),
}

impl OpenError {
    pub(crate) fn told(address: &Address, source: StoreError) -> OpenError {
        let reason = match source {
            StoreError::Unwritable(reason) => reason,
            other => other.to_string(),
        };
        OpenError::Unreachable { database: address.to_string(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let address: Address = "postgres://ann:secret@db.example:6432/fanfare?sslmode=require".parse().unwrap();
        assert_eq!(address.to_string(), "postgres://ann@db.example:6432/fanfare");
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[test]
    fn our_own_parameters_are_read_and_theirs_passed_on() {
        let address: Address = "postgres://h/d?connections=4&sslmode=disable&pooler=transaction".parse().unwrap();
        assert_eq!((address.connections_max(), address.preparing()), (4, Preparing::Never));
        assert_eq!(address.config().get_ssl_mode(), tokio_postgres::config::SslMode::Disable);
    }

    #[test]
    fn what_is_no_address_is_refused_by_its_reason() {
        for (text, part) in [
            ("postgres://h/d?connections=1", "connections=1"),
            ("postgres://h/d?pooler=session", "pooler=session"),
            ("postgres://h", "names no database"),
            ("postgres://h/d?sslmode=maybe", "sslmode"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
