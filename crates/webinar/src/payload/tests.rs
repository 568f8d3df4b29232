//! The body against the seed's page, byte for byte, and against whatever a name may hold.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::draft::SeriesDraft;
use crate::identity::SeriesId;
use crate::series::Series;
use crate::session::SessionStatus;
use crate::zones::{AttendeeZone, Zones};

/// The example of the seed's page without its line breaks.
const SEED: &str = concat!(
    r#"{"name":"John Doe","email":"john@example.com","phone":1234567890,"timezone":"+05:30","callList":["#,
    r#"{"webinar":"Introduction to Digital Marketing","webinarId":"634fc35ddaf58580e2418c40","#,
    r#""webinarLink":"https://meet.google.com/abc-defg-hij","#,
    r#""webinarFromTime":"2024-03-15T10:00:00.000Z","webinarToTime":"2024-03-15T11:00:00.000Z","#,
    r#""webinarFromTimeInCreatorTimezone":"2024-03-15T15:30:00.000Z","#,
    r#""webinarToTimeInCreatorTimezone":"2024-03-15T16:30:00.000Z","creatorTimezone":"+05:30"}],"#,
    r#""mangoes":"mango1, mango2, mango3"}"#
);

fn sessions(timezone: &str, start: &str, recurrence: Option<&str>) -> Vec<Session> {
    let draft = SeriesDraft {
        title: "Introduction to Digital Marketing".to_owned(),
        link: "https://meet.google.com/abc-defg-hij".to_owned(),
        timezone: timezone.to_owned(),
        start: start.to_owned(),
        duration_minutes: 60,
        recurrence: recurrence.map(str::to_owned),
        except: Vec::new(),
        overrides: Vec::new(),
        mangoes: Vec::new(),
        exclude_mangoes: Vec::new(),
        late_joiners: Default::default(),
    };
    Series::parse(SeriesId::from_bytes([1; 12]), draft, &Zones::bundled()).unwrap().sessions().to_vec()
}

fn person(name: &str, phone: &str) -> Participant {
    let phone = Some(phone).filter(|phone| !phone.is_empty()).map(|phone| phone.parse().unwrap());
    Participant { name: name.to_owned(), email: "john@example.com".to_owned(), phone, timezone: None }
}

fn body(participant: &Participant, offset: Option<Offset>, part: &SeriesPart) -> String {
    let mut out = Vec::new();
    write_body(&mut out, participant, offset, part.as_bytes());
    String::from_utf8(out).unwrap()
}

fn parsed(participant: &Participant, part: &SeriesPart) -> Value {
    serde_json::from_str(&body(participant, None, part)).unwrap()
}

/// One field of every listed session.
fn column(sessions: &[Session], field: &str) -> Vec<String> {
    let body = parsed(&person("John Doe", ""), &SeriesPart::render::<&str>(sessions, &[]));
    body["callList"].as_array().unwrap().iter().map(|call| call[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_example_of_the_seeds_page_comes_out_byte_for_byte() {
    let mut sessions = sessions("Asia/Kolkata", "2024-03-15T15:30", None);
    sessions[0].id = "634fc35ddaf58580e2418c40".parse().unwrap();
    let part = SeriesPart::render(&sessions, &["mango1", "mango2", "mango3"]);
    let zone = AttendeeZone::parse("Asia/Kolkata", &Zones::bundled()).unwrap().unwrap();
    let offset = part.attendee_instant().map(|instant| zone.offset_at(instant));
    assert_eq!(body(&person("John Doe", "1234567890"), offset, &part), SEED);
}

#[test]
fn a_part_that_was_stored_gives_the_same_body() {
    let part = SeriesPart::render(&sessions("Asia/Kolkata", "2024-03-15T15:30", None), &["mango"]);
    let stored = SeriesPart::from_parts(part.as_bytes().to_vec(), part.attendee_instant());
    assert_eq!(stored, part);
}

#[test]
fn a_body_is_appended_to_what_is_already_there() {
    let mut out = b"first\n".to_vec();
    write_body(&mut out, &person("A", ""), None, b"}");
    assert_eq!(
        out,
        br#"first
{"name":"A","email":"john@example.com","phone":null,"timezone":null}"#
    );
}

#[test]
fn each_session_has_its_own_creator_offset() {
    let sessions = sessions("Europe/London", "2026-03-28T18:00", Some("FREQ=DAILY;COUNT=2"));
    assert_eq!(column(&sessions, "creatorTimezone"), ["+00:00", "+01:00"]);
    assert_eq!(column(&sessions, "webinarFromTime"), ["2026-03-28T18:00:00.000Z", "2026-03-29T17:00:00.000Z"]);
}

#[test]
fn a_time_the_clocks_skip_is_shown_as_what_they_really_show() {
    let sessions = sessions("America/New_York", "2026-03-08T02:30", None);
    assert_eq!(column(&sessions, "webinarFromTimeInCreatorTimezone"), ["2026-03-08T03:30:00.000Z"]);
    assert_eq!(column(&sessions, "webinarFromTime"), ["2026-03-08T07:30:00.000Z"]);
    assert_eq!(column(&sessions, "creatorTimezone"), ["-04:00"]);
}

#[test]
fn sessions_are_listed_earliest_first_and_cancelled_ones_not_at_all() {
    let mut sessions = sessions("UTC", "2026-01-01T10:00", Some("FREQ=DAILY;COUNT=4"));
    sessions[0].begin = sessions[3].begin;
    sessions[2].status = SessionStatus::Cancelled;
    let expected = [&sessions[1], &sessions[0], &sessions[3]].map(|session| session.id.to_string());
    assert_eq!(column(&sessions, "webinarId"), expected);
    let part = SeriesPart::render::<&str>(&sessions, &[]);
    assert_eq!(part.attendee_instant(), Some(sessions[1].begin.instant));
}

#[test]
fn a_series_without_sessions_has_an_empty_list_and_no_instant() {
    let part = SeriesPart::render::<String>(&[], &[]);
    assert_eq!((part.as_bytes(), part.attendee_instant()), (&br#","callList":[],"mangoes":""}"#[..], None));
}

#[test]
fn a_phone_is_a_number_with_every_digit_and_an_unknown_one_is_null() {
    let part = SeriesPart::render::<&str>(&[], &[]);
    for (phone, expected) in [
        ("+91 98765 43210", "\"phone\":919876543210,"),
        ("98765432109876543210", "\"phone\":98765432109876543210,"),
        ("0123456789", "\"phone\":123456789,"),
        ("+0000", "\"phone\":0,"),
        ("", "\"phone\":null,"),
    ] {
        let body = body(&person("A", phone), None, &part);
        assert!(body.contains(expected), "{body}");
    }
}

#[test]
fn an_offset_is_hours_and_minutes_cut_toward_zero() {
    for (seconds, expected) in [
        (0, "+00:00"),
        (19_800, "+05:30"),
        (-12_600, "-03:30"),
        (-2_670, "-00:44"),
        (-59, "+00:00"),
        (50_400, "+14:00"),
    ] {
        let mut out = Vec::new();
        write_offset(&mut out, Offset::from_seconds(seconds).unwrap());
        assert_eq!(String::from_utf8(out).unwrap(), format!("\"{expected}\""));
    }
}

#[test]
fn every_character_of_ascii_is_escaped_as_json_stringify_does() {
    let text: String = (0..=127).map(char::from).collect();
    let mut out = Vec::new();
    write_string(&mut out, &text);
    assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
}

#[test]
fn mango_names_with_commas_quotes_and_emoji_are_joined_as_they_are() {
    let part = SeriesPart::render(&[], &["a, b", "\"c\"", "🥭", "مرحبا\u{202e}"]);
    assert_eq!(parsed(&person("A", ""), &part)["mangoes"], "a, b, \"c\", 🥭, مرحبا\u{202e}");
}

proptest! {
    #[test]
    fn any_text_survives_the_body(name in any::<String>(), email in any::<String>(), title in any::<String>(), mango in any::<String>()) {
        let mut sessions = sessions("Asia/Kolkata", "2024-03-15T15:30", None);
        sessions[0].title = title.as_str().into();
        let participant = Participant { name: name.clone(), email: email.clone(), phone: None, timezone: None };
        let body = parsed(&participant, &SeriesPart::render(&sessions, &[&mango]));
        prop_assert_eq!(body["name"].as_str(), Some(name.as_str()));
        prop_assert_eq!(body["email"].as_str(), Some(email.as_str()));
        prop_assert_eq!(body["callList"][0]["webinar"].as_str(), Some(title.as_str()));
        prop_assert_eq!(body["mangoes"].as_str(), Some(mango.as_str()));
    }
}
