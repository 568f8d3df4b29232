//! A database of each kind for one test, a handler that writes to it, and a look inside.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use handlers::sql::{Dialect, ForEach, SqlHandler, SqlPrefix, SqlSettings, SqlTarget, SqlWork, Statement};
use handlers::{Handler, Job, RunFailure};
use receiver::HandlerRules;
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// Where a test's tables are.
pub(crate) struct Database {
    pub(crate) url: String,
    kind: Kind,
}

enum Kind {
    Postgres(Client),
    /// Goes with the test.
    Sqlite(#[expect(dead_code, reason = "kept for its end")] TempDir),
}

/// The server's address as the environment gives it; says aloud where there is none.
pub(crate) fn server() -> Option<String> {
    let server = std::env::var("TEST_DATABASE_URL").ok();
    if server.is_none() {
        crate::skip("TEST_DATABASE_URL names no PostgreSQL; scripts/with-postgres starts one");
    }
    server
}

impl Database {
    /// A database of each kind there is here, empty.
    pub(crate) async fn each() -> Vec<Database> {
        let mut all = vec![Database::sqlite()];
        all.extend(Database::postgres().await);
        all
    }

    pub(crate) fn sqlite() -> Database {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("crm.db").display());
        Database { url, kind: Kind::Sqlite(directory) }
    }

    /// A schema of its own on the server.
    pub(crate) async fn postgres() -> Option<Database> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = server()?;
        let schema = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let (client, connection) = Config::from_str(&server).unwrap().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        let statements =
            format!("drop schema if exists {schema} cascade; create schema {schema}; set search_path = {schema}");
        client.batch_execute(&statements).await.unwrap();
        let url = format!("{server}?options=-csearch_path%3D{schema}&application_name={schema}&sslmode=disable");
        Some(Database { url, kind: Kind::Postgres(client) })
    }

    /// The name under which the server sees its handlers.
    pub(crate) fn name(&self) -> &str {
        self.url.split("application_name=").nth(1).and_then(|rest| rest.split('&').next()).unwrap()
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.kind {
            Kind::Postgres(_) => Dialect::Postgres,
            Kind::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Keeps the built-in tables.
    pub(crate) fn keeper(&self) -> SqlHandler {
        self.handler(SqlWork::Tables(SqlPrefix::default()))
    }

    /// Runs statements.
    pub(crate) fn runner(&self, statements: &[&str]) -> SqlHandler {
        let parse = |text: &&str| Statement::parse(text, self.dialect(), Some(ForEach::Sessions)).unwrap();
        self.handler(SqlWork::Statements(statements.iter().map(parse).collect()))
    }

    fn handler(&self, work: SqlWork) -> SqlHandler {
        handler(&self.url, work, Duration::from_secs(20))
    }

    pub(crate) async fn run(&self, statements: &str) {
        match &self.kind {
            Kind::Postgres(client) => client.batch_execute(statements).await.unwrap(),
            Kind::Sqlite(_) => self.open().execute_batch(statements).unwrap(),
        }
    }

    /// The rows of a query, each as its values with a blank between; NULL is `-`.
    pub(crate) async fn rows(&self, query: &str) -> Vec<String> {
        match &self.kind {
            Kind::Postgres(client) => {
                let answer = client.simple_query(query).await.unwrap();
                let rows = answer.iter().filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => Some(row),
                    _ => None,
                });
                rows.map(|row| (0..row.len()).map(|at| row.get(at).unwrap_or("-")).collect::<Vec<_>>().join(" "))
                    .collect()
            }
            Kind::Sqlite(_) => {
                let connection = self.open();
                let mut statement = connection.prepare(query).unwrap();
                let columns = statement.column_count();
                let text = |value| match value {
                    rusqlite::types::Value::Null => "-".to_owned(),
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Real(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    rusqlite::types::Value::Blob(_) => "blob".to_owned(),
                };
                let row = |row: &rusqlite::Row<'_>| {
                    (0..columns).map(|at| row.get(at).map(text)).collect::<Result<Vec<_>, _>>()
                };
                statement.query_map([], row).unwrap().map(|row| row.unwrap().join(" ")).collect()
            }
        }
    }

    /// The one value of a query.
    pub(crate) async fn one(&self, query: &str) -> String {
        self.rows(query).await.join(", ")
    }

    fn open(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.url.strip_prefix("sqlite:").unwrap()).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        connection
    }
}

/// A handler that writes there.
pub(crate) fn handler(url: &str, work: SqlWork, timeout: Duration) -> SqlHandler {
    let target = SqlTarget::parse(url, None).unwrap();
    let settings = SqlSettings { target, work, create_tables: true, forbidden_file: None };
    SqlHandler::new(settings, &rules(timeout)).unwrap()
}

pub(crate) fn rules(timeout: Duration) -> HandlerRules {
    HandlerRules { timeout, retry: vec![], ..HandlerRules::named("crm") }
}

/// Handles each by itself, in this order.
pub(crate) async fn one_by_one(handler: &SqlHandler, jobs: &[Job]) -> Vec<String> {
    let mut words = Vec::new();
    for job in jobs {
        words.push(handler.handle(job).await.unwrap());
    }
    words
}

pub(crate) async fn failure(handler: &SqlHandler, job: &Job) -> RunFailure {
    handler.handle(job).await.expect_err("it cannot be done")
}
