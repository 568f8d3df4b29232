//! What a client is told when something is not done: RFC 9457 problems. The one file that says which refusal is which
//! status code.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use provider::api_key::Scope;
use serde::Serialize;
use store::StoreError;
use webinar::{FieldError, Invalid};

use crate::body::BodyError;

/// A refusal or a failure.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// Stable, for programs.
    pub(crate) code: &'static str,
    /// For people: what is wrong and how to mend it.
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    /// After which the same may be tried again, where that is known.
    pub(crate) retry_after: Option<Duration>,
}

/// Seconds after which a client of a busy store should come back.
pub(crate) const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The body (RFC 9457, section 3). `about:blank` says that the title is the status' own.
#[derive(Serialize)]
struct ProblemJson<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    /// There is nothing of this kind under the id given, or it is somebody else's: the two look the same.
    pub(crate) fn not_found(what: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} with this id"))
    }

    /// No handler has this name; a mistyped one is found among those there are.
    pub(crate) fn no_such_handler<'a>(known: impl Iterator<Item = &'a str>) -> Problem {
        let known: Vec<&str> = known.collect();
        let detail = match known.as_slice() {
            [] => "there is no handler with this name, and none at all yet: a server with [[handler]] in its settings \
                   file makes them known"
                .to_owned(),
            names => format!("there is no handler with this name; there is {}", names.join(", ")),
        };
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    pub(crate) fn no_such_route() -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "no_such_route", "nothing is served under this path; check its spelling")
    }

    pub(crate) fn method_not_allowed() -> Problem {
        let detail = "this path does not take this method; the allow header lists those it does";
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    pub(crate) fn unauthorized(why: &str) -> Problem {
        Problem::new(StatusCode::UNAUTHORIZED, "api_key_not_found", format!("api key not found: {why}"))
    }

    /// A key where URLs go: into histories and logs.
    pub(crate) fn key_in_url() -> Problem {
        let detail = "an API key does not belong into a URL, which histories and logs keep; send it in the x-api-key \
                      header, and rotate this one: fanfare account key rotate";
        Problem::new(StatusCode::UNAUTHORIZED, "api_key_in_url", detail)
    }

    /// A good key that may not do this.
    pub(crate) fn scope_missing(scope: Scope) -> Problem {
        let needed = match scope {
            Scope::Manage => "the scope \"manage\"".to_owned(),
            scope => format!("the scope \"{scope}\" or \"manage\""),
        };
        let detail = format!("this key may not do this: it needs {needed}; use a key that has it");
        Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail)
    }

    /// So many wrong keys that they look like guesses.
    pub(crate) fn too_many_wrong_keys(wait: Duration) -> Problem {
        let seconds = wait.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX);
        let detail = format!("too many wrong API keys; wait {seconds} s, then send the right one");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_keys", detail);
        Problem { retry_after: Some(Duration::from_secs(seconds)), ..problem }
    }

    /// Something stands in the way of what is asked.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, code, detail)
    }

    /// The open page, asked for under a name.
    pub(crate) fn named_host() -> Problem {
        let detail = "the open page is shown under an IP address or localhost only, so that no page elsewhere can read \
                      it through a name of its own; open http://127.0.0.1 with this port, or leave --open-dashboard out";
        Problem::new(StatusCode::FORBIDDEN, "named_host", detail)
    }

    /// One field is wrong; `pointer` is a JSON pointer into the body.
    pub(crate) fn invalid(pointer: &str, detail: impl Into<String>) -> Problem {
        Problem::invalid_fields(vec![FieldError { pointer: pointer.to_owned(), detail: detail.into() }])
    }

    pub(crate) fn invalid_fields(errors: Vec<FieldError>) -> Problem {
        let tell = |error: &FieldError| match error.pointer.as_str() {
            // The body as a whole.
            "" => error.detail.clone(),
            _ => error.to_string(),
        };
        let told: Vec<String> = errors.iter().map(tell).collect();
        Problem { errors, ..Problem::new(StatusCode::BAD_REQUEST, "invalid", told.join("; ")) }
    }

    /// As many secrets of an endpoint are valid as may be.
    pub(crate) fn too_many_secrets(valid_max: usize) -> Problem {
        let detail = format!(
            "this endpoint has {valid_max} valid secrets, the most there may be; wait until one of them ends (validUntil), \
             or end the older ones now with \"overlapHours\": 0"
        );
        Problem::new(StatusCode::CONFLICT, "too_many_secrets", detail)
    }

    /// A query parameter is wrong.
    pub(crate) fn invalid_query(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
    }

    pub(crate) fn malformed_json(error: &serde_json::Error) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", format!("the body is not JSON: {error}"))
    }

    pub(crate) fn unreadable_list(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "unreadable_list", detail)
    }

    pub(crate) fn unsupported_media_type(expected: &str) -> Problem {
        let detail = format!("send the body as {expected} and say so in the content-type header");
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// More than is allowed in some time; `limit` says how much that is.
    pub(crate) fn too_many(wait: Duration, limit: impl std::fmt::Display) -> Problem {
        // Rounded up, so that whoever comes back then is let in.
        let wait = Duration::from_secs(wait.as_secs() + 1);
        let detail = format!("{limit}; try again in {} s", wait.as_secs());
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        Problem { retry_after: Some(wait), ..problem }
    }

    pub(crate) fn encoded_body() -> Problem {
        let detail = "compressed bodies are not taken; send it plain, without a content-encoding header";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded_body", detail)
    }

    pub(crate) fn precondition_failed(version: u32) -> Problem {
        let detail = format!("if-match names another version than {version}, the newest; read it again");
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail)
    }

    /// Not ready to serve. What is known about the disk is told; any other cause is for the log.
    pub(crate) fn not_ready(cause: &StoreError) -> Problem {
        let detail = match cause {
            // The store has told the log already; whoever asks every second need not tell it again.
            StoreError::Unwritable(_) | StoreError::DiskFailed(_) => cause.to_string(),
            _ => {
                tracing::warn!(%cause, "not ready");
                "the store cannot be written now; see the log".to_owned()
            }
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail)
    }

    /// Our own fault; the cause is for the log.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Problem {
        tracing::error!(%cause, "a request failed");
        let detail = "something went wrong on this side; the log has the cause";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Problem {
        Problem::invalid_fields(invalid.errors().to_vec())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let told = error.to_string();
        match error {
            StoreError::Busy(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", told),
            // The store itself tells the log when it begins and ends to refuse, not each client's share of it.
            StoreError::Unwritable(cause) => {
                let detail = format!("nothing was stored, because {cause}; send it again later");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unwritable", detail)
            }
            StoreError::DiskFailed(_) => {
                let detail = "the disk of this server failed, and the server stops; whether this was stored will be \
                              known when it runs again: look, or send it again";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "disk_failed", detail)
            }
            StoreError::Unconfirmed(cause) => {
                tracing::warn!(%cause, "the database did not confirm a write");
                let detail = "the connection to the database ended before it said whether this was stored; look before \
                              you send it again";
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unconfirmed", detail)
            }
            StoreError::VersionConflict { .. } => {
                Problem::new(StatusCode::CONFLICT, "version_conflict", format!("{told}; read it again and repeat"))
            }
            StoreError::Exists(_) => Problem::new(StatusCode::CONFLICT, "exists", told),
            StoreError::Missing(_) => Problem::new(StatusCode::NOT_FOUND, "not_found", told),
            StoreError::Fenced | StoreError::Broken(_) => Problem::internal(&told),
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Problem {
        let told = error.to_string();
        match error {
            BodyError::TooLarge(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", told),
            BodyError::TooSlow => Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", told),
            BodyError::Broken => Problem::new(StatusCode::BAD_REQUEST, "body_broken", told),
            BodyError::Crowded => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", told),
        }
    }
}

impl Problem {
    /// The headers that go with its status, whatever the form of the body.
    pub(crate) fn set_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS),
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"fanfare\""))
            }
            // What is left of the body is not read, so nothing can follow it on this connection.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"))
            }
            _ => None,
        };
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let json = ProblemJson {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = Response::new(Body::from(serde_json::to_vec(&json).unwrap_or_default()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        self.set_headers(&mut response);
        response
    }
}
