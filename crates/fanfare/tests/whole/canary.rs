//! The canary: two network namespaces without a way out. In the first, every forbidden address stands on `lo` with a
//! listener on all of them, and the real binary is told to call them all, by every spelling and every DNS trick, with
//! deliveries and with test sends, while the environment names a proxy. The listeners must count nothing, while a control
//! receiver in the second namespace is reached, and so is the one private address that the operator opened.

mod dns;
mod namespaces;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
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
const LITERALS: [&str; 37] = [
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0:8080/",
    "http://10.0.0.1/",
    // Beside the one that is opened: another port, another address.
    "http://10.9.9.9/",
    "http://10.9.9.9:8081/",
    "http://10.9.9.8:8080/",
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

/// Where the canary listens, too.
const PROXY: &str = "http://127.0.0.1:3128";
/// The one private address that the operator opens.
const OPENED: &str = "10.9.9.9:8080";

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
        // A proxy would resolve names and connect in our place; the canary listens where these point.
        .envs(["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"].map(|name| (name, PROXY)))
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
        let mut host = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("host:") {
                println!("{line}");
                host = line;
                break;
            }
        }
        let status = match host.ends_with(dns::REDIRECTING) {
            true => "307 There\r\nlocation: http://169.254.169.254/latest/meta-data/",
            false => "200 OK",
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = write.write_all(answer.as_bytes()).await;
    }
}

/// In the first namespace: canaries on all addresses, the real binary, and every attack.
async fn inside() {
    namespaces::assert_there_is_no_way_out();
    let sung = Arc::new(AtomicUsize::new(0));
    for port in [80, 443, 3128, 8080, 8081] {
        listen(port, sung.clone()).await;
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
    let mut endpoints = BTreeMap::new();
    for name in dns::FORBIDDEN.iter().chain(&[dns::ALLOWED, dns::REDIRECTING, OPENED]) {
        let (status, answer) = world.register(&format!("http://{name}/hook")).await;
        assert_eq!(status, 200, "{name} can only be judged after DNS: {answer}");
        endpoints.insert(*name, answer["result"]["endpoint"]["id"].as_str().unwrap().to_owned());
    }
    // Twice, because some names turn bad the second time.
    for welcome in [&[dns::ALLOWED, dns::REBINDING][..], &[dns::ALLOWED]] {
        world.announce().await;
        let mut awaited: BTreeSet<String> = welcome.iter().map(|name| format!("host: {name}")).collect();
        while !awaited.is_empty() {
            awaited.remove(&timeout(PATIENCE, heard.next_line()).await.unwrap().unwrap().unwrap());
        }
    }
    world.wait_until_failing(dns::FORBIDDEN.iter().map(|name| &endpoints[name])).await;
    for (name, endpoint) in &endpoints {
        world.test(name, endpoint).await;
    }
    assert_eq!(sung.load(Ordering::SeqCst), 0, "forbidden addresses that were called");
    world.server.stop().await;
    control.kill().await.unwrap();
}

/// Counts whoever comes at this port of any address here, and answers at the one that is opened.
async fn listen(port: u16, sung: Arc<AtomicUsize>) {
    let listener = TcpListener::bind(format!("[::]:{port}")).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let called = stream.local_addr().unwrap();
            if SocketAddr::new(called.ip().to_canonical(), called.port()).to_string() == OPENED {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.read(&mut [0; 65536]).await;
                let _ = stream.write_all(answer).await;
                continue;
            }
            eprintln!("a forbidden address was called: {called}");
            sung.fetch_add(1, Ordering::SeqCst);
        }
    });
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
        let server =
            Server::start_with(database, &["serve", "--listen", "127.0.0.1:7000", "--allow-target", OPENED], None)
                .await
                .unwrap();
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

    /// Sends a test webhook: what is forbidden is so on this way, too, and is told coarsely.
    async fn test(&self, name: &str, endpoint: &str) {
        let path = format!("/api/v1/endpoints/{endpoint}/test");
        let (status, answer) = self.post(&path, String::new(), "application/json").await;
        assert_eq!(status, 200, "{name}: {answer}");
        let error = answer["error"].as_str().unwrap_or_default();
        match name {
            dns::ALLOWED | OPENED => assert_eq!(answer["statusCode"], 200, "{name}: {answer}"),
            dns::REDIRECTING => assert_eq!(answer["statusCode"], 307, "{answer}"),
            // These give no address that could be vetted.
            "garbage.example.com" | "silent.example.com" | "thousand.example.com" | "truncated.example.com" => {
                assert!(["E_DNS", "E_TIMEOUT", "E_INVALID_TARGET"].contains(&error), "{name}: {answer}");
            }
            _ => assert_eq!(error, "E_INVALID_TARGET", "{name}: {answer}"),
        }
        if !error.is_empty() {
            assert!(answer["phases"]["connectMs"].is_null(), "{name}: {answer}");
            let reason = answer["reason"].as_str().unwrap();
            assert!(reason.parse::<std::net::IpAddr>().is_err() && !reason.contains("127."), "{name}: {reason}");
        }
    }

    /// Waits until each of these endpoints has a delivery that failed.
    async fn wait_until_failing(&self, expected: impl Iterator<Item = &String>) {
        let headers = [("x-api-key", self.key.as_str())];
        let expected: BTreeSet<&str> = expected.map(String::as_str).collect();
        let mut missing = Vec::new();
        let trying = async {
            loop {
                let path = "/api/v1/deliveries?status=retrying&limit=1000";
                let (_, answer) = client::get(self.server.address, path, &headers).await.unwrap();
                let failing = answer["data"].as_array().unwrap().iter().map(|item| item["endpoint"].as_str().unwrap());
                let failing: BTreeSet<&str> = failing.collect();
                missing = expected.difference(&failing).map(|id| (*id).to_owned()).collect();
                if missing.is_empty() {
                    return;
                }
                sleep(LOOK_AGAIN_AFTER).await;
            }
        };
        let tried = timeout(PATIENCE, trying).await;
        tried.unwrap_or_else(|_| panic!("no delivery failed at {missing:?}"));
    }
}
