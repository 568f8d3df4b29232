//! Writes calendars (RFC 5545): invitations and cancellations for e-mail (RFC 5546), and feeds to subscribe to. Times are
//! in UTC, so no zone has to be described; each session is an event of its own, so a move touches that one alone.

use std::collections::HashSet;

use icalendar::{Calendar, Component, Event, EventLike, EventStatus, Property};
use jiff::Timestamp;
use receiver::agenda::{ENTRIES_MAX, Entries, Entry, EntryStatus};
use store::CalendarOf;

/// Characters of a title or a name that are shown; the rest would only make calendars slow.
const TITLE_CHARS_MAX: usize = 300;
/// Characters of a link: what browsers take.
const LINK_CHARS_MAX: usize = 2_000;
/// How often subscribers should look again. Most take it as a hint only.
const REFRESH_INTERVAL: &str = "PT1H";

/// Who invites, or who is invited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Party<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: &'a str,
}

/// Between whom an invitation is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Invitation<'a> {
    pub(crate) from: Party<'a>,
    pub(crate) to: Party<'a>,
    /// When it is written.
    pub(crate) at: Timestamp,
}

/// What an invitation does with its sessions. A calendar object does one thing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Puts them in, or moves them.
    Request,
    /// Takes them out.
    Cancel,
}

impl Method {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::Request => "REQUEST",
            Method::Cancel => "CANCEL",
        }
    }
}

impl Invitation<'_> {
    /// The calendar object, in full.
    pub(crate) fn write(&self, method: Method, entries: &[&Entry]) -> String {
        let mut calendar = empty(method.as_str());
        for entry in entries.iter().take(ENTRIES_MAX) {
            let mut event = event(entry, self.at);
            event.append_property(party("ORGANIZER", self.from));
            let mut attendee = party("ATTENDEE", self.to);
            for (name, value) in [
                ("CUTYPE", "INDIVIDUAL"),
                ("ROLE", "REQ-PARTICIPANT"),
                ("PARTSTAT", "NEEDS-ACTION"),
                // Nobody reads answers: the sender of the webhook has its own list of who comes.
                ("RSVP", "FALSE"),
            ] {
                attendee.add_parameter(name, value);
            }
            event.append_multi_property(attendee);
            calendar.push(event);
        }
        calendar.to_string()
    }
}

/// A feed: what a calendar holds now. The same bytes for the same calendar. What was cancelled is left out: subscribers
/// show what the feed holds, and not all of them heed the mark of a cancelled event.
#[must_use]
pub fn feed(calendar: &store::Calendar) -> String {
    let entries = calendar.agendas.iter().filter_map(|agenda| Entries::from_text(agenda.version, &agenda.entries).ok());
    let mut entries: Vec<Entry> = entries.flat_map(|entries| entries.list).collect();
    entries.retain(|entry| entry.status == EntryStatus::Confirmed);
    entries.sort_by(|a, b| (a.begin, &a.uid).cmp(&(b.begin, &b.uid)));
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert(entry.uid.clone()));
    let beyond = entries.len().saturating_sub(ENTRIES_MAX);
    entries.drain(..beyond);

    let mut written = empty("PUBLISH");
    let name = match (&calendar.of, entries.last()) {
        (CalendarOf::Series(_), Some(last)) => clean(&last.title, TITLE_CHARS_MAX),
        (CalendarOf::Person(_), _) | (CalendarOf::Series(_), None) => "Webinars".to_owned(),
    };
    let name = name.replace('\\', r"\\").replace(',', r"\,").replace(';', r"\;");
    written.name(&name);
    let mut refresh = Property::new("REFRESH-INTERVAL", REFRESH_INTERVAL);
    written.append_property(refresh.add_parameter("VALUE", "DURATION").done());
    written.append_property(("X-PUBLISHED-TTL", REFRESH_INTERVAL));
    for entry in &entries {
        written.push(event(entry, entry.changed_at));
    }
    written.to_string()
}

fn empty(method: &str) -> Calendar {
    let mut calendar = Calendar::empty();
    for property in
        [("VERSION", "2.0"), ("PRODID", "-//Fanfare//Fanfare//EN"), ("CALSCALE", "GREGORIAN"), ("METHOD", method)]
    {
        calendar.append_property(property);
    }
    calendar
}

fn event(entry: &Entry, stamp: Timestamp) -> Event {
    let mut event = Event::new();
    event.uid(&clean(&entry.uid, LINK_CHARS_MAX)).sequence(entry.sequence);
    event.add_property("DTSTAMP", utc(stamp)).add_property("LAST-MODIFIED", utc(entry.changed_at));
    event.add_property("DTSTART", utc(entry.begin));
    if let Some(end) = entry.end {
        event.add_property("DTEND", utc(end));
    }
    event.summary(&clean(&entry.title, TITLE_CHARS_MAX));
    let link = clean(&entry.link, LINK_CHARS_MAX);
    if !link.is_empty() {
        event.location(&link).description(&link);
    }
    if is_uri(&link) {
        event.url(&link);
    }
    event.status(match entry.status {
        EntryStatus::Confirmed => EventStatus::Confirmed,
        EntryStatus::Cancelled => EventStatus::Cancelled,
    });
    event.done()
}

fn party(property: &str, party: Party<'_>) -> Property {
    let mut written = Property::new(property, format!("mailto:{}", clean(party.address, LINK_CHARS_MAX)));
    // Within a parameter there is no way to write a double quote (RFC 5545, section 3.2).
    let name = clean(party.name, TITLE_CHARS_MAX).replace('"', "'");
    if !name.is_empty() {
        written.add_parameter("CN", &name);
    }
    written
}

fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A value without what would end its line and begin a property of a stranger's choice: control characters and the two
/// separators of lines that Unicode has besides.
fn clean(value: &str, chars_max: usize) -> String {
    let visible = value.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
    let words: String = visible.take(chars_max).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_uri(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}');
    text.contains(':') && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests;
