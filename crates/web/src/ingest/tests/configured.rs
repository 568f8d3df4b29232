//! Sources of the settings file: found by path, with limits and challenges of their own.

use receiver::{Challenge, Preset, Scheme};

use super::*;
use crate::ingest::configured_sources::SamePath;

const SECRET_PATH: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const KEY: &str = "key-of-the-tests-1";

fn source(inbox: &Inbox, name: &str, scheme: Scheme) -> Source {
    let path = if scheme.is_path_secret() { SECRET_PATH } else { name };
    Source::named(inbox.world.account, name, scheme, path).unwrap()
}

fn standard() -> Scheme {
    Scheme::standard_webhooks([secret().reveal().as_str()]).unwrap()
}

fn token(token: &str) -> Request<Full<Bytes>> {
    to("/in/shop").header("authorization", format!("Bearer {token}")).body(Full::from("{}")).unwrap()
}

fn to(path: &str) -> http::request::Builder {
    Request::post(path)
}

fn bearer() -> Scheme {
    Scheme::of_keys(Preset::Bearer, [KEY]).unwrap()
}

#[tokio::test]
async fn a_source_of_the_file_takes_messages_beside_those_of_the_database() {
    let inbox = Inbox::new().await;
    let shop = source(&inbox, "shop", standard());
    let id = shop.id();
    let inbox = inbox.with([shop]);
    for path in ["/in/shop", inbox.path.as_str()] {
        let sent = inbox.send(inbox.signed_by(secret(), path, "m1", "{}")).await;
        assert_eq!(sent, (StatusCode::OK, json!({"status": "stored"})));
    }
    let again = inbox.send(inbox.signed_by(secret(), "/in/shop?from=x", "m1", "{}")).await;
    assert_eq!(again.1, json!({"status": "duplicate"}));
    let messages = inbox.messages().await;
    assert_eq!((messages.len(), &messages[1]["source"]), (2, &json!(id.to_string())));
}

#[tokio::test]
async fn what_came_in_stays_known_when_path_and_keys_change() {
    let inbox = Inbox::new().await;
    let before = source(&inbox, "shop", Scheme::path());
    let inbox = inbox.with([before]);
    let body = r#"{"name":"Asha","webinarId":"1"}"#;
    let post = |path: &str, body: &str| to(path).body(Full::from(body.to_owned())).unwrap();
    let secret_path = format!("/in/{SECRET_PATH}");
    assert_eq!(inbox.send(post(&secret_path, body)).await.1, json!({"status": "stored"}));
    let after = Source::named(inbox.world.account, "shop", bearer(), "elsewhere").unwrap();
    let inbox = inbox.with([after]);
    let mut request = post("/in/elsewhere", r#"{"webinarId":"1", "name":"Asha"}"#);
    request.headers_mut().insert("authorization", format!("Bearer {KEY}").parse().unwrap());
    assert_eq!(inbox.send(request).await.1, json!({"status": "duplicate"}));
    assert_eq!(inbox.send(post(&secret_path, body)).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_token_are_answered_alike() {
    let inbox = Inbox::new().await;
    let sources = [source(&inbox, "shop", bearer()), source(&inbox, "tagmango", Scheme::path())];
    let inbox = inbox.with(sources);
    let wrong = inbox.ingest.answer(token("another")).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    for path in ["/in/shops", "/in/shop/", "/in/Shop", "/in/", "/in/9f8e7d6c5b4a39281706f5e4d3c2b1a1"] {
        let unknown = inbox.ingest.answer(to(path).body(Full::from("{}")).unwrap()).await;
        assert_eq!((unknown.status(), unknown.headers()), (wrong.status(), wrong.headers()), "{path}");
        let bodies = (unknown.into_body().collect().await.unwrap(), Answer::Rejected.into_body());
        assert_eq!(bodies.0.to_bytes(), bodies.1);
    }
    assert_eq!(inbox.send(token(KEY)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_body_over_the_sources_limit_is_refused_before_it_is_read() {
    let inbox = Inbox::new().await;
    let shop = source(&inbox, "shop", bearer()).with_body_bytes_max(1_000);
    let inbox = inbox.with([shop]);
    let of = |size: usize| {
        let mut request = token(KEY);
        *request.body_mut() = Full::from(vec![b'x'; size]);
        request
    };
    let refused = inbox.ingest.answer(of(1_001)).await;
    assert_eq!(
        (refused.status(), &refused.headers()["connection"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &HeaderValue::from_static("close"))
    );
    assert_eq!(inbox.send(of(1_000)).await.0, StatusCode::OK);
    let pieces = futures_util::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 400]))));
    let streamed = to("/in/shop").body(AnyBody::from_stream(pieces)).unwrap();
    assert_eq!(inbox.ingest.answer(streamed).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_source_cannot_lift_the_limit_of_the_server() {
    let limits = Limits { body_bytes: 1_000, ..Limits::default() };
    let inbox = Inbox::of(World::with(WebSettings { limits, ..WebSettings::default() }).await).await;
    let shop = source(&inbox, "shop", bearer()).with_body_bytes_max(1_000_000);
    let inbox = inbox.with([shop]);
    let mut request = token(KEY);
    *request.body_mut() = Full::from(vec![b'x'; 1_001]);
    assert_eq!(inbox.send(request).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(start_paused = true)]
async fn a_rate_counts_what_is_verified_and_says_when_to_come_back() {
    let inbox = Inbox::new().await;
    let shop = source(&inbox, "shop", standard()).with_rate("2/min".parse().unwrap());
    let inbox = inbox.with([shop]);
    let request = |id: &str| inbox.signed_by(secret(), "/in/shop", id, "{}");
    for _ in 0..10 {
        let stranger = inbox.signed_by(SigningSecret::from_random([8; 32]), "/in/shop", "m0", "{}");
        assert_eq!(inbox.send(stranger).await.0, StatusCode::UNAUTHORIZED);
    }
    for id in ["m1", "m2"] {
        assert_eq!(inbox.send(request(id)).await.0, StatusCode::OK);
    }
    let refused = inbox.ingest.answer(request("m3")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((29..=31).contains(&wait), "{wait}");
    tokio::time::advance(Duration::from_secs(wait)).await;
    assert_eq!(inbox.send(request("m3")).await.0, StatusCode::OK);
    assert_eq!(inbox.messages().await.len(), 3);
}

#[tokio::test]
async fn zooms_question_is_answered_and_not_stored_and_its_webhooks_are() {
    let inbox = Inbox::new().await;
    let zoom = source(&inbox, "zoom", Scheme::of_keys(Preset::Zoom, ["another", KEY]).unwrap());
    let inbox = inbox.with([zoom]);
    // From 1 March, 10:00, to 11 March, 12:00.
    inbox.world.advance(Duration::from_hours(10 * 24 + 2));
    let post = |signature: &str, body: &'static str| {
        let request = to("/in/zoom").header("x-zm-request-timestamp", "1710158400").header("x-zm-signature", signature);
        request.body(Full::from(body)).unwrap()
    };
    // Signatures and answer by another implementation.
    let question = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680}"#;
    let signature = "v0=fad155bd900502f0e9e3c66f08ba19df3dc68f9cfe7969706b4d5abfd3e0ae95";
    let encrypted = "426048f271db999ae5fada8f58225b19ec7ea6ef6592b94c2064679b38dd1f05";
    let answer = json!({"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": encrypted});
    assert_eq!(inbox.send(post(signature, question)).await, (StatusCode::OK, answer));
    assert_eq!(inbox.send(post("v0=00", question)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(inbox.messages().await.len(), 0);

    let webhook = r#"{"id":"evt_1","event_id":"Ev1","name":"Asha"}"#;
    let signature = "v0=51fe0c1f245ef958531d22c2796c41400b53a605890766c2b91e53fa55d0e959";
    assert_eq!(inbox.send(post(signature, webhook)).await.1, json!({"status": "stored"}));
    let message = &inbox.messages().await[0];
    assert_eq!(message["headers"], json!({"x-zm-request-timestamp": "1710158400"}));
}

#[tokio::test]
async fn metas_question_is_answered_to_whoever_knows_the_token_and_to_nobody_else() {
    let inbox = Inbox::new().await;
    let meta = source(&inbox, "meta", Scheme::meta([KEY], "typed-into-the-form").unwrap());
    let inbox = inbox.with([meta]);
    let get = |path: &str| Request::get(path).body(Full::default()).unwrap();
    let good = "/in/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=typed-into-the-form";
    let answer = inbox.ingest.answer(get(good)).await;
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (StatusCode::OK, &HeaderValue::from_static("text/plain; charset=utf-8"))
    );
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "1158201444");

    let unknown = inbox.ingest.answer(get("/in/unknown")).await;
    assert_eq!(unknown.status(), StatusCode::METHOD_NOT_ALLOWED);
    for path in [good.replace("form", "farm"), "/in/meta".to_owned(), good.replace("/in/meta", "/in/shop")] {
        let refused = inbox.ingest.answer(get(&path)).await;
        assert_eq!((refused.status(), refused.headers()), (unknown.status(), unknown.headers()), "{path}");
    }
}

#[tokio::test]
async fn graphs_question_is_answered_at_its_path_only() {
    let inbox = Inbox::new().await;
    let graph = source(&inbox, "graph", Scheme::path().with_challenge(Challenge::Graph));
    let inbox = inbox.with([graph]);
    let ask = |path: &str| to(&format!("/in/{path}?validationToken=a%3Ab")).body(Full::default()).unwrap();
    let answer = inbox.ingest.answer(ask(SECRET_PATH)).await;
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "a:b");
    assert_eq!(inbox.send(ask("graph")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(inbox.messages().await.len(), 0);
}

#[tokio::test]
async fn a_source_of_the_database_may_have_a_preset_too() {
    let inbox = Inbox::new().await;
    let new = json!({"name": "Repo", "preset": "github", "keys": ["It's a Secret to Everybody"]});
    let made = inbox.world.post("/api/v1/sources", new).await.is(201);
    assert_eq!(made["preset"], "github");
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let post = |delivery: &str| {
        let request = to(made["path"].as_str().unwrap()).header("x-hub-signature-256", signature);
        request.header("x-github-delivery", delivery).body(Full::from("Hello, World!")).unwrap()
    };
    for (delivery, status) in [("72d3162e", "stored"), ("72d3162e", "duplicate"), ("72d3162f", "stored")] {
        assert_eq!(inbox.send(post(delivery)).await.1, json!({"status": status}), "{delivery}");
    }
    let route = format!("/api/v1/sources/{}/keys", made["id"].as_str().unwrap());
    assert_eq!(inbox.world.call_with("PUT", &route, json!({"keys": ["a", "b"]})).await.is(200)["keyCount"], 2);
    inbox.world.call_with("PUT", &route, json!({"keys": [" "]})).await.refuses(400, &["/keys/0"]);
    for preset in ["gitlab", "tagmango", "custom"] {
        let body = json!({"name": "x", "preset": preset, "keys": ["a"]});
        inbox.world.post("/api/v1/sources", body).await.refuses(400, &["/preset"]);
    }
    let list = inbox.world.get("/api/v1/sources").await.is(200);
    let presets: Vec<_> = list["data"].as_array().unwrap().iter().map(|source| &source["preset"]).collect();
    assert!(
        presets.len() == 2 && presets.contains(&&json!("github")) && presets.contains(&&json!("standard-webhooks"))
    );
}

#[tokio::test]
async fn two_sources_at_one_path_are_refused_by_name() {
    let inbox = Inbox::new().await;
    let sources = ["one", "other"].map(|name| Source::named(inbox.world.account, name, bearer(), "shop").unwrap());
    let refused = ConfiguredSources::new(sources).expect_err("one path");
    assert_eq!(refused, SamePath { one: "one".into(), other: "other".into() });
}
