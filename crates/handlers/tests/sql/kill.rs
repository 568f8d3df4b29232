//! A process that is killed again and again while it handles messages: each has its effect exactly once in the end.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use handlers::sql::{SqlHandler, SqlTarget, SqlWork, Statement};
use handlers::{Handler, Job};

use crate::events::job;
use crate::world::{Database, handler};

const URL: &str = "FANFARE_TEST_KILLED_HANDLER";
const MESSAGES: u64 = 300;
/// After how many lines of its output the process is killed, one process after the other.
const KILLED_AFTER: [usize; 8] = [1, 2, 3, 5, 9, 14, 22, 35];

fn messages() -> Vec<Job> {
    (1..=MESSAGES).map(|number| job(&format!("v1 #{number} p{number}: a b c"))).collect()
}

fn writer(url: &str) -> SqlHandler {
    let dialect = SqlTarget::parse(url, None).unwrap().dialect();
    let texts = [
        "insert into kept values (:message.idempotencyKey)",
        "update tally set number = number + 1",
        "insert into kept_too values (:message.idempotencyKey)",
    ];
    let statements = texts.iter().map(|text| Statement::parse(text, dialect, None).unwrap()).collect();
    handler(url, SqlWork::Statements(statements), Duration::from_secs(20))
}

/// Runs as a process of its own, for the test below; without the address it is no test.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_process_that_handles_messages_until_it_is_killed() {
    let Ok(url) = std::env::var(URL) else { return };
    let handler = Arc::new(writer(&url));
    let pieces = |length: usize| messages().chunks(length).map(<[Job]>::to_vec).collect::<Vec<_>>();
    let tasks = [1, 7, 16].map(|length| {
        let (handler, pieces) = (handler.clone(), pieces(length));
        tokio::spawn(async move {
            for piece in pieces {
                let results = handler.handle_batch(&piece).await;
                println!("handled {} {}", piece.len(), results.iter().filter(|result| result.is_ok()).count());
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
}

fn run_and_kill(url: &str, lines: usize) {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::a_process_that_handles_messages_until_it_is_killed", "--nocapture"])
        .env(URL, url)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let handled = output.lines().map_while(Result::ok).filter(|line| line.contains("handled")).take(lines).count();
    process.kill().unwrap();
    process.wait().unwrap();
    assert_eq!(handled, lines, "the process was at work when it was killed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_has_its_effect_once_however_often_the_process_is_killed() {
    for database in Database::each().await {
        database.run("create table kept (run text); create table kept_too (run text)").await;
        database.run("create table tally (number int); insert into tally values (0)").await;
        let url = database.url.clone();
        tokio::task::spawn_blocking(move || KILLED_AFTER.iter().for_each(|lines| run_and_kill(&url, *lines)))
            .await
            .unwrap();

        let before: u64 = database.one("select count(*) from kept").await.parse().unwrap();
        let results = writer(&database.url).handle_batch(&messages()).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let done = results.iter().filter(|result| result.as_deref() == Ok("already done")).count();
        assert!(before > 0, "the processes had done something");
        // PostgreSQL may still be ending a transaction whose COMMIT was sent before the last kill.
        assert!(u64::try_from(done).unwrap() >= before, "{done} of {before} were known to be done");
        for table in ["kept", "kept_too"] {
            let counts = database.one(&format!("select count(*), count(distinct run) from {table}")).await;
            assert_eq!(counts, format!("{MESSAGES} {MESSAGES}"), "{table}");
        }
        assert_eq!(database.one("select number from tally").await, MESSAGES.to_string());
    }
}
