//! What handlers take from a request, parsed: a JSON body, a query, an id in the path.

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Query, Request};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use hyper::body::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::app::AppState;
use crate::misfit;
use crate::problem::Problem;

/// A JSON body, an object, whole and parsed.
#[derive(Debug)]
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<JsonBody<T>, Problem> {
        let is_json = media_type(request.headers()).is_some_and(|media| {
            media.eq_ignore_ascii_case("application/json") || media.to_ascii_lowercase().ends_with("+json")
        });
        if !is_json {
            return Err(Problem::unsupported_media_type("application/json"));
        }
        refuse_encoding(request.headers())?;
        let body = app.bodies.read(request.into_body()).await?;
        misfit::read_object(&body).map(JsonBody)
    }
}

/// A body that may be left out altogether.
impl<T: DeserializeOwned> OptionalFromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Option<JsonBody<T>>, Problem> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        <JsonBody<T> as FromRequest<AppState>>::from_request(request, app).await.map(Some)
    }
}

/// The media type of the body, without parameters such as a charset.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}

/// Bodies are taken as they are: what unpacks to a thousand times its size would get past every limit.
pub(crate) fn refuse_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    Err(Problem::encoded_body())
}

/// The parameters of the query; unknown ones are refused, since a mistyped filter would list everything.
#[derive(Debug)]
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<QueryOf<T>, Problem> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(query)| QueryOf(query))
            .map_err(|rejection| misfit::of_query(&rejection.body_text()))
    }
}

/// The query of a list without filters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<String>,
}

/// The query of a route that takes no parameter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// The id in a path. What is no id at all names nothing, so it is as unknown as a foreign one.
pub(crate) fn parse_id<Id: FromStr>(text: &str, what: &str) -> Result<Id, Problem> {
    text.parse().map_err(|_| Problem::not_found(what))
}

/// An id in a query parameter.
pub(crate) fn parse_filter<T: FromStr>(name: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error: T::Err| Problem::invalid_query(format!("{name}: {error}")))
}
