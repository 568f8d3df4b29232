//! Lists of one JSON object a line.

use serde_json::{Map, Value};
use store::NewMember;
use webinar::{FieldError, Participant, Zones};

use super::lines::{LineText, Lines};
use super::{MemberLine, TOO_LONG, whole_line};

/// The next line with something on it.
pub(super) fn next_member(lines: &mut Lines, zones: &Zones) -> Option<MemberLine> {
    loop {
        let line = lines.next_line()?;
        let member = match &line.text {
            LineText::Whole(text) if text.trim_ascii().is_empty() => continue,
            LineText::Whole(text) => read(text, zones),
            LineText::TooLong => Err(whole_line(TOO_LONG)),
        };
        return Some(MemberLine { number: line.number, member });
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
    let participant =
        Participant::parse(&name, &email, &phone, &timezone, zones).map_err(|invalid| invalid.errors().to_vec())?;
    let attributes = (!object.is_empty()).then(|| Value::Object(object).to_string());
    Ok(NewMember { participant, attributes })
}
