//! What a client is told when it is done: JSON, pages of lists, times. Errors are `problem`'s.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LINK, LOCATION};
use http::{HeaderValue, StatusCode, Uri};
use jiff::Timestamp;
use serde::Serialize;
use store::PAGE_SIZE_MAX;

use crate::problem::Problem;

/// What every handler gives.
pub(crate) type Reply = Result<Response, Problem>;

/// Items of a page for which no number was asked: one screen.
const PAGE_SIZE: usize = 50;

/// 200 with a JSON body.
pub(crate) fn ok(value: &impl Serialize) -> Response {
    Json(value).into_response()
}

/// 201 with a JSON body and where the new thing is.
pub(crate) fn created(location: &str, value: &impl Serialize) -> Response {
    let mut response = (StatusCode::CREATED, Json(value)).into_response();
    set(&mut response, LOCATION, location);
    response
}

/// The response with where to read more.
pub(crate) fn at(mut response: Response, location: &str) -> Response {
    set(&mut response, LOCATION, location);
    response
}

/// 204: done, and nothing to say.
pub(crate) fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The response with the version as its entity tag.
pub(crate) fn with_version(mut response: Response, version: u32) -> Response {
    set(&mut response, ETAG, &format!("\"{version}\""));
    response
}

/// A page of a list; `next` is the cursor of the page after it. The same in a `link` header (RFC 8288).
pub(crate) fn page(uri: &Uri, data: &[impl Serialize], next: Option<String>) -> Response {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Page<'a, T> {
        data: &'a [T],
        next_cursor: Option<&'a str>,
    }
    let mut response = ok(&Page { data, next_cursor: next.as_deref() });
    if let Some(cursor) = &next {
        set(&mut response, LINK, &format!("<{}>; rel=\"next\"", next_page(uri, cursor)));
    }
    response
}

/// The same request with another cursor. Our cursors need no escaping.
fn next_page(uri: &Uri, cursor: &str) -> String {
    let others = uri.query().unwrap_or_default().split('&');
    let kept = others.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<String> = kept.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
    format!("{}?{}", uri.path(), query.join("&"))
}

/// How many items a page is to have.
pub(crate) fn page_size(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(PAGE_SIZE) {
        size @ 1..=PAGE_SIZE_MAX => Ok(size),
        other => Err(Problem::invalid_query(format!("limit: is {other}; give 1 to {PAGE_SIZE_MAX}"))),
    }
}

/// An instant as the API writes it: RFC 3339, UTC, milliseconds.
pub(crate) fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Sets a header from text of our own making; what cannot stand in one is left out.
fn set(response: &mut Response, name: http::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}
