//! A database of its own on the server of the tests, which goes with it.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::runtime::Runtime;
use tokio_postgres::{Config, NoTls};

pub(super) struct TestDatabase {
    name: String,
    pub(super) url: String,
}

impl TestDatabase {
    /// An empty one; `None`, loudly, where there is no server.
    pub(super) fn new() -> Option<TestDatabase> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("TEST_DATABASE_URL") else {
            assert!(std::env::var_os("FANFARE_TEST_ALL").is_none(), "TEST_DATABASE_URL is missing");
            let skipped = "SKIPPED: no PostgreSQL server; run it under scripts/with-postgres\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), skipped.as_bytes());
            return None;
        };
        let name = format!("copy_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        execute(&server, &format!("create database {name}"));
        let (base, _) = server.rsplit_once('/').unwrap();
        Some(TestDatabase { url: format!("{base}/{name}"), name })
    }

    pub(super) fn execute(&self, sql: &str) {
        execute(&self.url, sql);
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let server = std::env::var("TEST_DATABASE_URL").unwrap();
        execute(&server, &format!("drop database if exists {} with (force)", self.name));
    }
}

fn execute(url: &str, sql: &str) {
    let config: Config = url.parse().unwrap();
    Runtime::new().unwrap().block_on(async {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        drop(client);
        let _ = connection.await;
    });
}
