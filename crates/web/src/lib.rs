//! Everything HTTP: the compatible API, the native API, the inbox's way in and the first page. It parses requests into
//! domain types, calls the store and answers; it decides nothing. The only code that knows status codes and HTML.

mod account;
mod app;
mod arrivals;
mod attempt_view;
mod audit;
mod body;
mod calendars;
mod caller;
mod context;
mod dashboard;
mod deliveries;
mod endpoints;
mod enrolment;
pub mod erasures;
mod events;
mod health;
mod ingest;
mod integration;
mod keys;
mod mangoes;
pub mod members;
mod messages;
mod misfit;
mod notices;
mod participants;
mod problem;
mod replays;
mod reply;
mod request;
mod routes;
mod runs;
mod secrets;
mod serve;
mod source_labels;
mod sources;
mod subscriptions;
mod test_sends;
#[cfg(test)]
mod tests;
mod webinars;

pub use context::{CalendarFeed, Context, Dashboard, Halves, Limits, ReadinessCheck, TestSend, WebSettings};
pub use ingest::{ConfiguredSources, SamePath};
pub use serve::serve;

/// All routes but the inbox's `/in/{source}`, which [`serve`] answers before any router.
pub fn router(context: Context) -> axum::Router {
    routes::router(app::App::new(context))
}

/// The inbox's way in and its calendars alone, for another program's router: `/in/{path}` of every source and
/// `/calendars/{token}`.
pub fn inbox_router(context: Context) -> axum::Router {
    let app = app::App::new(context);
    let ingest = std::sync::Arc::new(ingest::Ingest::new(app.clone()));
    let way_in = move |request: axum::extract::Request| {
        let ingest = ingest.clone();
        async move { ingest.answer(request).await.map(axum::body::Body::new) }
    };
    axum::Router::new()
        .route("/in/{source}", axum::routing::any(way_in))
        .route("/calendars/{token}", axum::routing::get(calendars::show))
        .with_state(app)
}
