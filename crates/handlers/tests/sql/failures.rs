//! What databases that are away, full, locked or changed mean for runs.

use std::time::Duration;

use handlers::sql::{Dialect, SqlHandler, SqlPrefix, SqlSettings, SqlTarget, SqlWork, Statement};
use handlers::{Handler, RunFailureKind};

use crate::events::job;
use crate::world::{Database, failure, handler, rules};

fn is_target(kind: RunFailureKind) -> bool {
    matches!(kind, RunFailureKind::Target { .. })
}

fn tables() -> SqlWork {
    SqlWork::Tables(SqlPrefix::default())
}

#[tokio::test]
async fn a_database_that_is_away_rests_the_handler_and_the_words_keep_the_password() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://crm:s3cret@127.0.0.1:{port}/crm?sslmode=disable");
    let refused = failure(&handler(&url, tables(), Duration::from_secs(5)), &job("v1 #1 ann: a")).await;
    assert!(is_target(refused.kind), "{refused:?}");
    assert!(refused.reason.contains("cannot be reached") && !refused.reason.contains("s3cret"), "{}", refused.reason);
    let missing =
        failure(&handler("sqlite:/nowhere/crm.db", tables(), Duration::from_secs(5)), &job("v1 #1 ann: a")).await;
    assert!(is_target(missing.kind) && missing.reason.contains("/nowhere/crm.db"), "{missing:?}");
}

#[tokio::test]
async fn without_tables_the_handler_rests_and_says_how_to_make_them() {
    for database in Database::each().await {
        let target = SqlTarget::parse(&database.url, None).unwrap();
        database.run("create table something (id int)").await;
        let settings = SqlSettings { target, work: tables(), create_tables: false, forbidden_file: None };
        let handler = SqlHandler::new(settings, &rules(Duration::from_secs(5))).unwrap();
        let refused = failure(&handler, &job("v1 #1 ann: a")).await;
        assert!(is_target(refused.kind) && refused.reason.contains("create-tables = true"), "{refused:?}");
    }
}

#[tokio::test]
async fn the_printed_schema_makes_what_the_handler_needs() {
    for database in Database::each().await {
        let prefix = SqlPrefix::parse("crm_").unwrap();
        database.run(&handlers::sql::schema(database.dialect(), Some(&prefix))).await;
        let target = SqlTarget::parse(&database.url, None).unwrap();
        let settings =
            SqlSettings { target, work: SqlWork::Tables(prefix), create_tables: false, forbidden_file: None };
        let handler = SqlHandler::new(settings, &rules(Duration::from_secs(5))).unwrap();
        handler.handle(&job("v1 #1 ann: a")).await.unwrap();
        assert_eq!(database.one("select session from crm_attendance").await, "a");
    }
}

#[tokio::test]
async fn a_connection_that_was_lost_while_idle_costs_nothing() {
    let Some(database) = Database::postgres().await else { return };
    let handler = database.keeper();
    handler.handle(&job("v1 #1 ann: a")).await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name";
    database.run(&format!("{end} = '{}'", database.name())).await;
    assert_eq!(handler.handle(&job("v1 #2 bob: a")).await.unwrap(), "kept 1 session");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_stopped_and_the_next_is_not_held_up() {
    for database in Database::each().await {
        let endless = match database.dialect() {
            Dialect::Postgres => "select pg_sleep(case when :message.id = 'inm_0000000000001' then 60 else 0 end)",
            Dialect::Sqlite => {
                "insert into kept with recursive r(n) as (select 1 union all select n + 1 from r \
                 where :message.id = 'inm_0000000000001') select max(n) from r"
            }
        };
        database.run("create table kept (value text)").await;
        let statement = Statement::parse(endless, database.dialect(), None).unwrap();
        let handler = handler(&database.url, SqlWork::Statements(vec![statement]), Duration::from_millis(300));
        let stopped = failure(&handler, &job("v1 #1 ann: a")).await;
        assert!(matches!(stopped.kind, RunFailureKind::Retry { .. }), "{stopped:?}");
        assert!(stopped.reason.contains("longer than the handler's timeout"), "{}", stopped.reason);
        handler.handle(&job("v1 #2 ann: a")).await.unwrap();
    }
}

#[tokio::test]
async fn a_table_that_was_changed_is_read_anew() {
    let Some(database) = Database::postgres().await else { return };
    database.run("create table kept (id text)").await;
    let handler = database.runner(&["insert into kept (id) values (:event)"]);
    handler.handle(&job("v1 #1 ann: a")).await.unwrap();
    database.run("alter table kept alter id type varchar(200), add note text").await;
    handler.handle(&job("v1 #2 ann: a")).await.unwrap();
    database.run("drop table kept").await;
    assert!(is_target(failure(&handler, &job("v1 #3 ann: a")).await.kind));
    database.run("create table kept (id text)").await;
    handler.handle(&job("v1 #3 ann: a")).await.unwrap();
    assert_eq!(database.one("select count(*) from kept").await, "1");
}

#[tokio::test]
async fn the_inbox_s_own_file_is_refused_under_any_name() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("fanfare.db");
    std::fs::write(&inbox, "").unwrap();
    let alias = directory.path().join("crm.db");
    std::os::unix::fs::symlink(&inbox, &alias).unwrap();
    for path in [&inbox, &alias] {
        let target = SqlTarget::parse(&format!("sqlite:{}", path.display()), None).unwrap();
        let settings = SqlSettings { target, work: tables(), create_tables: true, forbidden_file: Some(inbox.clone()) };
        let refused = SqlHandler::new(settings, &rules(Duration::from_secs(5))).err().unwrap();
        assert!(refused.contains("inbox's own file"), "{refused}");
    }
}

#[tokio::test]
async fn a_server_whose_certificate_nobody_vouches_for_is_not_trusted() {
    let Some(server) = crate::world::server() else { return };
    let url = format!("{server}?sslmode=require");
    let refused = failure(&handler(&url, tables(), Duration::from_secs(5)), &job("v1 #1 ann: a")).await;
    assert!(is_target(refused.kind) && refused.reason.contains("TLS"), "{refused:?}");
}

#[test]
fn a_database_that_cannot_be_meant_is_refused_without_repeating_its_password() {
    for (url, words) in [
        ("mysql://u:s3cret@h/d", "no database we know"),
        ("postgres://u:s3cret@h/d?sslmode=strict", "sslmode"),
        ("postgres://u:s3cret@/d", "names no host"),
        ("postgres://u:s3cret@h/d?sslrootcert=/ca.pem", "certificate ="),
        ("sqlite:", "names no file"),
        ("sqlite::memory:", "give a file"),
    ] {
        let refused = SqlTarget::parse(url, None).unwrap_err().to_string();
        assert!(refused.contains(words) && !refused.contains("s3cret"), "{url}: {refused}");
    }
    for url in ["postgres://u@h/d?sslmode=verify-full", "postgresql://h?sslrootcert=system", "sqlite://./crm.db"] {
        SqlTarget::parse(url, None).unwrap();
    }
    for prefix in ["a b", "1a", "a;", "A", "a\"", "a-b", "abcdefghijabcdefghijabcdefghijabc"] {
        assert!(SqlPrefix::parse(prefix).is_err(), "{prefix}");
    }
}
