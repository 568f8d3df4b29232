//! Who and what an event is about, as a number.

use aws_lc_rs::digest::{Context, SHA256};

use super::{Subject, WebinarEvent};

/// Keeps these hashes apart from every other use of SHA-256. Stored: a change makes everything told before forgotten.
const DOMAIN: &[u8] = b"fanfare subject 1\0";
/// Created and updated, recurring and single are one story; reminders and completions are one each.
const CREATED: &str = "webinar.created.";

pub(super) fn subject_of(webinar: &WebinarEvent) -> Option<Subject> {
    let (mark, person) = webinar.person.mark()?;
    let told = webinar.series.as_ref().map(|series| (b's', series.id.as_str()));
    let smallest = || webinar.sessions.iter().map(|session| session.id.as_str()).filter(|id| !id.is_empty()).min();
    let (kind, about) = told.or_else(|| smallest().map(|id| (b'c', id)))?;
    let family = if webinar.event.starts_with(CREATED) { CREATED } else { &webinar.event };

    let mut hash = Context::new(&SHA256);
    // No part holds a NUL: the person and the sessions were freed of it, and headers have none.
    for part in [DOMAIN, family.as_bytes(), b"\0", &[mark], person.as_bytes(), b"\0", &[kind], about.as_bytes()] {
        hash.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hash.finish().as_ref()[..8]);
    Some(Subject(u64::from_be_bytes(first)))
}
