//! An empty database of its own on the server that `TEST_DATABASE_URL` names (scripts/with-postgres starts one); it goes with
//! the test.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls};

use crate::world::World;

pub(crate) struct TestDatabase {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl TestDatabase {
    /// `None`, loudly, where there is no server.
    pub(crate) fn make() -> Option<TestDatabase> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("TEST_DATABASE_URL") else {
            assert!(std::env::var_os("FANFARE_TEST_ALL").is_none(), "TEST_DATABASE_URL is missing");
            let skipped = b"SKIPPED: no PostgreSQL server; run it under scripts/with-postgres\n";
            let _ = std::io::stderr().write_all(skipped);
            return None;
        };
        let name = format!("it_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        execute(&server, &format!("create database {name}"));
        let (base, _) = server.rsplit_once('/').unwrap();
        Some(TestDatabase { url: format!("{base}/{name}"), server, name })
    }

    /// Where everything is run on this database, with a key.
    pub(crate) fn world(&self) -> World {
        let key = World::new().run(&["secrets", "new-key"]).stdout;
        World::new().with("FANFARE_DATABASE", &self.url).with("FANFARE_SECRET_KEY", key.trim_end())
    }

    /// Runs statements in it.
    pub(crate) fn execute(&self, sql: &str) {
        execute(&self.url, sql);
    }

    /// Does something while somebody is connected under this name.
    pub(crate) fn while_connected_as<T>(&self, application: &str, act: impl FnOnce() -> T) -> T {
        let mut config: Config = self.url.parse().unwrap();
        config.application_name(application);
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(connect(&config));
        let done = act();
        runtime.block_on(client.simple_query("select 1")).expect("it was connected all the time");
        done
    }

    /// Ends all connections and lets nobody in, as a server that has stopped.
    pub(crate) fn close(&self) {
        let name = &self.name;
        execute(&self.server, &format!("alter database {name} allow_connections false"));
        let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'");
        execute(&self.server, &end);
    }

    pub(crate) fn open(&self) {
        execute(&self.server, &format!("alter database {} allow_connections true", self.name));
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        execute(&self.server, &format!("drop database if exists {} with (force)", self.name));
    }
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    // It ends with the client.
    tokio::spawn(connection);
    client
}

fn execute(url: &str, sql: &str) {
    let config: Config = url.parse().unwrap();
    Runtime::new().unwrap().block_on(async {
        let client = connect(&config).await;
        client.batch_execute(sql).await.unwrap();
    });
}
