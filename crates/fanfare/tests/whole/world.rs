//! A database in a temporary folder, the real binary on it, a receiver, and the ledger.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use store::{Clock, FailPoint};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use wire::{Signer, SigningSecret, WebhookId};

use crate::ledger::Ledger;
use crate::receiver::Receiver;
use crate::server::{LOOK_AGAIN_AFTER, PATIENCE, Server};
use crate::{client, server};

/// Webhooks sent to the inbox beside each announcement.
const MESSAGES: usize = 10;
const SECRET: [u8; 32] = [7; 32];

pub(crate) struct World {
    directory: TempDir,
    database: PathBuf,
    receiver: Option<Receiver>,
    key: String,
    mango: String,
    source: String,
    members: usize,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
}

pub(crate) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the server under test reads the same clock")]
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

impl World {
    pub(crate) fn empty() -> World {
        let directory = tempfile::tempdir().unwrap();
        World {
            database: directory.path().join("crash.db"),
            directory,
            receiver: None,
            key: String::new(),
            mango: String::new(),
            source: String::new(),
            members: 0,
            ledger: Arc::default(),
        }
    }

    /// An account with one mango of this many members, a subscribed receiver and a source.
    pub(crate) async fn with_members(members: usize) -> World {
        let mut world = World { members, receiver: Some(Receiver::start().await), ..World::empty() };
        world.key = server::create_account(&world.database()).await;

        let server = world.start().await;
        let mango = world.create(&server, "/api/v1/mangoes", json!({"name": "Gold"})).await;
        world.mango = mango["id"].as_str().unwrap().to_owned();
        let mut list = "name,email,phone,timezone\n".to_owned();
        (1..=members).for_each(|number| list.push_str(&format!("Person {number},person{number}@example.com,,\n")));
        let path = format!("/api/v1/mangoes/{}/members", world.mango);
        let headers = [("x-api-key", world.key.as_str()), ("content-type", "text/csv")];
        let (status, answer) = client::post(server.address, &path, &headers, list).await.unwrap();
        assert!(status < 300 && answer["added"] == members, "{status} {answer}");
        let hook = format!("http://{}/hook", world.receiver.as_ref().unwrap().address);
        let registration = json!({"hookUrl": hook, "event": "webinar.created.recurring"});
        world.create(&server, "/api/v1/integration/webhook/webhook", registration).await;
        let secret = SigningSecret::from_random(SECRET).reveal();
        let source = json!({"name": "Sender", "keys": [secret.as_str()]});
        world.source = world.create(&server, "/api/v1/sources", source).await["id"].as_str().unwrap().to_owned();
        server.stop().await;
        world
    }

    async fn create(&self, server: &Server, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(server.address, path, &body).await.unwrap();
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    async fn call(&self, address: SocketAddr, path: &str, body: &Value) -> Option<(u16, Value)> {
        let headers = [("x-api-key", self.key.as_str()), ("content-type", "application/json")];
        client::post(address, path, &headers, body.to_string()).await
    }

    /// Where the database is, and nothing else.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.database.clone()
    }

    /// From now on the database is here.
    pub(crate) fn move_to(&mut self, database: PathBuf) {
        self.database = database;
    }

    pub(crate) async fn start(&self) -> Server {
        Server::start(&self.database(), None).await.expect("the server starts")
    }

    /// `None` where it died before it listened.
    pub(crate) async fn start_failing_at(&self, place: FailPoint, passes: u64) -> Option<Server> {
        Server::start(&self.database(), Some((place, passes))).await
    }

    /// Saves one more series and sends webhooks to the inbox, noting what is promised. A dead server is no error.
    pub(crate) async fn announce_and_send(&self, server: &Server) {
        let send = async {
            for _ in 0..MESSAGES {
                self.send_one(server.address).await;
            }
        };
        tokio::join!(self.announce(server.address), send);
    }

    /// Saves one more series; its fan-out where that was promised.
    pub(crate) async fn announce(&self, address: SocketAddr) -> Option<String> {
        let (201, answer) = self.save(address).await? else { return None };
        let fan_out = answer["fanOuts"][0]["id"].as_str().unwrap().to_owned();
        self.ledger.lock().unwrap().announced.push(fan_out.clone());
        Some(fan_out)
    }

    /// Saves a series; what came back.
    pub(crate) async fn save(&self, address: SocketAddr) -> Option<(u16, Value)> {
        let series = json!({
            "title": "Clinic", "link": "https://meet.example.com/abc", "timezone": "Asia/Kolkata",
            "start": "2027-03-05T15:30", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=2",
            "mangoes": [self.mango],
        });
        self.ledger.lock().unwrap().tried += 1;
        self.call(address, "/api/v1/webinars", &series).await
    }

    /// Sends one more webhook to the inbox; its id where it was acknowledged.
    pub(crate) async fn send_one(&self, address: SocketAddr) -> Option<String> {
        let id = {
            let mut ledger = self.ledger.lock().unwrap();
            let id = format!("msg_{}", ledger.sent.len());
            ledger.sent.insert(id.clone());
            id
        };
        let (status, _) = self.send_again(address, &id).await?;
        (status == 200).then_some(id)
    }

    /// Sends a webhook under this id, as senders do that were not answered; what came back.
    pub(crate) async fn send_again(&self, address: SocketAddr, id: &str) -> Option<(u16, Value)> {
        let signer = Signer::new([SigningSecret::from_random(SECRET)]).unwrap();
        let body = format!("{{\"number\":\"{id}\"}}");
        let now = WallClock.now().as_second();
        let signature = signer.sign(WebhookId::new(id).unwrap(), now, body.as_bytes());
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", &now.to_string()),
            ("webhook-signature", &signature),
            ("content-type", "application/json"),
        ];
        let answer = client::post(address, &format!("/in/{}", self.source), &headers, body.clone()).await?;
        if answer.0 == 200 {
            self.ledger.lock().unwrap().acknowledged.insert(id.to_owned());
        }
        Some(answer)
    }

    /// How many of each fan-out are delivered, as the API tells it, where it answers.
    pub(crate) async fn delivered(&self, address: SocketAddr) -> Option<Vec<(String, u64)>> {
        let headers = [("x-api-key", self.key.as_str())];
        let answer = client::get(address, "/api/v1/events?limit=1000", &headers).await;
        let (200, events) = answer? else { return None };
        let fan_outs = |event: &Value| event["endpoints"].as_array().unwrap().clone();
        let told =
            |fan_out: Value| (fan_out["fanOut"].as_str().unwrap().to_owned(), fan_out["delivered"].as_u64().unwrap());
        Some(events["data"].as_array().unwrap().iter().flat_map(fan_outs).map(told).collect())
    }

    /// Whether everyone of every announcement that was promised has been told.
    pub(crate) fn is_everything_delivered(&self) -> bool {
        let copies = self.receiver.as_ref().unwrap().copies();
        let ledger = self.ledger.lock().unwrap();
        ledger.announced.iter().all(|fan_out| copies.get(fan_out).is_some_and(|told| told.len() == self.members))
    }

    /// Whether there was anything to deliver, and it has been.
    pub(crate) fn has_delivered(&self) -> bool {
        !self.ledger.lock().unwrap().announced.is_empty() && self.is_everything_delivered()
    }

    pub(crate) async fn wait_until_everything_is_delivered(&self, server: &Server) {
        let waiting = async {
            while !(self.is_everything_delivered() && self.is_nothing_pending(server).await) {
                sleep(LOOK_AGAIN_AFTER).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("everything promised is delivered in the end");
    }

    /// Saves without an answer may have been kept; they are delivered as well.
    async fn is_nothing_pending(&self, server: &Server) -> bool {
        let told = self.delivered(server.address).await;
        told.is_some_and(|told| told.iter().all(|(_, delivered)| *delivered == self.members as u64))
    }

    /// The most copies that one message came in.
    pub(crate) fn copies_of_one_message(&self) -> usize {
        let copies = self.receiver.as_ref().unwrap().copies();
        copies.values().flat_map(|told| told.values()).copied().max().unwrap_or(0)
    }

    /// Holds what happened against what was promised.
    pub(crate) fn judge(&self, what: &str, copies_max: usize) {
        let ledger = self.ledger.lock().unwrap();
        let copies = self.receiver.as_ref().unwrap().copies();
        assert!(copies.len() <= ledger.tried, "{what}: nothing is announced that nobody asked for");
        for (fan_out, told) in &copies {
            assert_eq!(told.len(), self.members, "{what}: everyone is told of {fan_out}");
            let most = told.values().max().unwrap();
            assert!(*most <= copies_max, "{what}: {most} copies of one message");
        }
        let database = rusqlite::Connection::open(self.database()).unwrap();
        let verdict: String = database.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok", "{what}");
        let mut statement = database.prepare("select message_id from message").unwrap();
        let kept: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for id in &ledger.acknowledged {
            assert_eq!(kept.iter().filter(|kept| *kept == id).count(), 1, "{what}: {id} was acknowledged");
        }
        assert!(kept.iter().all(|id| ledger.sent.contains(id)), "{what}: nothing is kept that nobody sent");
    }
}
