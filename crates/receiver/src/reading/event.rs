//! Reads a whole body: which event it is, by name or by shape, and then its parts.

use std::borrow::Cow;

use wire::headers;

use super::fields::Fields;
use super::payload::{self, CALL_LIST, Found, Payload};
use super::person::{read_mangoes, read_person};
use super::repairs::{Place, Repairs};
use super::sessions::{Times, read_sessions};
use super::{OtherEvent, Reading, SeriesMark, WebinarEvent};
use crate::KeptHeaders;

/// What a shape alone makes of a body.
const RECURRING: &str = "webinar.created.recurring";
const REMINDER: &str = "webinar.reminder.all";
const COMPLETED: &str = "webinar.completed.all";

/// Whose payloads have these names; a body of no known shape is one if its source or a header says so.
const FAMILY: &str = "webinar.";
const KNOWN: [&str; 7] = [
    RECURRING,
    "webinar.created.single",
    "webinar.reminder.15min",
    "webinar.reminder.30min",
    "webinar.reminder.1day",
    REMINDER,
    COMPLETED,
];

/// Reads a body, and tells whether everything in it that has a known meaning was read.
pub(crate) fn read_whole(headers: &KeptHeaders, body: &[u8], event: Option<&str>) -> (Reading, bool) {
    let mut repairs = Repairs::default();
    let text = text_of(body, &mut repairs);
    let told = [headers.get(headers::FANFARE_EVENT), event];
    let told = told.into_iter().flatten().map(str::trim).find(|name| !name.is_empty());
    let found = payload::find(&text, &mut repairs);
    let own = found.event.as_deref();
    let other = || (Reading::Other(OtherEvent { event: told.or(own).map(str::to_owned) }), true);

    // A `type` of one word says nothing against a shape that is known.
    let name = told.or(own.filter(|name| name.contains('.'))).map(str::to_owned);
    if name.as_deref().is_some_and(|name| !name.starts_with(FAMILY)) {
        return other();
    }
    let is_known = told.is_some_and(|name| KNOWN.contains(&name));
    let Found { payload, outermost, .. } = &found;
    let by_name = outermost.as_ref().filter(|payload| is_known && payload::is_told_to_somebody(&payload.object));
    match payload.as_ref().or(by_name) {
        Some(payload) => {
            let webinar = read_payload(headers, payload, name, repairs);
            (Reading::Webinar(Box::new(webinar.0)), webinar.1)
        }
        None => other(),
    }
}

/// The text of a body: without the mark that some editors put before it, and with replacements for bytes that are none.
pub(super) fn text_of<'b>(body: &'b [u8], repairs: &mut Repairs) -> Cow<'b, str> {
    let root = Place::at("");
    let bare = body.strip_prefix("\u{feff}".as_bytes());
    if bare.is_some() {
        repairs.mended(root, "", "has a byte order mark before it; removed");
    }
    let text = String::from_utf8_lossy(bare.unwrap_or(body));
    if matches!(text, Cow::Owned(_)) {
        repairs.lost(root, "", "is not UTF-8; what is not was replaced by \u{fffd}");
    }
    text
}

fn read_payload(
    headers: &KeptHeaders,
    payload: &Payload<'_>,
    name: Option<String>,
    mut repairs: Repairs,
) -> (WebinarEvent, bool) {
    let is_named = name.is_some();
    let event = name.unwrap_or_else(|| shape_of(payload).to_owned());
    let times = if event.starts_with("webinar.completed") { Times::Absent } else { Times::Expected };
    note_layout(payload, &event, &mut repairs);
    let sessions = read_sessions(payload, times, &mut repairs);
    if !is_named {
        repairs.mended(Place::at(&payload.base), "", inferred(&event, sessions.len()));
    }
    let fields = &mut Fields::new(&payload.object, Place::at(&payload.base), &mut repairs);
    let person = read_person(fields);
    let mangoes = read_mangoes(fields);
    let is_whole = repairs.is_whole();
    let is_test = headers.get(headers::FANFARE_TEST) == Some("true");
    let series = series_of(headers);
    (WebinarEvent { event, person, sessions, mangoes, series, is_test, repairs: repairs.finish() }, is_whole)
}

fn shape_of(payload: &Payload<'_>) -> &'static str {
    if payload.object.has(CALL_LIST) {
        RECURRING
    } else if payload::tells_times(&payload.object) {
        REMINDER
    } else {
        COMPLETED
    }
}

fn inferred(event: &str, sessions: usize) -> &'static str {
    match event {
        RECURRING if sessions == 1 => {
            "names no event; inferred webinar.created.recurring from callList, though webinar.created.single looks the same"
        }
        RECURRING => "names no event; inferred webinar.created.recurring from callList",
        REMINDER => "names no event; inferred webinar.reminder.all, for which reminder it is cannot be seen",
        _ => "names no event; inferred webinar.completed.all from a session without times",
    }
}

fn note_layout(payload: &Payload<'_>, event: &str, repairs: &mut Repairs) {
    let place = Place::at(&payload.base);
    let is_list = payload.object.has(CALL_LIST);
    if event.starts_with("webinar.created") && !is_list && payload::is_session(&payload.object) {
        repairs.mended(place, CALL_LIST, "is missing; the session beside the person was read");
    } else if (event.starts_with("webinar.reminder") || event.starts_with("webinar.completed")) && is_list {
        repairs.mended(place, CALL_LIST, "is there, though this event has one session beside the person; it was read");
    }
}

fn series_of(headers: &KeptHeaders) -> Option<SeriesMark> {
    let id = headers.get(headers::FANFARE_SERIES).filter(|id| !id.is_empty())?.to_owned();
    let version = headers.get(headers::FANFARE_SERIES_VERSION).and_then(|text| text.parse().ok()).unwrap_or(0);
    Some(SeriesMark { id, version, trigger: headers.get(headers::FANFARE_TRIGGER).map(str::to_owned) })
}
