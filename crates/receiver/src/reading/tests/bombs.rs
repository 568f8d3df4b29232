//! Bodies made to hurt: nothing panics, and what is kept stays small.

use proptest::prelude::*;

use super::*;

fn is_harmless(body: &[u8]) {
    let reading = read(&KeptHeaders::default(), body, Some("webinar.created.recurring"));
    let json = reading.to_json(body);
    assert_eq!(json["event"], "webinar.created.recurring");
}

#[test]
fn depth_is_no_danger_in_any_place() {
    for depth in [10, 127, 10_000, 1_000_000] {
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        let objects = r#"{"data":"#.repeat(depth) + "1" + &"}".repeat(depth);
        is_harmless(nested.as_bytes());
        is_harmless("[".repeat(depth).as_bytes());
        is_harmless(objects.as_bytes());
        for member in ["name", "callList", "mangoes", "timezone", "unknown"] {
            is_harmless(CREATED.replacen('{', &format!("{{\"{member}\":{nested},"), 1).as_bytes());
        }
    }
}

#[test]
fn what_is_deep_and_unknown_does_not_hide_the_payload() {
    let nested = "[".repeat(10_000) + &"]".repeat(10_000);
    let read = webinar(&CREATED.replacen('{', &format!("{{\"unknown\":{nested},\"n\":1e999999,"), 1), None);
    assert_eq!(read.sessions, [introduction()]);
}

#[test]
fn a_million_of_anything_is_bounded() {
    let zeros = "0,".repeat(500_000) + "0";
    let read = webinar(&CREATED.replace("\"mango1, mango2, mango3\"", &format!("[{zeros}]")), None);
    assert_eq!(read.mangoes.len(), 10_000);
    let read = webinar(&format!("{{\"callList\":[{zeros}]}}"), None);
    assert_eq!((read.sessions.len(), read.repairs.len() < 10), (0, true), "{:?}", read.repairs);
    let empty = "{},".repeat(20_000) + "{}";
    let read = webinar(&format!("{{\"callList\":[{empty}]}}"), None);
    assert_eq!(read.sessions.len(), 1, "all the same");
    assert!(read.repairs.len() < 20, "{:?}", read.repairs);
    is_harmless(format!("{{{}\"callList\":[]}}", "\"name\":\"a\",".repeat(100_000)).as_bytes());
    is_harmless(CREATED.replace("John Doe", &"é".repeat(500_000)).as_bytes());
}

#[test]
fn times_at_the_ends_of_the_calendar_are_read_or_left_out() {
    for time in [
        "-009999-01-02T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "-009999-01-01T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "99999-01-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
    ] {
        is_harmless(CREATED.replace("2024-03-15T10:00:00.000Z", time).as_bytes());
        is_harmless(CREATED.replace("2024-03-15T15:30:00.000Z", time).as_bytes());
        is_harmless(
            CREATED.replace("\"webinarFromTime\"", "\"x\"").replace("2024-03-15T15:30:00.000Z", time).as_bytes(),
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(body: Vec<u8>) {
        is_harmless(&body);
    }

    #[test]
    fn any_value_in_any_place_is_read(member in prop_oneof![
        "name|email|phone|timezone|callList|mangoes",
        "webinar|webinarId|webinarLink|webinarFromTime|webinarToTimeInCreatorTimezone|creatorTimezone",
    ], text: String, number: f64, shape in 0..6) {
        let quoted = serde_json::to_string(&text).unwrap();
        let raw = match shape {
            0 => quoted,
            1 => format!("[{quoted}]"),
            2 => format!("{{{quoted}:{quoted}}}"),
            3 => format!("{}", serde_json::json!(number)),
            4 => "false".to_owned(),
            _ => "null".to_owned(),
        };
        let body = CREATED.replacen('{', &format!("{{\"{member}\":{raw},"), 1);
        is_harmless(body.as_bytes());
        is_harmless(REMINDER.replacen(&format!("\"{member}\":"), &format!("\"{member}\":{raw},\"z\":"), 1).as_bytes());
    }

    #[test]
    fn any_time_offset_or_phone_is_read(text in "[-+0-9TZ:. ]{0,30}") {
        is_harmless(CREATED.replace("2024-03-15T15:30:00.000Z", &text).as_bytes());
        is_harmless(CREATED.replace("2024-03-15T11:00:00.000Z", &text).as_bytes());
        is_harmless(CREATED.replace("+05:30", &text).as_bytes());
        is_harmless(CREATED.replace("1234567890", &format!("\"{text}\"")).as_bytes());
    }
}
