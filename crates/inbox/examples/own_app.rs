//! The inbox within an application of one's own: its routes merged, a handler in code.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use axum::Router;
use axum::routing::get;
use inbox::{Inbox, Job, Reading, RunFailure};

const SETTINGS: &str = include_str!("own_app.toml");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let inbox = Inbox::new("inbox.db", SETTINGS).handle("greet", greet).start().await?;
    let app = Router::new().route("/", get(async || "my own page")).merge(inbox.router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
    inbox.stop().await
}

async fn greet(job: Job) -> Result<(), RunFailure> {
    let Reading::Webinar(event) = &job.message.reading else { return Ok(()) };
    println!("{}: {} is invited to {} sessions", job.idempotency_key(), event.person.name, event.sessions.len());
    Ok(())
}
