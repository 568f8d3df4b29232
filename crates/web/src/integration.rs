//! The registration route that code written for the seed's page calls, answered in that platform's envelope.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Subscribed;
use webinar::{FieldError, MISTAKES_MAX};

use crate::app::AppState;
use crate::caller::Caller;
use crate::endpoints::state_of;
use crate::problem::Problem;
use crate::reply::{self, instant};
use crate::request::JsonBody;
use crate::subscriptions::{Wish, secret_to_show, subscribe};

/// The body of a registration. Fields are values of any type, so that a mistake is told with the field's name.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registration {
    hook_url: Option<Value>,
    event: Option<Value>,
    webinar: Option<Value>,
    mango: Option<Value>,
    course: Option<Value>,
    page: Option<Value>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// The shape of every success of that platform's sibling API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Success<T> {
    message: &'static str,
    success: bool,
    result: T,
    code: u16,
    status_message: &'static str,
}

/// The shape of its failures; `errorCode` and `result` are there for 404 at least, so here for all.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure<'a> {
    code: u16,
    r#type: String,
    status_message: String,
    message: &'a str,
    success: bool,
    error_code: String,
    result: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    id: String,
    event: &'static str,
    webinar: Option<String>,
    hook_url: String,
    created_at: String,
    endpoint: RegisteredEndpoint,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

#[derive(Serialize)]
struct RegisteredEndpoint {
    id: String,
    url: String,
    state: &'static str,
}

/// `POST /api/v1/integration/webhook/webhook`
pub(crate) async fn register(
    State(app): State<AppState>,
    caller: Result<Caller, Problem>,
    request: Request,
) -> Response {
    match registered(&app, caller, request).await {
        Ok(result) => {
            let message = "Operation completed successfully";
            reply::ok(&Success { message, success: true, result, code: 200, status_message: "OK" })
        }
        Err(problem) => in_envelope(&problem),
    }
}

async fn registered(app: &AppState, caller: Result<Caller, Problem>, request: Request) -> Result<Registered, Problem> {
    let caller = caller?;
    let JsonBody(body) = JsonBody::<Registration>::from_request(request, app).await?;
    body.refuse_unknown_fields()?;
    body.refuse_other_filters()?;
    let webinar = body.webinar.as_ref().filter(|value| !value.is_null()).map(|value| text("/webinar", value));
    let wish = Wish {
        url: required("/hookUrl", body.hook_url.as_ref(), "give the URL that is to receive the webhooks")?,
        url_pointer: "/hookUrl",
        event: required("/event", body.event.as_ref(), "give one, such as \"webinar.created.recurring\"")?,
        webinar: webinar.transpose()?,
    };
    Ok(Registered::of(&subscribe(app, &caller, wish).await?))
}

impl Registration {
    /// A mistyped filter that is passed over would send everything.
    fn refuse_unknown_fields(&self) -> Result<(), Problem> {
        let unknown = self.others.keys().take(MISTAKES_MAX).map(|name| FieldError {
            pointer: format!("/{name}"),
            detail: "is not known here; give hookUrl, event and maybe webinar".to_owned(),
        });
        let unknown: Vec<FieldError> = unknown.collect();
        if unknown.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(unknown)) }
    }

    /// That platform filters other events by these. To take one and send everything would be worse than to refuse it.
    fn refuse_other_filters(&self) -> Result<(), Problem> {
        let filters = [("mango", &self.mango), ("course", &self.course), ("page", &self.page)];
        match filters.into_iter().find(|(_, value)| value.as_ref().is_some_and(|value| !value.is_null())) {
            None => Ok(()),
            Some((name, _)) => Err(Problem::invalid(
                &format!("/{name}"),
                format!("webinar events cannot be filtered by {name}; leave it out, or filter by \"webinar\""),
            )),
        }
    }
}

impl Registered {
    fn of(subscribed: &Subscribed) -> Registered {
        let signing_secret = secret_to_show(subscribed);
        let (Subscribed::WithNewEndpoint(record, endpoint)
        | Subscribed::AtKnownEndpoint(record, endpoint)
        | Subscribed::Already(record, endpoint)) = subscribed;
        Registered {
            id: record.subscription.id.to_string(),
            event: record.subscription.event.as_str(),
            webinar: record.subscription.webinar.map(|filter| filter.to_string()),
            hook_url: endpoint.url.clone(),
            created_at: instant(record.created_at),
            endpoint: RegisteredEndpoint {
                id: endpoint.id.to_string(),
                url: endpoint.url.clone(),
                state: state_of(endpoint),
            },
            signing_secret,
        }
    }
}

fn required<'a>(pointer: &str, value: Option<&'a Value>, mend: &str) -> Result<&'a str, Problem> {
    let value = value.ok_or_else(|| Problem::invalid(pointer, format!("is missing; {mend}")))?;
    text(pointer, value)
}

fn text<'a>(pointer: &str, value: &'a Value) -> Result<&'a str, Problem> {
    value.as_str().ok_or_else(|| Problem::invalid(pointer, "is not text; write it in quotes"))
}

fn in_envelope(problem: &Problem) -> Response {
    let reason = problem.status.canonical_reason().unwrap_or_default();
    let failure = Failure {
        code: problem.status.as_u16(),
        r#type: sentence_case(reason),
        status_message: reason.to_uppercase().replace([' ', '-'], "_"),
        message: &problem.detail,
        success: false,
        error_code: problem.code.to_uppercase(),
        result: &problem.detail,
    };
    let mut response = (problem.status, Json(failure)).into_response();
    problem.set_headers(&mut response);
    response
}

/// `Bad request`, as that platform writes it.
fn sentence_case(reason: &str) -> String {
    let lower = reason.to_lowercase();
    let (first, rest) = lower.split_at(lower.len().min(1));
    format!("{}{rest}", first.to_uppercase())
}
