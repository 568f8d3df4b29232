//! Tests of the store: the contract every store owes, and what is PostgreSQL's own. They need a server, which
//! `TEST_DATABASE_URL` names (scripts/with-postgres starts one), and say so where there is none.

mod accepting;
mod aligning;
mod audience;
mod concurrency;
mod contract;
mod copying;
mod crossing;
mod leasing;
mod letting_go;
mod lossy;
mod old_snapshot;
mod outcomes;
mod partitions;
mod replaying;
mod running;
mod sealing;
mod settling;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use store::{Chance, SealingKey, Vault};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};
use webinar::Zones;

use crate::{Address, LeaseClock, PostgresStore};

/// A database of its own on the server of the tests, which goes with it.
pub(crate) struct TestDatabase {
    name: String,
}

impl TestDatabase {
    /// A new one with all tables; `None`, loudly, where there is no server.
    pub(crate) fn new() -> Option<TestDatabase> {
        static TEMPLATE: OnceLock<String> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        server()?;
        let template = TEMPLATE.get_or_init(|| {
            let name = format!("template_{}", std::process::id());
            administer(&format!("create database {name}"));
            let address = address_of(&name);
            apart(async move {
                PostgresStore::open(&address, Zones::bundled(), vault(&[1])).await.map(drop).unwrap();
            });
            name
        });
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        administer(&format!("create database {name} template {template}"));
        Some(TestDatabase { name })
    }

    pub(crate) fn address(&self) -> Address {
        address_of(&self.name)
    }

    /// A connection past the store.
    pub(crate) async fn client(&self) -> Client {
        let mut config = server().unwrap().parse::<Config>().unwrap();
        let (client, connection) = config.dbname(&self.name).connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A store on it whose leases run by the clock of the test.
    pub(crate) fn store(&self) -> PostgresStore {
        self.store_at(&self.address())
    }

    /// The same by a parameter of the address.
    pub(crate) fn store_with(&self, parameter: &str) -> PostgresStore {
        self.store_at(&format!("{}&{parameter}", address_text(&self.name)).parse().unwrap())
    }

    fn store_at(&self, address: &Address) -> PostgresStore {
        let store = PostgresStore::on(address, Zones::bundled(), vault(&[1])).unwrap();
        PostgresStore { lease_clock: LeaseClock::Caller, ..store }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        administer(&format!("drop database if exists {} with (force)", self.name));
    }
}

/// The address of the server. A test that cannot run says so, or fails where everything is to run.
fn server() -> Option<String> {
    let address = std::env::var("TEST_DATABASE_URL").ok();
    if address.is_none() {
        assert!(std::env::var_os("FANFARE_TEST_ALL").is_none(), "TEST_DATABASE_URL is missing");
        let skipped = "SKIPPED: no PostgreSQL server; run it under scripts/with-postgres\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), skipped.as_bytes());
    }
    address
}

fn address_of(database: &str) -> Address {
    address_text(database).parse().unwrap()
}

fn address_text(database: &str) -> String {
    let server = server().unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{database}?connections=4")
}

fn administer(sql: &str) {
    let (config, sql) = (server().unwrap().parse::<Config>().unwrap(), sql.to_owned());
    apart(async move {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(&sql).await.unwrap();
        drop(client);
        let _ = connection.await;
    });
}

/// Runs something on a runtime of its own, also from within another.
fn apart(work: impl Future<Output = ()> + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| Runtime::new().unwrap().block_on(work)).join().unwrap();
    });
}

/// Waits until something is so, and no longer than anything here may take.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// A vault of these keys, the first in use.
pub(crate) fn vault(keys: &[u8]) -> Vault {
    let keys = keys.iter().map(|number| SealingKey::from_bytes([*number; 32]));
    Vault::new(keys, Arc::new(Counter::default())).unwrap()
}

/// Counts up: no nonce comes twice.
#[derive(Default)]
struct Counter(AtomicU64);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        bytes.iter_mut().zip(count.into_iter().cycle()).for_each(|(byte, count)| *byte = count);
    }
}
