//! A PostgreSQL server of a test's own: started, stopped, killed, followed by a standby, promoted. It is gone when the test
//! ends.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, Row};

use super::programs;

/// Fanfare's database on each server.
pub(crate) const STORE: &str = "fanfare";
/// A user's own, which an sql handler writes to.
pub(crate) const CRM: &str = "crm";

/// Small, for there are several beside each other; but what is committed is on the disk.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = on
shared_buffers = 16MB
max_wal_size = 128MB
max_connections = 120
";

pub(crate) struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    pub(crate) port: u16,
}

/// How a server ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// Connections are told, and everything is written down.
    Fast,
    /// As if the power had failed: the next start recovers.
    Immediate,
}

impl Cluster {
    /// A running server with two empty databases; `None`, loudly, where the programs are missing.
    pub(crate) async fn start() -> Option<Cluster> {
        let cluster = Cluster::empty()?;
        let data = cluster.data();
        let arguments = ["--username=fanfare", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
        programs::run(&cluster.program("initdb"), arguments.into_iter().chain(["--pgdata", &data])).await;
        let mut settings = OpenOptions::new().append(true).open(format!("{data}/postgresql.conf")).unwrap();
        settings.write_all(SETTINGS.as_bytes()).unwrap();
        drop(settings);
        cluster.resume().await;
        for database in [STORE, CRM] {
            cluster.execute("postgres", &format!("create database {database}")).await;
        }
        cluster.execute(CRM, "create table effect (message text)").await;
        Some(cluster)
    }

    /// A second server that follows this one, without being waited for at commits.
    pub(crate) async fn standby(&self) -> Cluster {
        let standby = Cluster::empty().unwrap();
        let primary = format!("host=127.0.0.1 port={} user=fanfare", self.port);
        let arguments = ["--dbname", &primary, "--pgdata", &standby.data(), "--write-recovery-conf", "--no-sync"];
        let fast = ["--checkpoint=fast", "--wal-method=stream"];
        programs::run(&standby.program("pg_basebackup"), arguments.into_iter().chain(fast)).await;
        standby.resume().await;
        standby
    }

    /// From now on commits wait for the standby.
    pub(crate) async fn wait_for_the_standby(&self) {
        self.execute("postgres", "alter system set synchronous_standby_names = '*'").await;
        self.execute("postgres", "select pg_reload_conf()").await;
        let followed = "select count(*) from pg_stat_replication where sync_state = 'sync'";
        super::wait_for("a synchronous standby", async || self.count("postgres", followed).await == 1).await;
    }

    /// Starts it, again and at the same port where it was stopped.
    pub(crate) async fn resume(&self) {
        let (data, log) = (self.data(), format!("{}/log", self.data()));
        let options = format!("-c port={}", self.port);
        let arguments = ["start", "--wait", "--silent", "--pgdata", &data, "--log", &log, "--options", &options];
        programs::run(&self.program("pg_ctl"), arguments).await;
    }

    pub(crate) async fn stop(&self, how: Stop) {
        let mode = match how {
            Stop::Fast => "--mode=fast",
            Stop::Immediate => "--mode=immediate",
        };
        programs::run(&self.program("pg_ctl"), ["stop", "--wait", "--silent", mode, "--pgdata", &self.data()]).await;
    }

    /// Makes a standby the primary.
    pub(crate) async fn promote(&self) {
        programs::run(&self.program("pg_ctl"), ["promote", "--wait", "--silent", "--pgdata", &self.data()]).await;
    }

    /// Of Fanfare's database, at this port: the server's own, or that of a proxy before it.
    pub(crate) fn url_through(port: u16) -> String {
        format!("postgres://fanfare@127.0.0.1:{port}/{STORE}?sslmode=disable")
    }

    pub(crate) fn url(&self) -> String {
        Cluster::url_through(self.port)
    }

    pub(crate) fn crm(&self) -> String {
        format!("postgres://fanfare@127.0.0.1:{}/{CRM}?sslmode=disable", self.port)
    }

    pub(crate) async fn connect(&self, database: &str) -> Client {
        let settings = format!("host=127.0.0.1 port={} user=fanfare dbname={database}", self.port);
        let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn execute(&self, database: &str, sql: &str) {
        self.connect(database).await.batch_execute(sql).await.unwrap();
    }

    pub(crate) async fn rows(&self, database: &str, sql: &str) -> Vec<Row> {
        self.connect(database).await.query(sql, &[]).await.unwrap()
    }

    /// The number that a query gives.
    pub(crate) async fn count(&self, database: &str, sql: &str) -> i64 {
        self.rows(database, sql).await[0].get(0)
    }

    fn empty() -> Option<Cluster> {
        let programs = programs::of_postgres()?;
        let directory = tempfile::Builder::new().prefix("fanfare-nodes.").tempdir_in("/tmp").unwrap();
        programs::give_to_owner(directory.path());
        Some(Cluster { programs, directory, port: free_port() })
    }

    fn data(&self) -> String {
        self.directory.path().join("data").to_str().unwrap().to_owned()
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let arguments = ["stop", "--wait", "--silent", "--mode=immediate", "--pgdata", &self.data()];
        let _ = programs::as_owner_now(&self.program("pg_ctl")).args(arguments).output();
    }
}

/// A port below those that the system gives to outgoing connections: nobody takes it while its server is stopped.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 10_000 + u16::try_from(std::process::id() % 18_000).unwrap();
    loop {
        let port = begin + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
