//! Marked people and secrets go through everything the server does, well and badly, at the most talkative log level.
//! Afterwards no mark is in its log or in an error it gave, and no text of ours has become a header.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use store::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use wire::{Signer, SigningSecret, WebhookId};

use crate::server::{LOOK_AGAIN_AFTER, PATIENCE, Server};
use crate::world::WallClock;
use crate::{client, server};

/// In every text that is a person's.
const PERSON: &str = "zqmark";
/// A person's number, in its ways of being written.
const PHONES: [&str; 2] = ["98765 01773", "9876501773"];
/// In every secret that can be chosen; base64 as it stands.
const SECRET: &str = "ZqHidden";

/// Enough for an endpoint that fails at each of them to be taken for failing.
const PEOPLE: usize = 5;

/// A receiver on a plain socket, so that what is sent is seen as it is on the wire.
#[derive(Clone)]
struct Wire {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Wire {
    async fn answering(answer: String) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire { address: listener.local_addr().unwrap(), heads: Arc::default() };
        let heads = wire.heads.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer_one(stream, answer.clone(), heads.clone()));
            }
        });
        wire
    }

    fn url(&self) -> String {
        format!("http://{}/hook/{SECRET}?token={SECRET}", self.address)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// One request, one answer, the end.
async fn answer_one(mut stream: TcpStream, answer: String, heads: Arc<Mutex<Vec<String>>>) {
    let mut read = Vec::new();
    let mut piece = [0; 4_096];
    let head = loop {
        let Ok(count @ 1..) = stream.read(&mut piece).await else { return };
        read.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                break head.to_owned();
            }
        }
    };
    heads.lock().unwrap().push(head);
    let _ = stream.write_all(answer.as_bytes()).await;
}

struct Run {
    server: Server,
    key: String,
    /// Everything that a refused request was told.
    errors: Vec<String>,
}

impl Run {
    async fn post(&mut self, path: &str, media: &str, body: &str) -> Value {
        let key = self.key.clone();
        self.post_with(&[("x-api-key", &key), ("content-type", media)], path, body).await
    }

    async fn post_with(&mut self, headers: &[(&str, &str)], path: &str, body: &str) -> Value {
        let (status, answer) = client::post(self.server.address, path, headers, body.to_owned()).await.unwrap();
        if status >= 400 {
            self.errors.push(format!("{status} {answer}"));
        }
        answer
    }

    async fn get(&mut self, path: &str, key: &str) -> Value {
        let (status, answer) = client::get(self.server.address, path, &[("x-api-key", key)]).await.unwrap();
        if status >= 400 {
            self.errors.push(format!("{status} {answer}"));
        }
        answer
    }

    async fn json(&mut self, path: &str, body: Value) -> Value {
        self.post(path, "application/json", &body.to_string()).await
    }

    async fn subscribe(&mut self, url: &str) -> String {
        let body = json!({"hookUrl": url, "event": "webinar.created.recurring"});
        let registered = self.json("/api/v1/integration/webhook/webhook", body).await;
        registered["result"]["signingSecret"].as_str().unwrap_or_else(|| panic!("{registered}")).to_owned()
    }

    async fn send_webhook(&mut self, path: &str, secret: &SigningSecret, id: &str, body: &str) -> Value {
        let now = WallClock.now().as_second();
        let signer = Signer::new([secret.clone()]).unwrap();
        let signature = signer.sign(WebhookId::new(id).unwrap(), now, body.as_bytes());
        let now = now.to_string();
        let headers = [("webhook-id", id), ("webhook-timestamp", &now), ("webhook-signature", &signature)];
        self.post_with(&headers, path, body).await
    }
}

#[tokio::test]
async fn nothing_of_a_person_and_no_secret_is_in_a_log_or_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("leaks.db");
    let key = server::create_account(&database).await;
    let server = Server::start_talkative(&database).await;
    let mut run = Run { server, key: key.clone(), errors: Vec::new() };

    let mut secrets = vec![key.clone(), SECRET.to_owned(), SECRET.to_lowercase()];
    secrets.extend([PERSON, PHONES[0], PHONES[1]].map(str::to_owned));
    let receivers = deliver(&mut run, &mut secrets).await;
    refuse(&mut run).await;
    receive(&mut run, &mut secrets).await;
    wrong_keys(&mut run, &mut secrets).await;

    let log = run.server.stop().await;
    for noise in ["DEBUG", "no answer", "a webhook was rejected", "an endpoint changed", "too many wrong API keys"] {
        assert!(log.contains(noise), "it logs, and {noise:?} has happened");
    }
    assert!(run.errors.len() > 60, "{}", run.errors.len());
    let lines = log.lines().map(|line| ("log", line)).chain(run.errors.iter().map(|told| ("error", told.as_str())));
    for (place, line) in lines {
        let plain = line.to_lowercase();
        let found = secrets.iter().find(|secret| plain.contains(&secret.to_lowercase()));
        assert_eq!(found, None, "in this {place}: {line}");
    }
    for head in receivers.iter().flat_map(Wire::heads) {
        assert!(head.lines().skip(1).all(is_ours), "{head}");
    }
}

/// Whether a header on the wire is one that we send.
fn is_ours(line: &str) -> bool {
    let name = line.split(':').next().unwrap();
    ["host", "content-type", "content-length", "user-agent", "accept", "accept-encoding"].contains(&name)
        || name.starts_with("webhook-")
        || name.starts_with("fanfare-")
}

/// Deliveries that succeed, fail in several ways, and are looked at.
async fn deliver(run: &mut Run, secrets: &mut Vec<String>) -> [Wire; 3] {
    let ok = Wire::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()).await;
    let body = format!("no such {PERSON}@pii.example");
    let failing = format!("HTTP/1.1 500 {PERSON}\r\nx-who: {PERSON}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let failing = Wire::answering(failing).await;
    let garbage = Wire::answering(format!("{PERSON} {SECRET}\r\n\r\n")).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

    let mango = run.json("/api/v1/mangoes", json!({"name": "Gold"})).await["id"].as_str().unwrap().to_owned();
    let lines =
        (1..=PEOPLE).map(|nth| format!("{PERSON}\u{e9},{PERSON}{nth}@pii.example,+91 {},,{PERSON}\n", PHONES[0]));
    let people: String = ["name,email,phone,timezone,note\n".to_owned()].into_iter().chain(lines).collect();
    let members = format!("/api/v1/mangoes/{mango}/members");
    let added = run.post(&members, "text/csv", &people).await;
    assert_eq!(added["added"], PEOPLE, "{added}");
    for url in [ok.url(), failing.url(), garbage.url(), format!("http://{closed}/{SECRET}")] {
        secrets.push(run.subscribe(&url).await);
    }
    let series = json!({
        "title": format!("{PERSON} clinic"), "link": format!("https://meet.example.com/{SECRET}"),
        "timezone": "Asia/Kolkata", "start": "2027-03-05T15:30", "durationMinutes": 60,
        "recurrence": "FREQ=WEEKLY;COUNT=2", "mangoes": [mango],
    });
    let saved = run.json("/api/v1/webinars", series).await;
    assert!(saved["id"].is_string(), "{saved}");
    let over = async {
        while [&ok, &failing, &garbage].iter().any(|wire| wire.heads().len() < PEOPLE) {
            sleep(LOOK_AGAIN_AFTER).await;
        }
    };
    timeout(PATIENCE, over).await.expect("all of them are called");
    let key = run.key.clone();
    for path in ["events", "deliveries", "endpoints", "participants/1", "audit", "keys", &format!("mangoes/{mango}")] {
        assert!(run.get(&format!("/api/v1/{path}"), &key).await.get("code").is_none(), "{path}");
    }
    let audit = run.get("/api/v1/audit", &key).await.to_string();
    assert!(secrets.iter().all(|secret| !audit.contains(secret)), "{audit}");
    [ok, failing, garbage]
}

/// Requests that are refused although they hold people and secrets.
async fn refuse(run: &mut Run) {
    let hooks = ["http://user:ZqHidden@a.example/", "ftp://a.example/ZqHidden", "http://10.0.0.1/ZqHidden", "ZqHidden"];
    for hook in hooks {
        run.json("/api/v1/subscriptions", json!({"url": hook, "event": "webinar.created.recurring"})).await;
    }
    let mango = run.json("/api/v1/mangoes", json!({"name": "Silver"})).await["id"].as_str().unwrap().to_owned();
    let members = format!("/api/v1/mangoes/{mango}/members");
    let lines = format!(
        "name,email,phone\n{PERSON},{PERSON} at pii,1\n,{PERSON}@pii.example,\n{PERSON},a@b.example,{PERSON}\n"
    );
    let report = run.post(&members, "text/csv", &lines).await;
    run.errors.push(format!("the report of a list: {report}"));
    let lines = format!("{{\"name\":\"{PERSON}\"}}\n{{\"name\":\"{PERSON}\",\"email\":7}}\n\"{PERSON}\n");
    let report = run.post(&members, "application/x-ndjson", &lines).await;
    run.errors.push(format!("the report of a list: {report}"));
    run.post(&members, "text/csv", &format!("{PERSON},{PERSON}\n")).await;
    run.post(&members, &format!("text/{PERSON}"), "").await;
    for body in
        [format!("{{\"name\":\"{PERSON}"), format!("[\"{PERSON}\"]"), PERSON.to_owned(), format!("\"{PERSON}\"")]
    {
        run.post("/api/v1/webinars", "application/json", &body).await;
    }
    run.json("/api/v1/sources", json!({"name": "x", "keys": [format!("whsec_{SECRET}")]})).await;
    run.json("/api/v1/sources", json!({"name": "x", "keys": [format!("{SECRET}!")]})).await;
    let key = run.key.clone();
    for path in [format!("participants/{PERSON}"), format!("webinars/{SECRET}"), PERSON.to_owned()] {
        run.get(&format!("/api/v1/{path}"), &key).await;
    }
}

/// Webhooks that are taken, repeated, changed and refused.
async fn receive(run: &mut Run, secrets: &mut Vec<String>) {
    let secret = SigningSecret::from_random([7; 32]);
    secrets.push(secret.reveal().as_str().to_owned());
    let source = json!({"name": "Shop", "keys": [secret.reveal().as_str()]});
    let path = run.json("/api/v1/sources", source).await["path"].as_str().unwrap().to_owned();
    let person = format!("{{\"email\":\"{PERSON}@pii.example\",\"phone\":{}}}", PHONES[1]);
    for (id, body) in [("m1", person.as_str()), ("m1", &person), ("m1", PERSON), ("m2", PERSON)] {
        let answer = run.send_webhook(&path, &secret, id, body).await;
        assert!(answer["status"] == "stored" || answer["status"] == "duplicate", "{answer}");
    }
    let wrong = SigningSecret::from_random([8; 32]);
    run.send_webhook(&path, &wrong, "m3", &person).await;
    run.send_webhook(&format!("/in/{SECRET}"), &secret, "m3", &person).await;
    run.post_with(&[("webhook-id", PERSON), ("webhook-signature", SECRET)], &path, &person).await;
}

/// Keys that open nothing, where they belong and where they do not.
async fn wrong_keys(run: &mut Run, secrets: &mut Vec<String>) {
    let key = run.key.clone();
    let revoked = run.json("/api/v1/keys", json!({"scopes": ["read"]})).await;
    let (id, revoked) = (revoked["id"].as_str().unwrap().to_owned(), revoked["apiKey"].as_str().unwrap().to_owned());
    let rotated = run.json(&format!("/api/v1/keys/{id}/rotate"), json!({"overlapHours": 0})).await;
    secrets.extend([revoked.clone(), rotated["apiKey"].as_str().unwrap().to_owned()]);
    run.get(&format!("/api/v1/events?key={key}"), &key).await;
    run.get(&format!("/api/v1/events?api_key={SECRET}"), "").await;
    run.get("/api/v1/events", &revoked).await;
    for nth in 0..30_u8 {
        let guess = provider::api_key::ApiKey::from_chance([nth; 8], [nth; 32]).reveal().to_owned();
        run.get("/api/v1/events", &guess).await;
        run.get("/api/v1/events", SECRET).await;
        secrets.push(guess);
    }
    let json = ("content-type", "application/json");
    run.post_with(&[json, ("x-api-key", SECRET)], "/api/v1/integration/webhook/webhook", "{}").await;
    assert!(run.get("/api/v1/events", &key).await["data"].is_array(), "the right key goes on");
}
