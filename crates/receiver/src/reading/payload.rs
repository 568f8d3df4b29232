//! Where the payload is in a body, and what it is by its shape: the wire contract names the event nowhere in it.

use std::borrow::Cow;

use super::json::{Items, Json, Object};
use super::repairs::{Place, Repairs};

pub(super) const CALL_LIST: &str = "callList";
/// Envelopes within envelopes that are opened.
const LAYERS_MAX: usize = 4;
/// Longest event name that is taken from a body, bytes.
const EVENT_BYTES_MAX: usize = 100;
/// Members that envelopes keep the payload in.
const INSIDES: [&str; 3] = ["data", "payload", "body"];
/// Members that senders name the event in.
const EVENT_MEMBERS: [&str; 4] = ["event", "type", "event_type", "eventType"];
const TIMES: [&str; 4] =
    ["webinarFromTime", "webinarToTime", "webinarFromTimeInCreatorTimezone", "webinarToTimeInCreatorTimezone"];

/// The object that holds person and sessions, and the pointer to it.
#[derive(Debug)]
pub(super) struct Payload<'a> {
    pub(super) object: Object<'a>,
    pub(super) base: String,
}

/// What a body was found to hold.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// A webinar payload by its shape.
    pub(super) payload: Option<Payload<'a>>,
    /// The outermost object, where no shape is known.
    pub(super) outermost: Option<Payload<'a>>,
    /// The event as the body itself names it.
    pub(super) event: Option<Cow<'a, str>>,
}

/// Looks for a payload in the body and in the envelopes people put around one.
pub(super) fn find<'a>(text: &'a str, repairs: &mut Repairs) -> Found<'a> {
    let mut found = Found::default();
    let (mut raw, mut base) = (text.trim_ascii_start(), String::new());
    for _ in 0..LAYERS_MAX {
        let inside = match Json::of(raw) {
            Json::Array(list) => only_item(list).map(|item| ("0", item)),
            Json::Object(text) => {
                let Some(object) = Object::parse(text) else { return found };
                found.event = found.event.or_else(|| event_of(&object));
                if is_payload(&object) {
                    if !base.is_empty() {
                        repairs.mended(Place::at(&base), "", "is inside an envelope; taken out of it");
                    }
                    found.payload = Some(Payload { object, base });
                    return found;
                }
                let inside = INSIDES.iter().find_map(|name| {
                    let (raw, _) = object.get(name)?;
                    raw.starts_with(['{', '[']).then_some((*name, raw))
                });
                found.outermost.get_or_insert(Payload { object, base: base.clone() });
                inside
            }
            _ => None,
        };
        let Some((name, item)) = inside else { break };
        base = format!("{base}/{name}");
        raw = item;
    }
    found
}

fn only_item(list: &str) -> Option<&str> {
    let items = Items::parse(list)?;
    if items.count == 1 { items.kept.first().copied() } else { None }
}

/// By a list of sessions, or by one session and somebody it is told to.
fn is_payload(object: &Object<'_>) -> bool {
    let names_a_session =
        object.has("webinarId") || object.has("webinar") && (object.has("webinarLink") || tells_times(object));
    object.has(CALL_LIST) || names_a_session && is_told_to_somebody(object)
}

/// Whether the members of a person are there.
pub(super) fn is_told_to_somebody(object: &Object<'_>) -> bool {
    ["email", "phone", "name"].iter().any(|member| object.has(member))
}

/// Whether any member of a session is there.
pub(super) fn is_session(object: &Object<'_>) -> bool {
    ["webinarId", "webinar", "webinarLink"].iter().any(|member| object.has(member)) || tells_times(object)
}

/// Whether any time of a session is there.
pub(super) fn tells_times(object: &Object<'_>) -> bool {
    TIMES.iter().any(|member| object.has(member))
}

fn event_of<'a>(object: &Object<'a>) -> Option<Cow<'a, str>> {
    EVENT_MEMBERS.iter().find_map(|member| {
        let Json::Text(text) = Json::of(object.get(member)?.0) else { return None };
        let name = text.text.trim();
        let is_plausible = (1..=EVENT_BYTES_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/'));
        is_plausible.then(|| Cow::Owned(name.to_owned()))
    })
}
