//! Reads mails as a mailbox does: headers, parts, encodings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use icalendar::{Calendar, Component, Event};

/// A part without parts of its own.
#[derive(Debug)]
pub(crate) struct Part {
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

#[derive(Debug)]
pub(crate) struct Mail {
    headers: Vec<(String, String)>,
    pub(crate) parts: Vec<Part>,
}

impl Mail {
    pub(crate) fn read(data: &str) -> Mail {
        let mut parts = Vec::new();
        let (headers, _) = split(data);
        gather(data, &mut parts);
        Mail { headers, parts }
    }

    /// The header's value with its words decoded; panics where there is none or more than one.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> String {
        let found: Vec<_> = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).collect();
        let [(_, value)] = found[..] else { panic!("{} headers {name}: {:?}", found.len(), self.headers) };
        decoded_words(value)
    }

    pub(crate) fn header_names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The first part of a kind, such as `text/plain`.
    #[track_caller]
    pub(crate) fn part(&self, kind: &str) -> &Part {
        self.parts.iter().find(|part| part.kind().starts_with(kind)).unwrap_or_else(|| panic!("no {kind}: {self:?}"))
    }

    /// The plain text, with its line ends as Rust writes them.
    pub(crate) fn text(&self) -> String {
        self.part("text/plain").body.replace("\r\n", "\n")
    }

    /// The calendar that programs look at: the alternative, which is no file.
    #[track_caller]
    pub(crate) fn calendar(&self) -> Calendar {
        calendar(&self.part("text/calendar").body)
    }
}

impl Part {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub(crate) fn kind(&self) -> &str {
        self.header("content-type")
    }
}

/// A calendar object, read; its lines are checked on the way.
#[track_caller]
pub(crate) fn calendar(text: &str) -> Calendar {
    assert!(text.ends_with("END:VCALENDAR\r\n"), "{text}");
    for line in text.split_terminator("\r\n") {
        assert!(line.len() <= 76 && !line.contains(['\r', '\n']), "{line:?}");
    }
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn events(calendar: &Calendar) -> Vec<Event> {
    calendar.events().cloned().collect()
}

#[track_caller]
pub(crate) fn value<'e>(event: &'e Event, name: &str) -> &'e str {
    event.property_value(name).unwrap_or_else(|| panic!("no {name} in {event:?}"))
}

fn gather(data: &str, parts: &mut Vec<Part>) {
    let (headers, body) = split(data);
    let header = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let kind = header("content-type").map_or("", |(_, value)| value);
    if let Some((_, boundary)) = kind.split_once("boundary=") {
        let boundary = format!("--{}", boundary.trim_matches('"'));
        let pieces: Vec<&str> = body.split(&boundary).collect();
        assert_eq!(pieces.last().map(|last| last.trim_end()), Some("--"), "the last boundary closes: {data}");
        for piece in &pieces[1..pieces.len() - 1] {
            gather(piece.strip_prefix("\r\n").unwrap(), parts);
        }
        return;
    }
    let encoding = header("content-transfer-encoding").map_or("7bit", |(_, value)| value);
    assert_eq!(encoding, "base64");
    let digits: String = body.split_whitespace().collect();
    let body = String::from_utf8(STANDARD.decode(digits).unwrap()).unwrap();
    parts.push(Part { headers, body });
}

/// Unfolded headers, and the body.
fn split(data: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = data.split_once("\r\n\r\n").unwrap_or((data, ""));
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
        (name.to_owned(), value.trim().to_owned())
    };
    (head.split("\r\n").map(header).collect(), body)
}

/// Undoes `=?utf-8?b?…?=` (RFC 2047).
fn decoded_words(value: &str) -> String {
    let mut decoded = String::new();
    let mut was_word = false;
    for word in value.split(' ') {
        let text = word.strip_prefix("=?utf-8?b?").and_then(|rest| rest.strip_suffix("?="));
        let text = text.map(|digits| String::from_utf8(STANDARD.decode(digits).unwrap()).unwrap());
        if !(decoded.is_empty() || was_word && text.is_some()) {
            decoded.push(' ');
        }
        was_word = text.is_some();
        decoded.push_str(text.as_deref().unwrap_or(word));
    }
    decoded
}
