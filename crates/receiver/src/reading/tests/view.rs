//! The event as JSON, and that its documentation shows it as it is.

use serde_json::{Value, json};

use super::*;

/// The text between the fences after a heading of the documentation.
fn documented(heading: &str, nth: usize) -> &'static str {
    let docs = include_str!("../../../../../docs/receiving/events.md");
    let section = docs.split(heading).nth(1).expect("the heading");
    section.split("```json\n").nth(nth).and_then(|block| block.split("```").next()).expect("a block of JSON")
}

#[test]
fn the_documentation_shows_an_event_as_it_is() {
    let body = documented("## The event as JSON", 1);
    let told = headers(&[
        ("fanfare-event", "webinar.created.recurring"),
        ("fanfare-trigger", "updated"),
        ("fanfare-series", "65f0c0ffee0000000000a001"),
        ("fanfare-series-version", "2"),
    ]);
    let shown: Value = serde_json::from_str(documented("## The event as JSON", 2)).unwrap();
    let json = read(&told, body.as_bytes(), None).to_json(body.as_bytes());
    let (Value::Object(shown), Value::Object(json)) = (shown, json) else { panic!("no objects") };
    for (member, expected) in &shown {
        // The body is shown cut.
        let expected = if member == "body" { &serde_json::from_str(body).unwrap() } else { expected };
        assert_eq!(&json[member], expected, "{member}: {}", json[member]);
    }
    assert_eq!(json.keys().collect::<Vec<_>>(), shown.keys().collect::<Vec<_>>());
}

#[test]
fn every_event_has_the_same_members() {
    let other = br#"{"type":"user.deleted","host":"x.org"}"#;
    let json = read(&KeptHeaders::default(), other, None).to_json(other);
    let expected = json!({
        "event": "user.deleted", "trigger": null, "test": false, "person": null, "series": null,
        "sessions": [], "mangoes": [], "repairs": [], "body": { "type": "user.deleted", "host": "x.org" },
    });
    assert_eq!(json, expected);
    let webinar = read(&KeptHeaders::default(), CREATED.as_bytes(), None).to_json(CREATED.as_bytes());
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&webinar), members(&expected));
}

#[test]
fn what_is_no_json_has_no_body() {
    let json = read(&KeptHeaders::default(), b"hello", None).to_json(b"hello");
    assert_eq!((&json["body"], &json["event"]), (&Value::Null, &Value::Null));
    let marked = b"\xef\xbb\xbf{\"a\":1}";
    assert_eq!(read(&KeptHeaders::default(), marked, None).to_json(marked)["body"]["a"], 1);
}

#[test]
fn an_attendee_sees_their_own_clock_and_one_without_an_offset_none() {
    let json = read(&KeptHeaders::default(), CREATED.as_bytes(), None).to_json(CREATED.as_bytes());
    assert_eq!(json["sessions"][0]["end"]["attendee"], "2024-03-15T16:30:00");
    let unknown = CREATED.replacen("\"+05:30\"", "null", 1);
    let json = read(&KeptHeaders::default(), unknown.as_bytes(), None).to_json(unknown.as_bytes());
    assert_eq!((&json["sessions"][0]["end"]["attendee"], &json["person"]["offset"]), (&Value::Null, &Value::Null));
}
