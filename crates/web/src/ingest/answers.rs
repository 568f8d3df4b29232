//! What the inbox answers: few words, made for the log of a sender. No cause that a stranger could learn from.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

pub(crate) type Answer = Response<Full<Bytes>>;

/// Long enough for a burst to be written, short enough that nobody notices.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

pub(crate) fn stored() -> Answer {
    answer(StatusCode::OK, "{\"status\":\"stored\"}")
}

pub(crate) fn duplicate() -> Answer {
    answer(StatusCode::OK, "{\"status\":\"duplicate\"}")
}

pub(crate) fn rejected() -> Answer {
    let text = "{\"status\":\"rejected\",\"detail\":\"there is no such source, or the signature does not verify\"}";
    answer(StatusCode::UNAUTHORIZED, text)
}

pub(crate) fn cut_off() -> Answer {
    answer(StatusCode::BAD_REQUEST, "{\"status\":\"rejected\",\"detail\":\"the body ended early\"}")
}

pub(crate) fn too_slow() -> Answer {
    answer(StatusCode::REQUEST_TIMEOUT, "{\"status\":\"rejected\",\"detail\":\"the body took too long\"}")
}

pub(crate) fn too_large(largest: usize) -> Answer {
    let text = format!("{{\"status\":\"rejected\",\"detail\":\"a body has at most {largest} bytes\"}}");
    answer(StatusCode::PAYLOAD_TOO_LARGE, text)
}

pub(crate) fn busy() -> Answer {
    let text = "{\"status\":\"busy\",\"detail\":\"nothing was kept; send it again\"}";
    let mut answer = answer(StatusCode::SERVICE_UNAVAILABLE, text);
    answer.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    answer
}

fn answer(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
