//! The receiving half as one TOML file and no code, the real binary: killed at every bad moment of a handler, each effect on
//! a database stands once, each effect elsewhere bears one key.

use std::collections::BTreeMap;
use std::path::PathBuf;

use store::FailPoint;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::client;
use crate::server::{LOOK_AGAIN_AFTER, PATIENCE, Server};

const PATH: &str = "tm-5e0f6ad1c9b84723";
const PEOPLE: usize = 40;

struct Inbox {
    directory: TempDir,
}

impl Inbox {
    fn new() -> Inbox {
        let inbox = Inbox { directory: tempfile::tempdir().unwrap() };
        let (own, calls) = (inbox.own_database(), inbox.calls());
        let database = rusqlite::Connection::open(&own).unwrap();
        database.execute_batch("pragma journal_mode = wal; create table effect (email text)").unwrap();
        let settings = format!(
            r#"
[[source]]
name = "tagmango"
preset = "tagmango"
path = "{PATH}9f3e2d1c0b5a"

[[handler]]
name = "crm"
type = "sql"
database = "sqlite:{}"
statements = ["insert into effect (email) values (:person.email)"]
create-tables = true
retry = ["1s", "1s", "1s"]

[[handler]]
name = "notes"
type = "exec"
command = ["sh", "-c", "echo $FANFARE_IDEMPOTENCY_KEY $FANFARE_MESSAGE >> {}"]
retry = ["1s", "1s", "1s"]
"#,
            own.display(),
            calls.display()
        );
        std::fs::write(inbox.settings(), settings).unwrap();
        inbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn database(&self) -> PathBuf {
        self.path("inbox.db")
    }

    fn own_database(&self) -> PathBuf {
        self.path("crm.db")
    }

    fn calls(&self) -> PathBuf {
        self.path("calls")
    }

    fn settings(&self) -> PathBuf {
        self.path("inbox.toml")
    }

    async fn start(&self, failing: Option<(FailPoint, u64)>) -> Option<Server> {
        let settings = self.settings();
        let arguments =
            ["serve", "--listen", "127.0.0.1:0", "--only", "receiver", "--config", settings.to_str().unwrap()];
        Server::start_with(&self.database(), &arguments, failing).await
    }

    /// How often each address stands in the user's own table.
    fn effects(&self) -> BTreeMap<String, u32> {
        let database = rusqlite::Connection::open(self.own_database()).unwrap();
        let mut rows = database.prepare("select email, count(*) from effect group by email").unwrap();
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    /// The keys that each message's commands were given.
    fn keys(&self) -> BTreeMap<String, Vec<String>> {
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::fs::read_to_string(self.calls()).unwrap_or_default().lines() {
            let (key, message) = line.split_once(' ').unwrap();
            keys.entry(message.to_owned()).or_default().push(key.to_owned());
        }
        keys
    }

    fn is_done(&self) -> bool {
        self.effects().len() == PEOPLE && self.keys().len() == PEOPLE
    }

    async fn wait_until_done(&self) {
        let done = async {
            while !self.is_done() {
                sleep(LOOK_AGAIN_AFTER).await;
            }
        };
        timeout(PATIENCE, done).await.unwrap_or_else(|_| panic!("{:?} {:?}", self.effects(), self.keys().len()));
    }
}

fn body(person: usize) -> String {
    format!(
        r#"{{"name":"P {person}","email":"p{person}@example.com","phone":91980000{person:04},"timezone":"+05:30","callList":[{{"webinar":"Clinic","webinarId":"634fc35ddaf58580e2418c40","webinarLink":"https://meet.example/a","webinarFromTime":"2027-03-15T10:00:00.000Z","webinarToTime":"2027-03-15T11:00:00.000Z","webinarFromTimeInCreatorTimezone":"2027-03-15T15:30:00.000Z","webinarToTimeInCreatorTimezone":"2027-03-15T16:30:00.000Z","creatorTimezone":"+05:30"}}],"mangoes":"Gold"}}"#
    )
}

/// Sends everyone's webhook until it is acknowledged; a server that dies meanwhile is the caller's to start again.
async fn send_all(server: &Server) -> usize {
    let path = format!("/in/{PATH}9f3e2d1c0b5a");
    let mut acknowledged = 0;
    for person in 0..PEOPLE {
        let headers = [("content-type", "application/json")];
        let answer = client::post(server.address, &path, &headers, body(person)).await;
        acknowledged += usize::from(answer.is_some_and(|(status, _)| status == 200));
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step_of_a_handler_an_effect_on_a_database_stands_once() {
    for place in
        [FailPoint::RunAfterClaim, FailPoint::RunAfterEffect, FailPoint::RunSettleBefore, FailPoint::RunSettleAfter]
    {
        for passes in [0, 5] {
            let inbox = Inbox::new();
            let died = match inbox.start(Some((place, passes))).await {
                Some(mut server) => {
                    send_all(&server).await;
                    server.died_or(|| inbox.is_done()).await == crate::server::Ended::Died
                }
                None => true,
            };
            assert!(died || passes > 0, "{place} was never reached");
            let server = inbox.start(None).await.expect("it starts");
            assert_eq!(send_all(&server).await, PEOPLE, "the sender tries again; a repetition is a success");
            inbox.wait_until_done().await;
            server.stop().await;
            assert!(inbox.effects().values().all(|count| *count == 1), "{place}: {:?}", inbox.effects());
            for (message, keys) in inbox.keys() {
                assert!(keys.iter().all(|key| *key == keys[0]), "{place}: {message} has one key");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_times_each_effect_stands_once() {
    let inbox = Inbox::new();
    let mut chance = crate::crash::Chance(0xf00d);
    for _ in 0..15 {
        let mut server = inbox.start(None).await.expect("it starts");
        let kill_after = std::time::Duration::from_millis(chance.below(120));
        tokio::select! {
            _ = send_all(&server) => sleep(kill_after).await,
            () = sleep(kill_after) => {}
        }
        server.kill().await;
    }
    let server = inbox.start(None).await.expect("it starts");
    assert_eq!(send_all(&server).await, PEOPLE);
    inbox.wait_until_done().await;
    server.stop().await;
    assert!(inbox.effects().values().all(|count| *count == 1), "{:?}", inbox.effects());
}
