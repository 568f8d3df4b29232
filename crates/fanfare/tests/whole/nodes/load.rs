//! Clients as they should be: they ask one node after the other, with the same ids, until one says that it is kept. What
//! was promised to them stands here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use store::Clock;
use tokio::time::{sleep, timeout};
use wire::{Signer, SigningSecret, WebhookId};

use super::estate::{Estate, SECRET, draft};
use super::{LOOK_AGAIN_AFTER, PATIENCE};
use crate::client;
use crate::world::WallClock;

/// A client gives up on a node that does not answer for so long, and asks another.
const ANSWER_TIME: Duration = Duration::from_secs(5);

pub(crate) struct Load {
    pub(crate) estate: Estate,
    /// Where nodes listen that are there to be asked.
    nodes: Mutex<Vec<Option<SocketAddr>>>,
    turns: AtomicUsize,
    publishes: AtomicUsize,
    promises: Mutex<Promises>,
}

/// What clients did, and what they were promised.
#[derive(Clone, Default)]
pub(crate) struct Promises {
    /// How many saves of each series were answered with success, by its id.
    pub(crate) saves: BTreeMap<String, usize>,
    /// Ids of webhooks sent to the inbox, and those of them that were answered 200.
    pub(crate) sent: BTreeSet<String>,
    pub(crate) acknowledged: BTreeSet<String>,
    /// Requests that were not answered with success and were made again.
    pub(crate) repeated: usize,
}

/// What is asked for, and asked for again.
#[derive(Clone, Copy)]
enum Wish<'w> {
    Save { series: &'w str, body: &'w str },
    Keep { id: &'w str },
}

/// What a node made of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Kept(Value),
    /// By status and body.
    Refused(u16, Value),
    Silence,
}

impl Load {
    pub(crate) fn new(estate: Estate) -> Load {
        let (turns, publishes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Load { estate, nodes: Mutex::default(), turns, publishes, promises: Mutex::default() }
    }

    /// From now on this node is asked there, or not at all.
    pub(crate) fn set_node(&self, number: usize, address: Option<SocketAddr>) {
        let mut nodes = self.nodes.lock().unwrap();
        let length = nodes.len().max(number + 1);
        nodes.resize(length, None);
        nodes[number] = address;
    }

    pub(crate) fn promises(&self) -> Promises {
        self.promises.lock().unwrap().clone()
    }

    /// Announces the next series, anew where it was announced before; the series.
    pub(crate) async fn publish(&self) -> String {
        let (series, body) = self.next_save();
        self.insist(Wish::Save { series: &series, body: &body }).await;
        *self.promises.lock().unwrap().saves.entry(series.clone()).or_default() += 1;
        series
    }

    /// Whether there is a series that nobody was told of.
    pub(crate) fn has_unannounced(&self) -> bool {
        self.publishes.load(Ordering::Relaxed) < self.estate.series.len()
    }

    /// A save that differs from all before.
    pub(crate) fn next_save(&self) -> (String, String) {
        let number = self.publishes.fetch_add(1, Ordering::Relaxed);
        let series = &self.estate.series[number % self.estate.series.len()];
        (series.clone(), draft(&self.estate.mango, &format!("Save {number}")).to_string())
    }

    /// Asks one node, once, to save this.
    pub(crate) async fn save(&self, node: SocketAddr, series: &str, body: &str) -> Answer {
        let headers = [("x-api-key", self.estate.key.as_str()), ("content-type", "application/json")];
        let path = format!("/api/v1/webinars/{series}");
        heard(client::put(node, &path, &headers, body.to_owned())).await
    }

    /// Sends the inbox one more webhook; its id.
    pub(crate) async fn send(&self) -> String {
        let id = self.next_message();
        self.insist(Wish::Keep { id: &id }).await;
        self.promises.lock().unwrap().acknowledged.insert(id.clone());
        id
    }

    /// The id of a webhook that nobody has sent yet.
    pub(crate) fn next_message(&self) -> String {
        let mut promises = self.promises.lock().unwrap();
        let id = format!("msg_{}", promises.sent.len());
        promises.sent.insert(id.clone());
        id
    }

    /// Asks one node, once, to take this webhook.
    pub(crate) async fn send_this(&self, node: SocketAddr, id: &str) -> Answer {
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
        heard(client::post(node, "/in/sender", &headers, body.clone())).await
    }

    /// Announces and sends so many, each kind one after the other.
    pub(crate) async fn publish_and_send(&self, publishes: usize, messages: usize) {
        let publishing = async {
            for _ in 0..publishes {
                self.publish().await;
            }
        };
        let sending = async {
            for _ in 0..messages {
                self.send().await;
            }
        };
        tokio::join!(publishing, sending);
    }

    /// The id of the newest event.
    pub(crate) async fn newest_event(&self) -> String {
        let events = self.events().await.expect("a node answers");
        events["data"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn events(&self) -> Option<Value> {
        let headers = [("x-api-key", self.estate.key.as_str())];
        let asked = client::get(self.next_node()?, "/api/v1/events?limit=1000", &headers);
        let (200, events) = timeout(ANSWER_TIME, asked).await.ok()?? else { return None };
        Some(events)
    }

    /// How many of each fan-out are delivered, by event, as a node tells it.
    pub(crate) async fn progress(&self) -> Option<Vec<Vec<(String, u64)>>> {
        let events = self.events().await?;
        let told =
            |fan_out: &Value| (fan_out["fanOut"].as_str().unwrap().to_owned(), fan_out["delivered"].as_u64().unwrap());
        let fan_outs = |event: &Value| event["endpoints"].as_array().unwrap().iter().map(told).collect();
        let is_announced = |event: &&Value| event["webinar"]["version"].as_u64().unwrap() > 1;
        Some(events["data"].as_array().unwrap().iter().filter(is_announced).map(fan_outs).collect())
    }

    /// Asks node after node until one has kept it.
    async fn insist(&self, wish: Wish<'_>) {
        let insisting = async {
            loop {
                let answer = match (self.next_node(), wish) {
                    (Some(node), Wish::Save { series, body }) => self.save(node, series, body).await,
                    (Some(node), Wish::Keep { id }) => self.send_this(node, id).await,
                    (None, _) => Answer::Silence,
                };
                match answer {
                    Answer::Kept(_) => return,
                    // Two requests of one save have met, of which the other was kept, or will be: asked again, a node sees it.
                    Answer::Refused(409, told) if told["code"] == "version_conflict" => {}
                    // It says what is wrong with the request, and would say it again.
                    Answer::Refused(status @ 400..=500, told) => panic!("refused: {status} {told}"),
                    Answer::Refused(..) | Answer::Silence => {
                        self.promises.lock().unwrap().repeated += 1;
                        sleep(LOOK_AGAIN_AFTER).await;
                    }
                }
            }
        };
        timeout(PATIENCE, insisting).await.expect("some node keeps it in the end");
    }

    fn next_node(&self) -> Option<SocketAddr> {
        let nodes: Vec<SocketAddr> = self.nodes.lock().unwrap().iter().flatten().copied().collect();
        nodes.get(self.turns.fetch_add(1, Ordering::Relaxed) % nodes.len().max(1)).copied()
    }
}

async fn heard(asking: impl Future<Output = Option<(u16, Value)>>) -> Answer {
    match timeout(ANSWER_TIME, asking).await {
        Ok(Some((200..=299, answer))) => Answer::Kept(answer),
        Ok(Some((status, answer))) => Answer::Refused(status, answer),
        Ok(None) | Err(_) => Answer::Silence,
    }
}
