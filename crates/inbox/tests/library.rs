//! The inbox as a library: what the example does, over its router and its database.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use inbox::{Inbox, Job, Reading, RunFailure, RunningInbox};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower::ServiceExt;

const SETTINGS: &str = include_str!("../examples/own_app.toml");
const PATH: &str = "/in/tm-5e0f6ad1c9b847239f3e2d1c0b5a";
const PATIENCE: Duration = Duration::from_secs(30);
const BODY: &str = r#"{"name":"Asha","email":"asha@example.com","phone":919876543210,"timezone":"+05:30","callList":[{"webinar":"Clinic","webinarId":"634fc35ddaf58580e2418c40","webinarLink":"https://meet.example/a","webinarFromTime":"2027-03-15T10:00:00.000Z","webinarToTime":"2027-03-15T11:00:00.000Z","webinarFromTimeInCreatorTimezone":"2027-03-15T15:30:00.000Z","webinarToTimeInCreatorTimezone":"2027-03-15T16:30:00.000Z","creatorTimezone":"+05:30"}],"mangoes":"Gold"}"#;

/// An inbox whose handler tells us the names it was given.
async fn start(database: &Path) -> (RunningInbox, mpsc::UnboundedReceiver<(String, String)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let greet = move |job: Job| {
        let tell = tell.clone();
        async move {
            let Reading::Webinar(event) = &job.message.reading else { return Ok::<(), RunFailure>(()) };
            tell.send((event.person.name.clone(), job.idempotency_key())).unwrap();
            Ok(())
        }
    };
    (Inbox::new(database, SETTINGS).handle("greet", greet).start().await.unwrap(), told)
}

async fn post(app: &Router, path: &str, body: &str) -> StatusCode {
    let request = Request::post(path).body(Body::from(body.to_owned())).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn an_application_takes_the_inbox_in_beside_its_own_routes() {
    let directory = TempDir::new().unwrap();
    let database = directory.path().join("inbox.db");
    let (inbox, mut told) = start(&database).await;
    let app = Router::new().route("/", get(async || "my own page")).merge(inbox.router());

    assert_eq!(post(&app, PATH, BODY).await, StatusCode::OK);
    assert_eq!(post(&app, PATH, BODY).await, StatusCode::OK);
    assert_eq!(post(&app, "/in/tm-of-somebody-else-0123456789", BODY).await, StatusCode::UNAUTHORIZED);
    let home = app.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(home.status(), StatusCode::OK);

    let (name, key) = timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    assert_eq!((name.as_str(), key.len()), ("Asha", 40));
    inbox.stop().await.unwrap();
    assert!(told.try_recv().is_err(), "a repetition is handled once");
}

#[tokio::test]
async fn settings_with_a_mistake_start_nothing_and_are_told_by_line() {
    let directory = TempDir::new().unwrap();
    let inbox = Inbox::new(directory.path().join("inbox.db"), "[[source]]\nname = \"x\"\npreset = \"githup\"\n");
    let told = inbox.start().await.err().unwrap().to_string();
    assert!(told.contains("line 3") && told.contains("github"), "{told}");
}

#[tokio::test]
async fn two_handlers_of_one_name_start_nothing() {
    let directory = TempDir::new().unwrap();
    let inbox = Inbox::new(directory.path().join("inbox.db"), SETTINGS);
    let inbox = inbox.handle("greet", |_| async { Ok(()) }).handle("greet", |_| async { Ok(()) });
    let told = inbox.start().await.err().unwrap().to_string();
    assert!(told.contains("two handlers are named \"greet\""), "{told}");
}

#[test]
fn the_example_is_under_twenty_lines_and_its_documentation_is_the_example() {
    let example = include_str!("../examples/own_app.rs");
    let main = example.split("async fn greet").next().unwrap();
    let lines = main
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("//!") && !line.starts_with("#!"))
        .count();
    assert!(lines < 20, "{lines}");
    let documentation = include_str!("../../../docs/receiving/library.md");
    assert!(documentation.contains(example.trim()), "docs/receiving/library.md shows another example");
}
