//! Receivers that answer every webhook without end: the real binary's memory stays where it was.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::server::{LOOK_AGAIN_AFTER, PATIENCE, Server};
use crate::{client, server, skip};

const MEMBERS: usize = 250;
/// Requests in flight are 64 at most for each receiver, and each may hold 144 KiB of an answer: 54 MiB for six at worst.
/// The rest is for what any load takes: bodies to send, pages of the audience, outcomes, the database.
const GROWTH_MAX: u64 = 64 * 1024 * 1024;

/// How each answer begins, and what follows for ever.
const SUCCESSES: [(&str, &str); 4] = [
    ("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n", "x"),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", "\u{1f}\u{0}"),
    ("HTTP/1.0 200 OK\r\n\r\n", "x"),
];
const FAILURES: [(&str, &str); 2] = [("HTTP/1.1 200 OK\r\nx-a: ", "x"), ("", "HTTP/1.1 103 Early Hints\r\n\r\n")];

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_end_do_not_fill_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("endless.db");
    let key = server::create_account(&database).await;
    let server = Server::start(&database, None).await.unwrap();
    let Some(at_first) = server.peak_memory() else { return skip("this system does not tell a process' peak memory") };
    let provider = Provider { address: server.address, key };
    let mango = provider.create("/api/v1/mangoes", json!({"name": "Gold"})).await["id"].clone();
    let members: String = (1..=MEMBERS).map(|n| format!("Person {n},person{n}@example.com,,\n")).collect();
    let path = format!("/api/v1/mangoes/{}/members", mango.as_str().unwrap());
    provider.send(&path, "text/csv", format!("name,email,phone,timezone\n{members}")).await;
    for (head, piece) in SUCCESSES.iter().chain(&FAILURES) {
        let hook = format!("http://{}/hook", endless(head, piece).await);
        let registration = json!({"hookUrl": hook, "event": "webinar.created.recurring"});
        provider.create("/api/v1/integration/webhook/webhook", registration).await;
    }

    let series = json!({
        "title": "Clinic", "link": "https://meet.example.com/abc", "timezone": "Asia/Kolkata",
        "start": "2027-03-05T15:30", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=2", "mangoes": [mango],
    });
    provider.create("/api/v1/webinars", series).await;
    timeout(PATIENCE, provider.everybody_told()).await.expect("those that answer 200 are told");

    let reasons = provider.reasons_of_failures().await;
    assert_eq!(reasons, BTreeSet::from(["the head of the answer is too large".to_owned()]));
    let grown = server.peak_memory().unwrap() - at_first;
    println!("memory grew by {} KiB from {} KiB", grown / 1024, at_first / 1024);
    assert!(grown < GROWTH_MAX, "memory grew by {grown} bytes");
    server.stop().await;
}

/// A receiver that answers every request in this way; where it listens.
async fn endless(head: &'static str, piece: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pieces = piece.repeat(65_536 / piece.len());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let pieces = pieces.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let mut is_read = stream.write_all(head.as_bytes()).await.is_ok();
                while is_read {
                    is_read = stream.write_all(pieces.as_bytes()).await.is_ok();
                }
            });
        }
    });
    address
}

struct Provider {
    address: SocketAddr,
    key: String,
}

impl Provider {
    async fn create(&self, path: &str, body: Value) -> Value {
        self.send(path, "application/json", body.to_string()).await
    }

    async fn send(&self, path: &str, kind: &str, body: String) -> Value {
        let headers = [("x-api-key", self.key.as_str()), ("content-type", kind)];
        let (status, answer) = client::post(self.address, path, &headers, body).await.unwrap();
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        client::get(self.address, path, &[("x-api-key", self.key.as_str())]).await.unwrap().1
    }

    async fn everybody_told(&self) {
        loop {
            let event = self.get("/api/v1/events").await["data"][0].clone();
            let endpoints = event["endpoints"].as_array().unwrap();
            let told = endpoints.iter().filter(|endpoint| endpoint["delivered"] == MEMBERS).count();
            if told == SUCCESSES.len() {
                return;
            }
            sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    async fn reasons_of_failures(&self) -> BTreeSet<String> {
        let failed = self.get("/api/v1/deliveries?status=retrying&limit=1000").await;
        let reason = |delivery: &Value| delivery["lastAttempt"]["reason"].as_str().map(str::to_owned);
        failed["data"].as_array().unwrap().iter().filter_map(reason).collect()
    }
}
