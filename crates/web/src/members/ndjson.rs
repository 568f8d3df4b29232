//! Lists of one JSON object a line.

use serde_json::{Map, Value};
use store::NewMember;
use webinar::{FieldError, Participant, Zones};

use super::{MemberLine, RECORD_BYTES_MAX, whole_line};

/// Bytes not yet given out as lines.
#[derive(Debug, Default)]
pub(super) struct NdjsonLines {
    buffer: Vec<u8>,
    /// Where the next line starts in `buffer`.
    start: usize,
    /// Up to where `buffer` is known to hold no further line break.
    searched: usize,
    /// Lines given out.
    line: u64,
    /// True while the rest of a line that was too long is passed over.
    is_skipping: bool,
    is_finished: bool,
}

impl NdjsonLines {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.is_finished = true;
    }

    pub(super) fn next_member(&mut self, zones: &Zones) -> Option<MemberLine> {
        loop {
            let was_skipping = self.is_skipping;
            let line = self.next_range()?;
            if was_skipping {
                continue;
            }
            self.line += 1;
            let text = self.buffer[line].trim_ascii();
            if self.is_skipping || text.len() > RECORD_BYTES_MAX {
                let error = format!("is longer than {RECORD_BYTES_MAX} bytes; shorten it");
                return Some(MemberLine { number: self.line, member: Err(whole_line(error)) });
            }
            if !text.is_empty() {
                return Some(MemberLine { number: self.line, member: read(text, zones) });
            }
        }
    }

    /// The next line, or as much of one as is too long.
    fn next_range(&mut self) -> Option<std::ops::Range<usize>> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let end = match found {
            Some(at) => self.searched + at,
            None if self.is_finished && self.start < self.buffer.len() => self.buffer.len(),
            None if self.buffer.len() - self.start > RECORD_BYTES_MAX => self.buffer.len(),
            None => {
                self.searched = self.buffer.len();
                return None;
            }
        };
        self.is_skipping = found.is_none() && !self.is_finished;
        let line = self.start..end;
        self.start = if found.is_some() { end + 1 } else { end };
        self.searched = self.start;
        Some(line)
    }
}

fn read(line: &[u8], zones: &Zones) -> Result<NewMember, Vec<FieldError>> {
    let text = std::str::from_utf8(line).map_err(|_| whole_line("is not UTF-8 text; save the list as UTF-8"))?;
    let mut object: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        whole_line(format!("is not a JSON object such as {{\"name\":\"Ada\",\"email\":\"ada@example.com\"}}: {error}"))
    })?;
    let mut errors = Vec::new();
    let mut take = |name: &str| match object.remove(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) if name == "phone" => number.to_string(),
        Some(_) => {
            errors.push(FieldError { pointer: format!("/{name}"), detail: "is not text; write it in quotes".into() });
            String::new()
        }
    };
    let (name, email, phone, timezone) = (take("name"), take("email"), take("phone"), take("timezone"));
    if !errors.is_empty() {
        return Err(errors);
    }
    let participant = Participant::parse(&name, &email, &phone, &timezone, zones)
        .map_err(|invalid| invalid.errors().to_vec())?;
    let attributes = (!object.is_empty()).then(|| Value::Object(object).to_string());
    Ok(NewMember { participant, attributes })
}
