//! `POST /in/{source}`: the inbox's way in, and the hot path: answered before any router. Size cap, read, verify the
//! raw bytes, accept; the 2xx follows the commit.

mod known_sources;
#[cfg(test)]
mod tests;

use std::fmt::Display;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use receiver::{RawRequest, Verified, verify};
use store::{Acceptance, DuplicateContent, FailPoint, StoreError};
use wire::SourceId;

use crate::app::{App, AppState};
use crate::body::BodyError;
use crate::problem::RETRY_AFTER_SECONDS;
use known_sources::{KnownSources, Standing};

/// What the paths of sources begin with.
const PREFIX: &str = "/in/";
const NO_KEY: &str = "the source has no key yet; give it the sender's with: fanfare inbox source keys ID --key whsec_…";

/// The inbox's way in.
pub(crate) struct Ingest {
    app: AppState,
    sources: KnownSources,
}

/// Everything a sender may be told. An unknown source and a wrong signature look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Stored,
    Duplicate,
    Rejected,
    NotPost,
    BadBody(BodyError),
    Busy,
    Unwritable,
    Failed,
}

impl Ingest {
    pub(crate) fn new(app: AppState) -> Ingest {
        let sources = KnownSources::new(app.context.chance.bytes());
        Ingest { app, sources }
    }

    /// Whether a path is one of ours.
    pub(crate) fn takes(path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    /// Answers one request.
    pub(crate) async fn answer<B: Body<Data = Bytes>>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        self.decide(request).await.to_response()
    }

    async fn decide<B: Body<Data = Bytes>>(&self, request: Request<B>) -> Answer {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return Answer::NotPost;
        }
        let body = match self.app.bodies.read(body).await {
            Ok(body) => body,
            Err(error) => return Answer::BadBody(error),
        };
        let id = head.uri.path().strip_prefix(PREFIX).and_then(|text| text.parse().ok());
        let source = match self.sources.find(self.app.store(), id).await {
            Ok(source) => source,
            Err(error) => return of_failure(&error),
        };
        let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        match (verify(&source.source, RawRequest { headers, body }, self.app.now()), source.standing) {
            (Ok(message), Standing::Ready) => return accept(&self.app, message).await,
            (Err(reason), Standing::Ready) => self.tell(source.source.id(), &reason),
            // Nobody signs for the decoy, but its messages would belong to no account.
            (_, Standing::WithoutKeys(id)) => self.tell(id, &NO_KEY),
            (_, Standing::Unknown) => {}
        }
        Answer::Rejected
    }

    /// Tells the log of a rejection, unless it was told of another just now.
    fn tell(&self, source: SourceId, reason: &dyn Display) {
        if let Some(left_out) = self.sources.may_tell(source) {
            tracing::info!(%source, %reason, left_out, "a webhook was rejected");
        }
    }
}

async fn accept(app: &App, message: Verified) -> Answer {
    let source: SourceId = message.source();
    let accepted = app.store().accept(message).await;
    FailPoint::IngestBeforeAnswer.pass();
    match accepted {
        Ok(Acceptance::Stored(_)) => Answer::Stored,
        Ok(Acceptance::Duplicate { of, content }) => {
            if content == DuplicateContent::Different {
                tracing::warn!(%source, message = of, "another body came under a known id; the first one is kept");
            }
            Answer::Duplicate
        }
        Err(error) => of_failure(&error),
    }
}

fn of_failure(error: &StoreError) -> Answer {
    match error {
        // The store tells the log when it begins to refuse; here it would be told thousands of times a second.
        StoreError::Busy(_) => Answer::Busy,
        StoreError::Unwritable(_) | StoreError::DiskFailed(_) => Answer::Unwritable,
        other => {
            tracing::error!(cause = %other, "the inbox failed");
            Answer::Failed
        }
    }
}

impl Answer {
    fn status(self) -> StatusCode {
        match self {
            Answer::Stored | Answer::Duplicate => StatusCode::OK,
            Answer::Rejected => StatusCode::UNAUTHORIZED,
            Answer::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Answer::BadBody(BodyError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Answer::BadBody(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Answer::BadBody(BodyError::Broken) => StatusCode::BAD_REQUEST,
            Answer::BadBody(BodyError::Crowded) | Answer::Busy | Answer::Unwritable => StatusCode::SERVICE_UNAVAILABLE,
            Answer::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn body(self) -> &'static [u8] {
        match self {
            Answer::Stored => br#"{"status":"stored"}"#,
            Answer::Duplicate => br#"{"status":"duplicate"}"#,
            Answer::Rejected => br#"{"status":"rejected","detail":"no such source, or its keys do not verify this"}"#,
            Answer::NotPost => br#"{"status":"rejected","detail":"send webhooks with POST"}"#,
            Answer::BadBody(BodyError::TooLarge(_)) => br#"{"status":"rejected","detail":"the body is too large"}"#,
            Answer::BadBody(BodyError::TooSlow) => br#"{"status":"rejected","detail":"the body came too slowly"}"#,
            Answer::BadBody(BodyError::Broken) => br#"{"status":"rejected","detail":"the body broke off"}"#,
            Answer::BadBody(BodyError::Crowded) | Answer::Busy => br#"{"status":"busy","detail":"try again shortly"}"#,
            Answer::Unwritable => {
                br#"{"status":"unwritable","detail":"the disk of this server is full or failing; send it again later"}"#
            }
            Answer::Failed => br#"{"status":"failed","detail":"something went wrong on this side; try again"}"#,
        }
    }

    fn to_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from_static(self.body())));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            Answer::NotPost => headers.insert(ALLOW, HeaderValue::from_static("POST")),
            Answer::Busy | Answer::Unwritable | Answer::BadBody(BodyError::Crowded) => {
                headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS)
            }
            // What is left of the body is not read, so nothing can follow it on this connection.
            Answer::BadBody(_) => headers.insert(CONNECTION, HeaderValue::from_static("close")),
            Answer::Stored | Answer::Duplicate | Answer::Rejected | Answer::Failed => None,
        };
        response
    }
}
