//! The operator's own statements: bound by the types of their parameters, in one transaction with the note of the run.

use std::sync::Arc;

use handlers::sql::Dialect;
use handlers::{Handler, Job, JobMessage, RunFailureKind};

use crate::events::job;
use crate::world::{Database, failure};

/// A message whose sender's id is this text: a value that a test can choose freely.
fn saying(number: u64, text: &str) -> Job {
    let told = job(&format!("v1 #{number} ann: a"));
    let message = JobMessage { message_id: Some(text.to_owned()), ..JobMessage::clone(&told.message) };
    Job { message: Arc::new(message), ..told }
}

#[tokio::test]
async fn every_type_of_postgres_takes_the_text_of_a_value_and_what_is_missing_is_null() {
    let Some(database) = Database::postgres().await else { return };
    for (kind, text, shown) in [
        ("text", "it's", "it's"),
        ("varchar(10)", "a b", "a b"),
        ("int", "-7", "-7"),
        ("bigint", "9007199254740993", "9007199254740993"),
        ("numeric", "12.340", "12.340"),
        ("double precision", "1e3", "1000"),
        ("boolean", "true", "t"),
        ("uuid", "018F4E2A-0000-7000-8000-000000000001", "018f4e2a-0000-7000-8000-000000000001"),
        ("timestamp", "2024-03-15T15:30:00", "2024-03-15 15:30:00"),
        ("date", "2024-03-15", "2024-03-15"),
        ("interval", "90 minutes", "01:30:00"),
        ("jsonb", "a", "\"a\""),
        ("json", "a", "\"a\""),
        ("text[]", "{a,\"b c\"}", "{a,\"b c\"}"),
        ("mood", "glad", "glad"),
        ("mail", "a@b", "a@b"),
        ("inet", "192.0.2.1", "192.0.2.1"),
        ("timestamptz", "-", "-"),
    ] {
        let schema = "drop table if exists kept; drop type if exists mood; drop domain if exists mail; \
                      create type mood as enum ('glad'); create domain mail as text check (value like '%@%');";
        database.run(&format!("{schema} create table kept (value {kind}, missing {kind}, at timestamptz)")).await;
        let handler =
            database.runner(&["insert into kept values (:message.senderId, :body.none, :message.receivedAt)"]);
        let mut told = saying(1, text);
        if text == "-" {
            told = job("v1 #1 ann: a");
        }
        assert_eq!(handler.handle(&told).await.expect(kind), "ran the statements");
        let row = database.one("select value, missing, at at time zone 'UTC' from kept").await;
        assert_eq!(row, format!("{shown} - 2024-03-02 10:00:01"), "{kind}");
        database.run("delete from fanfare_run").await;
    }
}

#[tokio::test]
async fn sqlite_takes_texts_numbers_and_lists_as_json() {
    let database = Database::sqlite();
    database.run("create table kept (text, number, truth, missing, whole)").await;
    let statement =
        "insert into kept values (:message.senderId, :message.attempt, :message.rerun = 0, :body.none, :message)";
    let handler = database.runner(&[statement]);
    handler.handle(&saying(1, "it's; drop table kept --")).await.unwrap();
    let row = "select text, number, typeof(number), truth, missing, whole ->> 'source' from kept";
    assert_eq!(database.one(row).await, "it's; drop table kept -- 1 integer 1 - tagmango");
}

#[tokio::test]
async fn the_statements_of_a_message_stand_together_or_not_at_all() {
    for database in Database::each().await {
        database.run("create table one (id text); create table two (id text primary key)").await;
        database.run("insert into two values ('b')").await;
        let handler = database
            .runner(&["insert into one values (:message.senderId)", "insert into two values (:message.senderId)"]);
        let results = handler.handle_batch(&[saying(1, "a"), saying(2, "b"), saying(3, "c")]).await;
        assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
        assert_eq!(results[1].as_ref().unwrap_err().kind, RunFailureKind::Hopeless);
        assert_eq!(database.one("select id from one order by id").await, "a, c");
        assert_eq!(database.one("select id from two order by id").await, "a, b, c");
        assert_eq!(database.one("select count(*) from fanfare_run").await, "2");
    }
}

#[tokio::test]
async fn a_message_runs_once_however_often_and_wherever_it_is_handled() {
    for database in Database::each().await {
        database.run("create table kept (run text)").await;
        let handler = Arc::new(database.runner(&["insert into kept values (:message.idempotencyKey)"]));
        let batch: Vec<Job> = (1..=20).map(|number| saying(number, "x")).collect();
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (handler, batch) = (handler.clone(), batch.clone());
                tokio::spawn(async move { handler.handle_batch(&batch).await })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            done +=
                task.await.unwrap().into_iter().filter(|result| result.as_deref() == Ok("ran the statements")).count();
        }
        assert_eq!(done, 20);
        assert_eq!(database.one("select count(*), count(distinct run) from kept").await, "20 20");
        let rerun = Job { generation: 1, ..batch[0].clone() };
        assert_eq!(handler.handle(&rerun).await.unwrap(), "ran the statements");
    }
}

#[tokio::test]
async fn a_preview_shows_statements_with_the_values_they_would_have() {
    let database = Database::sqlite();
    let handler = database.runner(&["insert into nowhere values (:message.senderId, :message.attempt)"]);
    let preview = handler.foresee(&saying(1, "it's")).await.unwrap();
    let expected = "- insert into nowhere values (:message.senderId, :message.attempt)\n    :message.senderId = \"it's\"\n    \
                    :message.attempt = 1";
    assert!(preview.contains(expected), "{preview}");
}

#[tokio::test]
async fn what_is_wrong_with_a_statement_is_told_at_the_start_with_the_mend() {
    for database in Database::each().await {
        let is_postgres = database.dialect() == Dialect::Postgres;
        database.run("create table kept (name text)").await;
        let mut cases = vec![
            ("insert into leads values (:event)", "create it"),
            ("insert into kept (nam) values (:event)", "nam"),
            ("insrt into kept values (:event)", "insrt"),
        ];
        if is_postgres {
            cases.push(("select 1 where :event is null", "such as :person.phone::text"));
        }
        for (statement, words) in cases {
            let failure = database.runner(&["insert into kept values (1)", statement]).check().await.unwrap_err();
            assert!(matches!(failure.kind, RunFailureKind::Target { .. }), "{failure:?}");
            assert!(failure.reason.contains("statement 2") && failure.reason.contains(words), "{}", failure.reason);
        }
    }
}

#[tokio::test]
async fn a_value_that_does_not_fit_parks_its_message_and_the_words_do_not_repeat_it() {
    for database in Database::each().await {
        database.run("create table kept (code text not null check (code <> 'secret'), number int unique)").await;
        let handler = database.runner(&["insert into kept values (:message.senderId, 1)"]);
        let refused = failure(&handler, &saying(1, "secret")).await;
        assert_eq!(refused.kind, RunFailureKind::Hopeless);
        assert!(refused.reason.contains("statement 1"), "{}", refused.reason);
        let missing = failure(&handler, &job("v1 #2 ann: a")).await;
        assert!(missing.reason.contains("code"), "{}", missing.reason);
        if database.dialect() == Dialect::Postgres {
            assert!(
                !refused.reason.contains("secret") && refused.reason.contains("SQLSTATE 23514"),
                "{}",
                refused.reason
            );
            let numbers = database.runner(&["insert into kept values ('a', :message.senderId)"]);
            let refused = failure(&numbers, &saying(3, "secret")).await;
            assert!(!refused.reason.contains("secret") && refused.reason.contains("22P02"), "{}", refused.reason);
        }
    }
}
