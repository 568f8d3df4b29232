//! A few connections to one server, at most as many as the handler has runs at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use receiver::HandlerRules;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio_postgres::config::{Config, Host, SslMode};
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::settings::PostgresTarget;
use super::super::trouble::target;
use super::super::work::Work;
use super::failure;
use super::link::Link;
use crate::RunFailure;

/// A server that does not answer sooner is away, and the handler rests.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// One number, the same in every process, so that two that start do not make the tables at once.
const SCHEMA_LOCK: i64 = 0x0066_616e_6661_7265;

pub(super) struct Pool {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    work: Arc<Work>,
    timeout: Duration,
    create_tables: bool,
    tables: OnceCell<()>,
    seats: Arc<Semaphore>,
    idle: Mutex<Vec<Link>>,
}

/// A connection in use.
pub(super) struct Seat {
    pub(super) link: Link,
    /// Whether it has waited since it was used last, so that it may be lost without our knowing.
    pub(super) was_idle: bool,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(
        target: PostgresTarget,
        work: Arc<Work>,
        rules: &HandlerRules,
        create_tables: bool,
    ) -> Result<Pool, String> {
        Ok(Pool {
            tls: tls(&target)?,
            config: target.config,
            work,
            timeout: rules.timeout,
            create_tables,
            tables: OnceCell::new(),
            seats: Arc::new(Semaphore::new(rules.concurrency.max(1))),
            idle: Mutex::default(),
        })
    }

    /// A connection; the one used last, if that still stands.
    pub(super) async fn take(&self) -> Result<Seat, RunFailure> {
        let permit = self.seats.clone().acquire_owned().await.map_err(|error| target(error.to_string()))?;
        if let Some(link) = self.take_idle() {
            return Ok(Seat { link, was_idle: true, _permit: permit });
        }
        let opening = tokio::time::timeout(CONNECT_TIME_MAX, self.open()).await;
        let link = opening.unwrap_or_else(|_| {
            Err(target(format!(
                "PostgreSQL did not answer within {} s; see whether it runs",
                CONNECT_TIME_MAX.as_secs()
            )))
        })?;
        Ok(Seat { link, was_idle: false, _permit: permit })
    }

    /// For the next; only with no transaction open.
    pub(super) fn give_back(&self, seat: Seat) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(seat.link);
    }

    fn take_idle(&self) -> Option<Link> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|link| !link.is_closed());
        idle.pop()
    }

    async fn open(&self) -> Result<Link, RunFailure> {
        let mut link = match &self.tls {
            Some(tls) => {
                let (client, connection) =
                    self.config.connect(tls.clone()).await.map_err(|error| failure::of_connecting(&error))?;
                linked(client, connection)
            }
            None => {
                let (client, connection) =
                    self.config.connect(NoTls).await.map_err(|error| failure::of_connecting(&error))?;
                linked(client, connection)
            }
        };
        let millis = self.timeout.as_millis();
        // The second lets go of our locks where this process is stopped but not ended.
        let limits = format!("set statement_timeout = {millis}; set idle_in_transaction_session_timeout = {millis}");
        link.run(&limits).await.map_err(|error| failure::of_connecting(&error))?;
        if self.create_tables {
            self.tables.get_or_try_init(|| self.create_tables(&link)).await?;
        }
        link.prepare(&self.work.texts).await?;
        Ok(link)
    }

    async fn create_tables(&self, link: &Link) -> Result<(), RunFailure> {
        let schema = &self.work.schema;
        let statements = format!("begin; select pg_advisory_xact_lock({SCHEMA_LOCK}); {schema} commit");
        link.run(&statements).await.map_err(|error| failure::of_preparing("the making of the tables", &error))
    }
}

fn linked<S, T>(client: Client, connection: tokio_postgres::Connection<S, T>) -> Link
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
{
    // How it ended is told by the request that it answers no more.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Link::new(client, driver)
}

/// How connections are encrypted; `None` where they are not to be, or cannot be because they stay on this machine.
fn tls(target: &PostgresTarget) -> Result<Option<MakeRustlsConnect>, String> {
    let is_local = target.config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    if is_local || target.config.get_ssl_mode() == SslMode::Disable {
        return Ok(None);
    }
    let unreadable = |error| format!("certificate cannot be read: {error}; give a PEM file as \"file:PATH\"");
    let mut config = match &target.certificate {
        Some(pem) => egress::client_config_of_pem(pem).map_err(unreadable)?,
        None => egress::system_client_config().map_err(|error| error.to_string())?,
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Some(MakeRustlsConnect::new(config)))
}
