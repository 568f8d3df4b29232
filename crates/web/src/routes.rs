//! The route table, in one screen, and the router made of it. The inbox's way in is not here: it is answered before.

use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Extension, Router};
use http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method};
use provider::api_key::Scope;

use crate::app::AppState;
use crate::problem::Problem;
use crate::{
    Halves, account, arrivals, audit, calendars, dashboard, deliveries, endpoints, enrolment, erasures, events, health,
    integration, keys, mangoes, messages, notices, participants, replays, runs, secrets, sources, subscriptions,
    test_sends, webinars,
};

/// Which half serves a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Both,
    Provider,
    Receiver,
}

/// Who may call a route. `Caller` reads it, so a handler that asks who calls cannot forget what they may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever reaches it. The page asks for a key by itself, where it does.
    Everyone,
    /// Whoever has a key with this scope.
    Key(Scope),
}

/// One method of one path.
pub(crate) struct Route {
    half: Half,
    /// For the tests that are made from the table.
    #[cfg(test)]
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    #[cfg(test)]
    pub(crate) access: Access,
    handler: MethodRouter<AppState>,
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

const EVERYONE: Access = Access::Everyone;
const MANAGE: Access = Access::Key(Scope::Manage);
const READ: Access = Access::Key(Scope::Read);
const AUDIENCE: Access = Access::Key(Scope::Audience);
const REGISTER: Access = Access::Key(Scope::Register);

#[rustfmt::skip]
pub(crate) fn table() -> Vec<Route> {
    use Half::{Both, Provider, Receiver};
    vec![
        route(Provider, POST, "/api/v1/integration/webhook/webhook", REGISTER, integration::register),

        route(Provider, POST, "/api/v1/mangoes", MANAGE, mangoes::create),
        route(Provider, GET, "/api/v1/mangoes", READ, mangoes::list),
        route(Provider, GET, "/api/v1/mangoes/{id}", READ, mangoes::show),
        route(Provider, POST, "/api/v1/mangoes/{id}/members", AUDIENCE, enrolment::into_mango),
        route(Provider, DELETE, "/api/v1/mangoes/{id}/members/{participant}", AUDIENCE, enrolment::out_of_mango),
        route(Provider, GET, "/api/v1/participants/{id}", READ, participants::show),
        route(Provider, DELETE, "/api/v1/participants/{id}", MANAGE, erasures::erase_participant),
        route(Both, POST, "/api/v1/participants/erase", MANAGE, erasures::erase_address),
        route(Both, GET, "/api/v1/erasures/{id}", READ, erasures::show),

        route(Provider, POST, "/api/v1/webinars", MANAGE, webinars::create),
        route(Provider, GET, "/api/v1/webinars", READ, webinars::list),
        route(Provider, GET, "/api/v1/webinars/{id}", READ, webinars::show),
        route(Provider, PUT, "/api/v1/webinars/{id}", MANAGE, webinars::replace),
        route(Provider, PATCH, "/api/v1/webinars/{id}", MANAGE, webinars::amend),
        route(Provider, DELETE, "/api/v1/webinars/{id}", MANAGE, webinars::cancel),
        route(Provider, POST, "/api/v1/webinars/{id}/announce", MANAGE, webinars::announce),
        route(Provider, POST, "/api/v1/webinars/{id}/registrations", AUDIENCE, enrolment::into_series),
        route(Provider, DELETE, "/api/v1/webinars/{id}/registrations/{participant}", AUDIENCE, enrolment::out_of_series),

        route(Provider, GET, "/api/v1/events", READ, events::list),
        route(Provider, GET, "/api/v1/events/{id}", READ, events::show),
        route(Provider, POST, "/api/v1/events/{id}/pause", MANAGE, events::pause),
        route(Provider, POST, "/api/v1/events/{id}/resume", MANAGE, events::resume),
        route(Provider, POST, "/api/v1/events/{id}/cancel", MANAGE, events::cancel),
        route(Provider, GET, "/api/v1/deliveries", READ, deliveries::list),
        route(Provider, GET, "/api/v1/deliveries/{id}", READ, deliveries::show),
        route(Provider, POST, "/api/v1/deliveries/{id}/replay", MANAGE, replays::of_delivery),
        route(Provider, POST, "/api/v1/replays", MANAGE, replays::create),
        route(Provider, GET, "/api/v1/replays", READ, replays::list),
        route(Provider, GET, "/api/v1/replays/{id}", READ, replays::show),
        route(Provider, POST, "/api/v1/replays/{id}/pause", MANAGE, replays::pause),
        route(Provider, POST, "/api/v1/replays/{id}/resume", MANAGE, replays::resume),
        route(Provider, POST, "/api/v1/replays/{id}/cancel", MANAGE, replays::cancel),

        route(Provider, POST, "/api/v1/subscriptions", REGISTER, subscriptions::create),
        route(Provider, GET, "/api/v1/subscriptions", READ, subscriptions::list),
        route(Provider, GET, "/api/v1/subscriptions/{id}", READ, subscriptions::show),
        route(Provider, DELETE, "/api/v1/subscriptions/{id}", MANAGE, subscriptions::delete),
        route(Provider, GET, "/api/v1/endpoints", READ, endpoints::list),
        route(Provider, GET, "/api/v1/endpoints/{id}", READ, endpoints::show),
        route(Provider, PATCH, "/api/v1/endpoints/{id}", MANAGE, endpoints::amend),
        route(Provider, POST, "/api/v1/endpoints/{id}/pause", MANAGE, endpoints::pause),
        route(Provider, POST, "/api/v1/endpoints/{id}/resume", MANAGE, endpoints::resume),
        route(Provider, POST, "/api/v1/endpoints/{id}/skip", MANAGE, endpoints::skip),
        route(Provider, POST, "/api/v1/endpoints/{id}/drop", MANAGE, endpoints::drop_backlog),
        route(Provider, POST, "/api/v1/endpoints/{id}/test", REGISTER, test_sends::send),
        route(Provider, POST, "/api/v1/endpoints/{id}/rotate-secret", MANAGE, secrets::rotate),

        route(Provider, GET, "/api/v1/notices", READ, notices::list),
        route(Provider, GET, "/api/v1/notices/{id}", READ, notices::show),
        route(Provider, POST, "/api/v1/notices/{id}/read", MANAGE, notices::read),

        route(Receiver, POST, "/api/v1/sources", MANAGE, sources::create),
        route(Receiver, GET, "/api/v1/sources", READ, sources::list),
        route(Receiver, PUT, "/api/v1/sources/{id}/keys", MANAGE, sources::set_keys),
        route(Receiver, GET, "/api/v1/inbox/messages", READ, messages::list),
        route(Receiver, GET, "/api/v1/inbox/messages/{id}", READ, messages::show),
        route(Receiver, GET, "/api/v1/inbox/handlers", READ, runs::handlers),
        route(Receiver, GET, "/api/v1/inbox/runs", READ, runs::list),
        route(Receiver, POST, "/api/v1/inbox/runs/rerun", MANAGE, runs::rerun),
        route(Receiver, POST, "/api/v1/inbox/runs/drop", MANAGE, runs::drop_runs),
        route(Receiver, GET, "/api/v1/inbox/fan-outs", READ, arrivals::list),
        route(Receiver, GET, "/api/v1/inbox/fan-outs/{id}", READ, arrivals::show),

        route(Receiver, GET, "/calendars/{token}", EVERYONE, calendars::show),

        route(Both, GET, "/api/v1/account", READ, account::show),
        route(Both, PATCH, "/api/v1/account", MANAGE, account::amend),
        route(Both, GET, "/api/v1/keys", MANAGE, keys::list),
        route(Both, POST, "/api/v1/keys", MANAGE, keys::create),
        route(Both, POST, "/api/v1/keys/{id}/rotate", MANAGE, keys::rotate),
        route(Both, DELETE, "/api/v1/keys/{id}", MANAGE, keys::revoke),
        route(Both, GET, "/api/v1/audit", MANAGE, audit::list),

        route(Both, GET, "/livez", EVERYONE, health::live),
        route(Both, GET, "/readyz", EVERYONE, health::ready),
        route(Both, GET, "/", EVERYONE, dashboard::show),
        route(Both, GET, "/assets/style.css", EVERYONE, dashboard::style),
    ]
}

fn route<H, T>(half: Half, method: Method, path: &'static str, access: Access, handler: H) -> Route
where
    H: Handler<T, AppState>,
    T: 'static,
{
    let filter = MethodFilter::try_from(method.clone()).expect("a method of the table");
    let handler = on(filter, handler).layer(Extension(access));
    Route {
        half,
        #[cfg(test)]
        method,
        path,
        #[cfg(test)]
        access,
        handler,
    }
}

impl Route {
    pub(crate) fn is_served_by(&self, halves: Halves) -> bool {
        match self.half {
            Half::Both => true,
            Half::Provider => halves.have_provider(),
            Half::Receiver => halves.have_receiver(),
        }
    }
}

/// The router over the table.
pub(crate) fn router(app: AppState) -> Router {
    let halves = app.context.settings.halves;
    let served = table().into_iter().filter(|route| route.is_served_by(halves));
    served
        .fold(Router::new(), |router, route| router.route(route.path, route.handler))
        .fallback(async || Problem::no_such_route())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        // Bodies are read by `BodyReader` or as streams, each with its own limit.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(guard))
        .with_state(app)
}

/// Nothing here may be kept by a cache or taken for another type than it says.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
