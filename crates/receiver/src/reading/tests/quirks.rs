//! What senders get wrong: a member as it is written, what is read, and what is told of it.

use serde_json::Value;

use super::*;

/// The members of a good body; those of the session stand in a list.
const PERSON: [(&str, &str); 5] = [
    ("name", r#""Asha""#),
    ("email", r#""asha@example.com""#),
    ("phone", "919876543210"),
    ("timezone", r#""+05:30""#),
    ("mangoes", r#""Gold, Silver""#),
];
const SESSION: [(&str, &str); 8] = [
    ("webinar", r#""Design""#),
    ("webinarId", r#""a1""#),
    ("webinarLink", r#""https://x""#),
    ("webinarFromTime", r#""2024-03-15T10:00:00.000Z""#),
    ("webinarToTime", r#""2024-03-15T11:00:00.000Z""#),
    ("webinarFromTimeInCreatorTimezone", r#""2024-03-15T15:30:00.000Z""#),
    ("webinarToTimeInCreatorTimezone", r#""2024-03-15T16:30:00.000Z""#),
    ("creatorTimezone", r#""+05:30""#),
];

const FALSE_MARK: &str = "is the creator's clock and not UTC";

/// The members with some of them written otherwise; one without any text is left out, one that is new is added.
fn object(members: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let written = |name: &str| changes.iter().find(|(changed, _)| *changed == name).map(|(_, raw)| *raw);
    let members = members.iter().map(|(name, raw)| (*name, written(name).unwrap_or(raw)));
    let members = members.filter(|(_, raw)| !raw.is_empty()).map(|(name, raw)| format!("\"{name}\":{raw}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn body(changes: &[(&str, &str)]) -> String {
    let list = changes.iter().find(|(name, _)| *name == "callList").map(|(_, raw)| (*raw).to_owned());
    let list = list.unwrap_or_else(|| format!("[{}]", object(&SESSION, changes)));
    let person = object(&PERSON, changes);
    format!("{},\"callList\":{list}}}", &person[..person.len() - 1])
}

fn read_body(body: &str) -> (Value, Vec<String>) {
    let reading = read(&KeptHeaders::default(), body.as_bytes(), Some("webinar.created.recurring"));
    let json = reading.to_json(body.as_bytes());
    let told = repairs(&webinar_of(reading));
    (json, told.into_iter().filter(|told| !told.contains(FALSE_MARK)).collect())
}

/// Each line: a member, how it is written, where it is in the event's JSON, what is there, what is told.
fn check(lines: &[(&str, &str, &str, &str, &str)]) {
    for (member, raw, pointer, expected, repair) in lines {
        let (json, told) = read_body(&body(&[(member, raw)]));
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(json.pointer(pointer), Some(&expected), "{member}: {raw}");
        let expected_told: Vec<_> = Some(*repair).filter(|repair| !repair.is_empty()).into_iter().collect();
        assert_eq!(told, expected_told, "{member}: {raw}");
    }
}

#[test]
fn names_and_addresses() {
    let (name, email) = ("/person/name", "/person/email");
    check(&[
        ("name", r#"" Asha\t""#, name, r#""Asha""#, "/name has space around it; removed"),
        ("name", "", name, r#""""#, "/name is missing or empty"),
        ("name", "null", name, r#""""#, "/name is missing or empty"),
        ("name", "007e1", name, r#""007e1""#, "/name is a number; taken as text"),
        ("name", "true", name, r#""true""#, "/name is true or false; taken as text"),
        ("name", r#""A\u0000b""#, name, r#""Ab""#, "/name holds NUL characters, which databases cannot keep; removed"),
        ("name", r#""A\ud800""#, name, "\"A\u{fffd}\u{fffd}\u{fffd}\"", "/name holds half a character, which no text can; replaced by \u{fffd}"),
        ("name", r#""A","name":"B""#, name, r#""B""#, "/name stands there more than once; the last was taken"),
        ("email", r#""Asha@Example.COM""#, email, r#""asha@example.com""#, "/email has capital letters; made small"),
        ("email", r#"" asha@example.com""#, email, r#""asha@example.com""#, "/email has space around it; removed"),
        ("email", r#""asha""#, email, "null", "/email is no e-mail address; left out"),
        ("email", "null", email, "null", "/email is missing or empty"),
        ("email", r#""""#, email, "null", "/email is missing or empty"),
        ("email", "[]", email, "null", "/email is no text; left out"),
    ][3..3]);
    check(&[
        ("name", r#"" Asha\t""#, name, r#""Asha""#, "/name has space around it; removed"),
        ("name", "", name, r#""""#, "/name is missing or empty"),
        ("name", "null", name, r#""""#, "/name is missing or empty"),
        ("name", "7", name, r#""7""#, "/name is a number; taken as text"),
    ]);
}
