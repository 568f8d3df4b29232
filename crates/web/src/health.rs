//! `/livez` and `/readyz`, for whoever restarts us or sends us traffic.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::app::AppState;
use crate::problem::Problem;
use crate::reply::{self, Reply};

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The process answers.
pub(crate) async fn live() -> Response {
    reply::ok(&Health { status: "alive" })
}

/// The process can do its work: its store can be written.
pub(crate) async fn ready(State(app): State<AppState>) -> Reply {
    match (app.context.readiness)().await {
        Ok(()) => Ok(reply::ok(&Health { status: "ready" })),
        Err(cause) => Err(Problem::not_ready(&cause)),
    }
}
