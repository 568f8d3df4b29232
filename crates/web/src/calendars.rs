//! `/calendars/{token}`: feeds that calendar programs subscribe to. They cannot send a key, so the address is the secret:
//! it is never logged, and every address that leads to nothing is answered alike.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use receiver::{CalendarToken, ContentDigest};

use crate::app::AppState;
use crate::problem::Problem;
use crate::reply::Reply;

/// For the reader alone, and not for long: a moved session should be seen at the next look.
const CACHE: HeaderValue = HeaderValue::from_static("private, max-age=60");
const CALENDAR: HeaderValue = HeaderValue::from_static("text/calendar; charset=utf-8");

/// The calendar as it stands; 304 for a program that has it already.
pub(crate) async fn show(State(app): State<AppState>, Path(token): Path<String>, headers: HeaderMap) -> Reply {
    let (Some(feed), Ok(token)) = (&app.context.calendar_feed, token.parse::<CalendarToken>()) else {
        return Err(Problem::not_found("calendar"));
    };
    let calendar = feed(token).await?.ok_or_else(|| Problem::not_found("calendar"))?;
    let tag = entity_tag(&calendar);
    let mut response: Response = match is_known(&headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => calendar.into_response(),
    };
    let answered = response.headers_mut();
    answered.insert(CONTENT_TYPE, CALENDAR);
    answered.insert(CACHE_CONTROL, CACHE);
    answered.insert(ETAG, HeaderValue::from_str(&tag).expect("a tag is hex in quotes"));
    Ok(response)
}

fn entity_tag(calendar: &str) -> String {
    let digest = ContentDigest::of(calendar.as_bytes());
    let hex: String = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Whether the client has this version (RFC 9110, section 13.1.2: weak tags count).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let offered = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    offered
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|offered| offered == "*" || offered.strip_prefix("W/").unwrap_or(offered) == tag)
}
