//! The canary: two network namespaces without a way out. In the first, every forbidden address stands on `lo` with a
//! listener on all of them, and the real binary is told to call them all, by every spelling and every DNS trick. The
//! listeners must count nothing, while a control receiver in the second namespace is reached.

mod dns;
mod namespaces;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::client;
use crate::server::{self, LOOK_AGAIN_AFTER, PATIENCE, Server};
use crate::skip;
use namespaces::{CONTROL, HERE, Namespaces};

/// Which part of the test this process plays.
const PART: &str = "FANFARE_TEST_CANARY";
const TEST: &str = "canary::no_request_reaches_a_forbidden_address";

/// Written as literals: most are refused when they are registered, none may be called.
const LITERALS: [&str; 34] = [
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0:8080/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.100.100.200/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://169.254.170.2/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://168.63.129.16/",
    "http://11.0.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
    "http://[3fff::1]/",
    "http://localhost/",
    "http://foo.localhost/",
    "http://metadata.google.internal/",
    "http://１２７.０.０.１/",
    "http://%31%32%37.0.0.1/",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_request_reaches_a_forbidden_address() {
    match std::env::var(PART).as_deref() {
        Ok("control") => control().await,
        Ok("inside") => inside().await,
        _ => outside(),
    }
}

/// Makes the namespaces and runs the rest of the test in the first of them.
fn outside() {
    let Some(namespaces) = Namespaces::make() else {
        return skip("the canary needs the command ip and the right to make network namespaces; run it as root");
    };
    let status = namespaces
        .command_here(&std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env(PART, "inside")
        .env("FANFARE_TEST_CONTROL_NAMESPACE", namespaces.control())
        .status()
        .unwrap();
    assert!(status.success(), "see the output above");
}

/// In the second namespace: answers DNS and receives what may be sent.
async fn control() {
    let listener = TcpListener::bind(SocketAddr::new(CONTROL.into(), 80)).await.unwrap();
    tokio::spawn(dns::serve(CONTROL));
    println!("ready");
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("host:") {
                println!("{line}");
                break;
            }
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = tokio::io::AsyncWriteExt::write_all(&mut write, answer).await;
    }
}

/// In the first namespace: canaries on all addresses, the real binary, and every attack.
async fn inside() {
    namespaces::assert_there_is_no_way_out();
    let sung = Arc::new(AtomicUsize::new(0));
    for port in [80, 443, 8080] {
        let listener = TcpListener::bind(format!("[::]:{port}")).await.unwrap();
        let sung = sung.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                eprintln!("a forbidden address was called: {}", stream.local_addr().unwrap());
                sung.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let mut control = start_control();
    let mut heard = BufReader::new(control.stdout.take().unwrap()).lines();
    while timeout(PATIENCE, heard.next_line()).await.unwrap().unwrap().unwrap() != "ready" {}

    let directory = tempfile::tempdir().unwrap();
    let world = Attacker::start(&directory.path().join("canary.db")).await;
    for url in LITERALS {
        let (status, answer) = world.register(url).await;
        assert_eq!(status, 400, "{url} is refused at once: {answer}");
    }
    for name in dns::FORBIDDEN.iter().chain(&[dns::ALLOWED]) {
        let (status, answer) = world.register(&format!("http://{name}/hook")).await;
        assert_eq!(status, 200, "{name} can only be judged after DNS: {answer}");
    }
    // Twice, because some names turn bad the second time.
    for _ in 0..2 {
        world.announce().await;
    }
    let mut reached = Vec::new();
    while reached.iter().filter(|host| **host == format!("host: {}", dns::ALLOWED)).count() < 2 {
        reached.push(timeout(PATIENCE, heard.next_line()).await.unwrap().unwrap().unwrap());
    }
    world.wait_until_all_have_been_tried().await;
    assert_eq!(sung.load(Ordering::SeqCst), 0, "forbidden addresses that were called");
    world.server.stop().await;
    control.kill().await.unwrap();
}

fn start_control() -> tokio::process::Child {
    let namespace = std::env::var("FANFARE_TEST_CONTROL_NAMESPACE").unwrap();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespace]).arg(std::env::current_exe().unwrap());
    command.args([TEST, "--exact", "--nocapture"]).env(PART, "control").stdout(Stdio::piped());
    tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap()
}

/// A tenant who registers what must not be called.
struct Attacker {
    server: Server,
    key: String,
    mango: String,
}

impl Attacker {
    async fn start(database: &Path) -> Attacker {
        let key = server::create_account(database).await;
        let server = Server::start_with(database, &["serve", "--listen", "127.0.0.1:7000"], None).await.unwrap();
        let mut attacker = Attacker { server, key, mango: String::new() };
        let (_, mango) =
            attacker.post("/api/v1/mangoes", json!({"name": "Gold"}).to_string(), "application/json").await;
        attacker.mango = mango["id"].as_str().unwrap().to_owned();
        let members = "name,email,phone,timezone\nEve,eve@example.com,,\n".to_owned();
        attacker.post(&format!("/api/v1/mangoes/{}/members", attacker.mango), members, "text/csv").await;
        attacker
    }

    async fn post(&self, path: &str, body: String, kind: &str) -> (u16, Value) {
        let headers = [("x-api-key", self.key.as_str()), ("content-type", kind)];
        client::post(self.server.address, path, &headers, body).await.unwrap()
    }

    async fn register(&self, url: &str) -> (u16, Value) {
        let body = json!({"hookUrl": url, "event": "webinar.created.recurring"}).to_string();
        self.post("/api/v1/integration/webhook/webhook", body, "application/json").await
    }

    async fn announce(&self) {
        let series = json!({
            "title": "Clinic", "link": "https://meet.example.com/abc", "timezone": "Asia/Kolkata",
            "start": "2027-03-05T15:30", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=2",
            "mangoes": [self.mango],
        });
        let (status, answer) = self.post("/api/v1/webinars", series.to_string(), "application/json").await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Every endpoint but the control's has failed at least once.
    async fn wait_until_all_have_been_tried(&self) {
        let headers = [("x-api-key", self.key.as_str())];
        let trying = async {
            loop {
                let path = "/api/v1/deliveries?status=retrying&limit=1000";
                let (_, answer) = client::get(self.server.address, path, &headers).await.unwrap();
                let endpoints: std::collections::BTreeSet<String> =
                    answer["data"].as_array().unwrap().iter().map(|item| item["endpoint"].to_string()).collect();
                if endpoints.len() >= dns::FORBIDDEN.len() {
                    return;
                }
                sleep(LOOK_AGAIN_AFTER).await;
            }
        };
        timeout(PATIENCE, trying).await.expect("every name is tried");
    }
}
