//! The event as JSON. Every member is always there, so that a template need not ask; `docs/receiving/events.md` is
//! compared with it by a test.

use jiff::tz::Offset;
use serde_json::{Value, json};

use super::event::text_of;
use super::repairs::Repairs;
use super::{Person, ReadMoment, Reading, Repair, SeriesMark, SessionRead};

pub(super) fn view(reading: &Reading, body: &[u8]) -> Value {
    let raw: Value = serde_json::from_str(&text_of(body, &mut Repairs::default())).unwrap_or(Value::Null);
    match reading {
        Reading::Webinar(webinar) => json!({
            "event": webinar.event,
            "trigger": webinar.series.as_ref().and_then(|series| series.trigger.as_deref()),
            "test": webinar.is_test,
            "person": person(&webinar.person),
            "series": webinar.series.as_ref().map(series),
            "sessions": webinar.sessions.iter().map(|read| session(read, webinar.person.offset)).collect::<Vec<_>>(),
            "mangoes": webinar.mangoes,
            "repairs": webinar.repairs.iter().map(repair).collect::<Vec<_>>(),
            "body": raw,
        }),
        Reading::Other(other) => json!({
            "event": other.event,
            "trigger": null,
            "test": false,
            "person": null,
            "series": null,
            "sessions": [],
            "mangoes": [],
            "repairs": [],
            "body": raw,
        }),
    }
}

fn person(person: &Person) -> Value {
    json!({
        "name": person.name,
        "email": person.email,
        "phone": person.phone,
        "phoneDigits": person.phone_digits(),
        "offset": person.offset.map(offset_text),
        "zone": person.zone,
    })
}

fn series(series: &SeriesMark) -> Value {
    json!({ "id": series.id, "version": series.version })
}

fn session(session: &SessionRead, attendee: Option<Offset>) -> Value {
    let length = session.begin.zip(session.end).map(|(begin, end)| end.instant.duration_since(begin.instant));
    json!({
        "id": session.id,
        "title": session.title,
        "link": session.link,
        "begin": session.begin.map(|begin| moment(begin, attendee)),
        "end": session.end.map(|end| moment(end, attendee)),
        "durationMinutes": length.map(|length| length.as_mins()),
    })
}

fn moment(moment: ReadMoment, attendee: Option<Offset>) -> Value {
    json!({
        "utc": moment.instant.to_string(),
        "offset": offset_text(moment.offset),
        "wall": moment.wall.to_string(),
        "attendee": attendee.map(|offset| offset.to_datetime(moment.instant).to_string()),
    })
}

/// `+05:30`; seconds, which only offsets of long ago have, are cut off.
fn offset_text(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

fn repair(repair: &Repair) -> Value {
    json!({ "pointer": repair.pointer, "what": repair.what })
}
