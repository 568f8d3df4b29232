//! `POST /in/{source}`: the inbox's way in, and the hot path: answered before any router. Size cap, read, verify the
//! raw bytes, accept; the 2xx follows the commit.

mod configured_sources;
mod known_sources;
mod pace;
mod telling;
#[cfg(test)]
mod tests;

pub use configured_sources::{ConfiguredSources, SamePath};

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Body;
use receiver::{ChallengeAnswer, RawRequest, Source, Verified, challenge_in_body, challenge_in_query, verify};
use store::{Acceptance, DuplicateContent, FailPoint, StoreError};
use wire::{InboxMessageId, SourceId};

use crate::app::{App, AppState};
use crate::body::BodyError;
use crate::problem::RETRY_AFTER_SECONDS;
use configured_sources::ConfiguredSource;
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
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Challenge(ChallengeAnswer),
    Stored,
    Duplicate,
    Rejected,
    NotPost,
    BadBody(BodyError),
    /// Over the source's own rate.
    TooFast(Duration),
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
        self.decide(request).await.into_response()
    }

    async fn decide<B: Body<Data = Bytes>>(&self, request: Request<B>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        match self.app.context.configured_sources.at(path) {
            Some(configured) => self.decide_for(configured, &head, body).await,
            None => self.decide_by_id(path.parse().ok(), &head, body).await,
        }
    }

    /// For a source of the settings file.
    async fn decide_for<B: Body<Data = Bytes>>(&self, to: &ConfiguredSource, head: &Parts, body: B) -> Answer {
        if let Some(answer) = challenge_in_query(&to.source, head.method.as_str(), head.uri.query()) {
            return Answer::Challenge(answer);
        }
        if head.method != Method::POST {
            return Answer::NotPost;
        }
        let body = match self.app.bodies.read_within(to.source.body_bytes_max().unwrap_or(usize::MAX), body).await {
            Ok(body) => body,
            Err(error) => return Answer::BadBody(error),
        };
        match verify(&to.source, raw(&head.headers, body), self.app.now()) {
            // Only what is verified counts, so that a stranger cannot use the rate up.
            Ok(message) => match to.admit() {
                Ok(()) => answer_verified(&self.app, &to.source, message).await,
                Err(wait) => Answer::TooFast(wait),
            },
            Err(reason) => {
                tell(to.may_tell(), to.source.id(), &reason);
                Answer::Rejected
            }
        }
    }

    /// For a source of the database, which has no limits of its own.
    async fn decide_by_id<B: Body<Data = Bytes>>(&self, id: Option<SourceId>, head: &Parts, body: B) -> Answer {
        if head.method != Method::POST {
            return Answer::NotPost;
        }
        let body = match self.app.bodies.read(body).await {
            Ok(body) => body,
            Err(error) => return Answer::BadBody(error),
        };
        let source = match self.sources.find(self.app.store(), id).await {
            Ok(source) => source,
            Err(error) => return of_failure(&error),
        };
        match (verify(&source.source, raw(&head.headers, body), self.app.now()), source.standing) {
            (Ok(message), Standing::Ready) => return answer_verified(&self.app, &source.source, message).await,
            (Err(reason), Standing::Ready) => {
                let id = source.source.id();
                tell(self.sources.may_tell(id), id, &reason);
            }
            // Nobody signs for the decoy, but its messages would belong to no account.
            (_, Standing::WithoutKeys(id)) => tell(self.sources.may_tell(id), id, &NO_KEY),
            (_, Standing::Unknown) => {}
        }
        Answer::Rejected
    }
}

fn raw(headers: &HeaderMap, body: Bytes) -> RawRequest<impl Iterator<Item = (&str, &[u8])>> {
    RawRequest { headers: headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())), body }
}

/// Tells the log of a rejection, unless it was told of another just now.
fn tell(left_out: Option<u64>, source: SourceId, reason: &dyn Display) {
    if let Some(left_out) = left_out {
        tracing::info!(%source, %reason, left_out, "a webhook was rejected");
    }
}

/// A question is answered; anything else is a message.
async fn answer_verified(app: &App, source: &Source, message: Verified) -> Answer {
    if let Some(place) = message.matched().filter(|place| *place > 0) {
        tracing::debug!(source = %source.id(), key = place + 1, "verified by a key that is not the first");
    }
    match challenge_in_body(source, &message) {
        Some(answer) => Answer::Challenge(answer),
        None => accept(app, message).await,
    }
}

async fn accept(app: &App, message: Verified) -> Answer {
    let source: SourceId = message.source();
    let has_id = message.message_id().is_some();
    let accepted = app.store().accept(message).await;
    FailPoint::IngestBeforeAnswer.pass();
    match accepted {
        Ok(Acceptance::Stored(_)) => {
            app.context.runs_hint.notify_one();
            Answer::Stored
        }
        Ok(Acceptance::Duplicate { of, content }) => {
            // Without an id it is recognised by what it says, however it is written.
            if content == DuplicateContent::Different && has_id {
                let message = InboxMessageId::from_u64(of);
                tracing::warn!(%source, %message, "another body came under a known id; the first one is kept");
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
        StoreError::Unwritable(_) | StoreError::Unconfirmed(_) | StoreError::DiskFailed(_) => Answer::Unwritable,
        other => {
            tracing::error!(cause = %other, "the inbox failed");
            Answer::Failed
        }
    }
}

impl Answer {
    fn status(&self) -> StatusCode {
        match self {
            Answer::Stored | Answer::Duplicate | Answer::Challenge(_) => StatusCode::OK,
            Answer::Rejected => StatusCode::UNAUTHORIZED,
            Answer::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Answer::BadBody(BodyError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Answer::BadBody(BodyError::TooSlow) => StatusCode::REQUEST_TIMEOUT,
            Answer::BadBody(BodyError::Broken) => StatusCode::BAD_REQUEST,
            Answer::BadBody(BodyError::Crowded) | Answer::Busy | Answer::Unwritable => StatusCode::SERVICE_UNAVAILABLE,
            Answer::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
            Answer::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn content_type(&self) -> &'static str {
        match self {
            Answer::Challenge(answer) => answer.content_type,
            _ => "application/json",
        }
    }

    fn into_body(self) -> Bytes {
        Bytes::from_static(match self {
            Answer::Challenge(answer) => return answer.body.into(),
            Answer::Stored => br#"{"status":"stored"}"#,
            Answer::Duplicate => br#"{"status":"duplicate"}"#,
            Answer::Rejected => br#"{"status":"rejected","detail":"no such source, or its keys do not verify this"}"#,
            Answer::NotPost => br#"{"status":"rejected","detail":"send webhooks with POST"}"#,
            Answer::BadBody(BodyError::TooLarge(_)) => br#"{"status":"rejected","detail":"the body is too large"}"#,
            Answer::BadBody(BodyError::TooSlow) => br#"{"status":"rejected","detail":"the body came too slowly"}"#,
            Answer::BadBody(BodyError::Broken) => br#"{"status":"rejected","detail":"the body broke off"}"#,
            Answer::BadBody(BodyError::Crowded) | Answer::Busy => br#"{"status":"busy","detail":"try again shortly"}"#,
            Answer::Unwritable => {
                br#"{"status":"unwritable","detail":"this server cannot store anything now; send it again later"}"#
            }
            Answer::TooFast(_) => {
                br#"{"status":"busy","detail":"more than this source takes in a time; send less at once"}"#
            }
            Answer::Failed => br#"{"status":"failed","detail":"something went wrong on this side; try again"}"#,
        })
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match &self {
            Answer::NotPost => headers.insert(ALLOW, HeaderValue::from_static("POST")),
            Answer::Busy | Answer::Unwritable | Answer::BadBody(BodyError::Crowded) => {
                headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS)
            }
            // In whole seconds, and never at once.
            Answer::TooFast(wait) => headers.insert(RETRY_AFTER, (wait.as_secs() + 1).into()),
            // What is left of the body is not read, so nothing can follow it on this connection.
            Answer::BadBody(_) => headers.insert(CONNECTION, HeaderValue::from_static("close")),
            Answer::Stored | Answer::Duplicate | Answer::Challenge(_) | Answer::Rejected | Answer::Failed => None,
        };
        *response.body_mut() = Full::new(self.into_body());
        response
    }
}
