//! The body of a delivery, byte for byte as the seed's page shows it, in compact form.
//! The part of the series is rendered once; a delivery adds the person before it without an allocation.

#[cfg(test)]
mod tests;
mod text;

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::participant::{Participant, Phone};
use crate::session::Session;
use text::{write_clock, write_offset, write_string};

/// What a person's part takes beside the texts themselves: keys, quotes, phone, offset.
const PERSON_BYTES: usize = 80;
/// What a session takes beside title and link.
const SESSION_BYTES: usize = 320;

/// The shared end of every body of a fan-out: `,"callList":[…],"mangoes":"…"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesPart {
    bytes: Vec<u8>,
    attendee_instant: Option<Timestamp>,
}

impl SeriesPart {
    /// Renders the sessions that take place, earliest first, and the names of the mangoes joined by `, `
    /// (a comma within a name is as ambiguous as it is with the seed).
    pub fn render<Name: AsRef<str>>(sessions: &[Session], mango_names: &[Name]) -> SeriesPart {
        let mut listed: Vec<&Session> = sessions.iter().filter(|session| session.is_scheduled()).collect();
        // Stable, so sessions moved to one instant stay in order of original start.
        listed.sort_by_key(|session| session.begin.instant);

        let mut bytes = Vec::with_capacity(listed.len() * SESSION_BYTES);
        bytes.extend_from_slice(b",\"callList\":[");
        for (index, session) in listed.iter().enumerate() {
            if index > 0 {
                bytes.push(b',');
            }
            write_session(&mut bytes, session);
        }
        bytes.extend_from_slice(b"],\"mangoes\":");
        let names: Vec<&str> = mango_names.iter().map(AsRef::as_ref).collect();
        write_string(&mut bytes, &names.join(", "));
        bytes.push(b'}');
        SeriesPart { bytes, attendee_instant: listed.first().map(|session| session.begin.instant) }
    }

    /// A part that was rendered before and kept with its event.
    pub fn from_parts(bytes: Vec<u8>, attendee_instant: Option<Timestamp>) -> SeriesPart {
        SeriesPart { bytes, attendee_instant }
    }

    /// What [`write_body`] takes as its tail.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The instant an attendee's offset is taken at: the first listed session's. The body has one offset for
    /// the whole series, so it is right for that session and may not be across a change of the clocks.
    pub fn attendee_instant(&self) -> Option<Timestamp> {
        self.attendee_instant
    }
}

fn write_session(out: &mut Vec<u8>, session: &Session) {
    out.extend_from_slice(b"{\"webinar\":");
    write_string(out, &session.title);
    out.extend_from_slice(b",\"webinarId\":");
    write_string(out, &session.id.to_string());
    out.extend_from_slice(b",\"webinarLink\":");
    write_string(out, &session.link);
    out.extend_from_slice(b",\"webinarFromTime\":");
    write_clock(out, Offset::UTC.to_datetime(session.begin.instant));
    out.extend_from_slice(b",\"webinarToTime\":");
    write_clock(out, Offset::UTC.to_datetime(session.end.instant));
    // The seed writes wall-clock times with a Z that is not true; code made for it takes the Z off. On a day
    // the clocks skip the asked time this is what they really show, so that time minus offset is the instant.
    out.extend_from_slice(b",\"webinarFromTimeInCreatorTimezone\":");
    write_clock(out, session.begin.wall());
    out.extend_from_slice(b",\"webinarToTimeInCreatorTimezone\":");
    write_clock(out, session.end.wall());
    out.extend_from_slice(b",\"creatorTimezone\":");
    write_offset(out, session.begin.offset);
    out.push(b'}');
}

/// Appends one delivery's body: the person, then `tail`, a [`SeriesPart`]'s bytes. `offset` is the person's
/// at [`SeriesPart::attendee_instant`], `None` where it is not known.
pub fn write_body(out: &mut Vec<u8>, participant: &Participant, offset: Option<Offset>, tail: &[u8]) {
    out.reserve(PERSON_BYTES + participant.name.len() + participant.email.len() + tail.len());
    out.extend_from_slice(b"{\"name\":");
    write_string(out, &participant.name);
    out.extend_from_slice(b",\"email\":");
    write_string(out, &participant.email);
    out.extend_from_slice(b",\"phone\":");
    match &participant.phone {
        Some(phone) => write_phone(out, phone),
        // The seed has no word for an unknown number; 0 would be one.
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"timezone\":");
    match offset {
        Some(offset) => write_offset(out, offset),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(tail);
}

/// Writes the digits as a JSON number, which begins with a zero only if it is one (RFC 8259, section 6).
fn write_phone(out: &mut Vec<u8>, phone: &Phone) {
    let number = phone.digits().trim_start_matches('0');
    out.extend_from_slice(if number.is_empty() { b"0" } else { number.as_bytes() });
}
