//! What there is before anything fails: an account, its members, series that nobody was told of yet, endpoints, and the
//! settings of the inbox.

use std::net::SocketAddr;

use serde_json::{Value, json};
use wire::SigningSecret;

use crate::client;

/// The key of the inbox's source.
pub(crate) const SECRET: [u8; 32] = [7; 32];

/// How much there is of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) members: usize,
    pub(crate) endpoints: usize,
    /// Each is announced once for each publish of it.
    pub(crate) series: usize,
    /// What an endpoint may get in a second: so that deliveries last as long as the fault.
    pub(crate) per_second: Option<u32>,
}

pub(crate) struct Estate {
    pub(crate) size: Size,
    pub(crate) key: String,
    pub(crate) mango: String,
    /// Ids.
    pub(crate) series: Vec<String>,
}

/// The settings of the inbox's source.
pub(crate) fn settings_of_the_source() -> String {
    let secret = SigningSecret::from_random(SECRET).reveal();
    format!("[[source]]\nname = \"sender\"\nkeys = [\"{}\"]\n", secret.as_str())
}

/// The same, and those of a handler whose effects stand in the user's database.
pub(crate) fn settings(crm: &str) -> String {
    let handler = format!(
        r#"
[[handler]]
name = "crm"
type = "sql"
start = "oldest"
database = "{crm}"
statements = ["insert into effect (message) values (:body.number)"]
create-tables = true
retry = ["1s", "1s", "1s", "2s", "5s", "10s", "10s", "10s", "10s"]
"#
    );
    settings_of_the_source() + &handler
}

/// The draft of a series, whose title tells one save from the next.
pub(crate) fn draft(mango: &str, title: &str) -> Value {
    json!({
        "title": title, "link": "https://meet.example.com/abc", "timezone": "Asia/Kolkata",
        "start": "2037-03-06T15:30", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=2",
        "mangoes": [mango],
    })
}

impl Estate {
    /// Makes it all by the API of this node.
    pub(crate) async fn make(node: SocketAddr, key: String, size: Size, hook: &str) -> Estate {
        let create = async |path: &str, body: Value| create(node, &key, path, &body).await;
        let mango = create("/api/v1/mangoes", json!({"name": "Gold"})).await["id"].as_str().unwrap().to_owned();
        let mut list = "name,email,phone,timezone\n".to_owned();
        (1..=size.members).for_each(|number| list.push_str(&format!("Person {number},person{number}@example.com,,\n")));
        let headers = [("x-api-key", key.as_str()), ("content-type", "text/csv")];
        let path = format!("/api/v1/mangoes/{mango}/members");
        let (status, answer) = client::post(node, &path, &headers, list).await.unwrap();
        assert!(status < 300 && answer["added"] == size.members, "{status} {answer}");
        // Nobody subscribes yet, so the first versions are told to nobody.
        let mut series = Vec::new();
        for number in 0..size.series {
            let saved = create("/api/v1/webinars", draft(&mango, &format!("Series {number}"))).await;
            series.push(saved["id"].as_str().unwrap().to_owned());
        }
        for number in 0..size.endpoints {
            let subscription = json!({"url": format!("{hook}/{number}"), "event": "webinar.created.recurring"});
            let made = create("/api/v1/subscriptions", subscription).await;
            if let Some(per_second) = size.per_second {
                let path = format!("/api/v1/endpoints/{}", made["endpoint"]["id"].as_str().unwrap());
                let rate = json!({"rate": {"perSecond": per_second, "burst": 1}}).to_string();
                let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
                let (status, answer) = client::patch(node, &path, &headers, rate).await.unwrap();
                assert!(status < 300, "{status} {answer}");
            }
        }
        Estate { size, key, mango, series }
    }
}

async fn create(node: SocketAddr, key: &str, path: &str, body: &Value) -> Value {
    let headers = [("x-api-key", key), ("content-type", "application/json")];
    let (status, answer) = client::post(node, path, &headers, body.to_string()).await.unwrap();
    assert!(status < 300, "{path}: {status} {answer}");
    answer
}
