//! Bodies and texts meant to do harm: each is answered with what is wrong, and none gets further than the answer.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::world::{Answer, World, weekly};

/// Every route that takes JSON of a fixed shape.
const JSON_ROUTES: [(&str, &str); 6] = [
    ("POST", "/api/v1/mangoes"),
    ("POST", "/api/v1/webinars"),
    ("POST", "/api/v1/subscriptions"),
    ("POST", "/api/v1/sources"),
    ("POST", "/api/v1/keys"),
    ("POST", "/api/v1/integration/webhook/webhook"),
];
const MIB: usize = 1024 * 1024;

async fn send(world: &World, method: &str, path: &str, media: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = Request::builder().method(method).uri(path).header("x-api-key", &world.key);
    let request = request.header("content-type", media);
    world.send(request.body(Body::from(body.into())).unwrap()).await
}

/// What is wrong, in the form of the route.
fn told(answer: &Answer) -> String {
    let json = answer.json();
    json["detail"].as_str().or(json["message"].as_str()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn hostile_json_is_refused_with_a_reason_by_every_route() {
    let world = World::new().await;
    let saved = world.weekly_series(&world.mango_of(1).await).await;
    let series = format!("/api/v1/webinars/{}", saved["id"].as_str().unwrap());
    let cases: [(&str, Vec<u8>, u16); 17] = [
        ("nothing", b"".to_vec(), 400),
        ("depth 10,000", b"[".repeat(10_000), 400),
        ("depth 10,000, balanced", [b"{\"a\":".repeat(10_000), b"1".to_vec(), b"}".repeat(10_000)].concat(), 400),
        ("a body full of [", b"[".repeat(MIB), 400),
        ("10 MiB of [", b"[".repeat(10 * MIB), 413),
        ("a byte order mark", b"\xef\xbb\xbf{\"name\":\"x\"}".to_vec(), 400),
        ("invalid UTF-8", b"{\"name\":\"\xff\"}".to_vec(), 400),
        ("half a character", b"{\"name\":\"\\ud800\"}".to_vec(), 400),
        ("the other half", b"{\"\\udc00\":1}".to_vec(), 400),
        ("a number without end", b"{\"name\":1e999999}".to_vec(), 400),
        ("text after the end", b"{\"name\":\"a\"} x".to_vec(), 400),
        ("a bare NUL", b"{\"name\":\"a\0\"}".to_vec(), 400),
        ("a name twice", b"{\"name\":\"a\",\"name\":\"b\"}".to_vec(), 400),
        ("a list", b"[\"a\"]".to_vec(), 400),
        ("null", b"null".to_vec(), 400),
        ("a long text", format!("{{\"name\":\"{}\"}}", "x".repeat(MIB - 11)).into_bytes(), 400),
        ("a long name", format!("{{\"{}\":1}}", "x".repeat(MIB - 6)).into_bytes(), 400),
    ];
    for (method, path) in JSON_ROUTES.into_iter().chain([("PUT", series.as_str()), ("PATCH", series.as_str())]) {
        for (what, body, status) in &cases {
            let answer = send(&world, method, path, "application/json", body.clone()).await;
            assert_eq!(
                answer.status,
                *status,
                "{what} at {method} {path}: {}",
                &answer.text[..answer.text.len().min(300)]
            );
            assert!(!told(&answer).is_empty(), "{what} at {path}");
        }
        for media in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", ""] {
            let answer = send(&world, method, path, media, "{}").await;
            assert_eq!(answer.status, 415, "{media} at {path}");
            assert!(told(&answer).contains("application/json"), "{}", answer.text);
        }
    }
    assert_eq!(world.get("/api/v1/events").await.is(200)["data"].as_array().unwrap().len(), 1, "nobody was told");
}

#[tokio::test]
async fn what_is_wrong_with_a_field_is_told_at_the_field() {
    let world = World::new().await;
    world.post("/api/v1/mangoes", json!({"name": "a", "nane": "b"})).await.refuses(400, &["/nane"]);
    world.post("/api/v1/mangoes", json!(["a"])).await.refuses(400, &[""]);
    world.post("/api/v1/mangoes", json!({"name": "a\u{0}"})).await.refuses(400, &["/name"]);
    world.post("/api/v1/mangoes", json!({"name": "é".repeat(201)})).await.refuses(400, &["/name"]);
}

#[tokio::test]
async fn packed_bodies_are_not_taken() {
    let world = World::new().await;
    let mango = world.mango_of(0).await;
    for (path, media) in
        [("/api/v1/mangoes".to_owned(), "application/json"), (format!("/api/v1/mangoes/{mango}/members"), "text/csv")]
    {
        for encoding in ["gzip", "br", "identity, gzip", "x"] {
            let request = Request::post(&path).header("x-api-key", &world.key).header("content-type", media);
            let request = request.header("content-encoding", encoding).body(Body::from("{\"name\":\"a\"}")).unwrap();
            assert!(world.send(request).await.refuses(415, &[]).contains("content-encoding"), "{encoding}");
        }
    }
    let request =
        Request::post("/api/v1/mangoes").header("x-api-key", &world.key).header("content-type", "application/json");
    let request = request.header("content-encoding", "Identity").body(Body::from("{\"name\":\"a\"}")).unwrap();
    world.send(request).await.is(201);
}

/// Texts that would split a header or a line of a log, end a string, or turn a line around.
const NASTY: [&str; 5] = ["a\r\nx-injected: 1", "a\nx-injected: 1", "a\0b", "\u{1b}[2J\u{7f}", "é🎺\u{202e}\u{2028}"];

#[tokio::test]
async fn no_text_of_a_client_becomes_a_header_or_an_error_of_ours() {
    let world = World::new().await;
    let mango = world.mango_of(1).await;
    let mut answers = Vec::new();
    for nasty in NASTY {
        let hook = format!("https://a.example/{nasty}?token={nasty}");
        let series = |field: &str| {
            let mut series = weekly(&mango);
            series[field] = Value::from(nasty);
            series
        };
        let bodies = [
            ("/api/v1/mangoes", json!({"name": nasty})),
            ("/api/v1/sources", json!({"name": nasty})),
            ("/api/v1/sources", json!({"name": "x", "id": nasty, "keys": [nasty]})),
            ("/api/v1/keys", json!({"scopes": [nasty]})),
            ("/api/v1/subscriptions", json!({"url": hook, "event": "webinar.created.single"})),
            ("/api/v1/subscriptions", json!({"url": format!("https://{nasty}.example"), "event": nasty})),
            ("/api/v1/integration/webhook/webhook", json!({"hookUrl": hook, "event": "webinar.created.recurring"})),
            ("/api/v1/integration/webhook/webhook", json!({"hookUrl": "https://a.example", "event": nasty, nasty: 1})),
            ("/api/v1/webinars", series("title")),
            ("/api/v1/webinars", series("link")),
            ("/api/v1/webinars", series("timezone")),
            ("/api/v1/webinars", series("start")),
            ("/api/v1/webinars", series("recurrence")),
            ("/api/v1/webinars", series(nasty)),
        ];
        for (path, body) in bodies {
            answers.push(world.post(path, body).await);
        }
        let members = format!("/api/v1/mangoes/{mango}/members");
        let csv = format!(
            "name,email,phone,timezone,\"{nasty}\"\n\"{nasty}\",\"{nasty}@x.example\",\"{nasty}\",\"{nasty}\",1\n"
        );
        answers.push(world.post_list(&members, "text/csv", &csv).await);
        let line = json!({"name": nasty, "email": "b@x.example", "phone": nasty, "timezone": nasty, nasty: nasty});
        answers.push(world.post_list(&members, "application/x-ndjson", &format!("{line}\n")).await);
        let escaped: String = nasty.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for path in [
            format!("/api/v1/mangoes?cursor={escaped}"),
            format!("/api/v1/mangoes?{escaped}=1"),
            format!("/api/v1/deliveries?participant={escaped}&limit=1"),
            format!("/api/v1/webinars/{escaped}"),
            format!("/{escaped}"),
        ] {
            answers.push(world.get(&path).await);
        }
    }
    let lists = ["/api/v1/mangoes?limit=1", "/api/v1/endpoints?limit=1", "/api/v1/webinars?limit=1", "/"];
    for list in lists {
        answers.push(world.get(list).await);
    }
    let refused = answers.iter().filter(|answer| answer.status.is_client_error()).count();
    assert!(refused > answers.len() / 2, "{refused} of {}", answers.len());
    for answer in answers {
        assert!(!answer.status.is_server_error(), "{}", answer.text);
        assert!(!answer.headers.contains_key("x-injected"), "{:?}", answer.headers);
        let clean = |value: &http::HeaderValue| value.as_bytes().iter().all(|byte| (0x20..0x7f).contains(byte));
        assert!(answer.headers.values().all(clean), "{:?}", answer.headers);
    }
}
