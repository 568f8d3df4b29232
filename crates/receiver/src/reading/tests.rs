//! Every example of the wire contract, and what a body is taken for.

mod bombs;
mod quirks;
mod round_trip;
mod subjects;
mod view;

use super::*;
use crate::KeptHeaders;

/// `webinar.created.recurring` and `.single`, as the seed's page has it.
const CREATED: &str = r#"{
  "name": "John Doe",
  "email": "john@example.com",
  "phone": 1234567890,
  "timezone": "+05:30",
  "callList": [
    {
      "webinar": "Introduction to Digital Marketing",
      "webinarId": "634fc35ddaf58580e2418c40",
      "webinarLink": "https://meet.google.com/abc-defg-hij",
      "webinarFromTime": "2024-03-15T10:00:00.000Z",
      "webinarToTime": "2024-03-15T11:00:00.000Z",
      "webinarFromTimeInCreatorTimezone": "2024-03-15T15:30:00.000Z",
      "webinarToTimeInCreatorTimezone": "2024-03-15T16:30:00.000Z",
      "creatorTimezone": "+05:30"
    }
  ],
  "mangoes": "mango1, mango2, mango3"
}"#;
const REMINDER: &str = r#"{"name":"John Doe","email":"john@example.com","phone":"1234567890","timezone":"+05:30","webinar":"Introduction to Digital Marketing","webinarId":"634fc35ddaf58580e2418c40","webinarLink":"https://meet.google.com/abc-defg-hij","webinarFromTime":"2024-03-15T10:00:00.000Z","webinarToTime":"2024-03-15T11:00:00.000Z","webinarFromTimeInCreatorTimezone":"2024-03-15T15:30:00.000Z","creatorTimezone":"+05:30","mangoes":"Marketing Community, Digital Course Hub"}"#;
const COMPLETED: &str = r#"{"name":"John Doe","email":"john.doe@example.com","phone":"+1234567890","webinar":"Introduction to Digital Marketing","webinarId":"6149b1e5612c4e5fd96041d3","webinarLink":"https://example.com/webinar/recording/123"}"#;

fn headers(lines: &[(&str, &str)]) -> KeptHeaders {
    KeptHeaders::from_text(lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect())
}

fn webinar_of(reading: Reading) -> WebinarEvent {
    match reading {
        Reading::Webinar(webinar) => *webinar,
        Reading::Other(other) => panic!("no webinar payload: {other:?}"),
    }
}

fn webinar(body: &str, event: Option<&str>) -> WebinarEvent {
    webinar_of(read(&KeptHeaders::default(), body.as_bytes(), event))
}

fn repairs(webinar: &WebinarEvent) -> Vec<String> {
    webinar.repairs.iter().map(|repair| format!("{} {}", repair.pointer, repair.what)).collect()
}

fn event(body: &str, setting: Option<&str>) -> Option<String> {
    read(&KeptHeaders::default(), body.as_bytes(), setting).event().map(str::to_owned)
}

fn moment(instant: &str, offset_minutes: i32) -> Option<ReadMoment> {
    let instant: Timestamp = instant.parse().unwrap();
    let offset = Offset::from_seconds(60 * offset_minutes).unwrap();
    Some(ReadMoment { instant, offset, wall: offset.to_datetime(instant) })
}

fn john(phone: &str) -> Person {
    Person {
        name: "John Doe".to_owned(),
        email: Some("john@example.com".to_owned()),
        phone: Some(phone.to_owned()),
        offset: Some(Offset::from_seconds(19_800).unwrap()),
        zone: None,
    }
}

fn introduction() -> SessionRead {
    SessionRead {
        id: "634fc35ddaf58580e2418c40".to_owned(),
        title: "Introduction to Digital Marketing".to_owned(),
        link: "https://meet.google.com/abc-defg-hij".to_owned(),
        begin: moment("2024-03-15T10:00:00Z", 330),
        end: moment("2024-03-15T11:00:00Z", 330),
    }
}

#[test]
fn the_example_of_created_recurring_is_read_with_its_false_z() {
    let read = webinar(CREATED, Some("webinar.created.recurring"));
    assert_eq!(read.event, "webinar.created.recurring");
    assert_eq!((&read.person, &read.sessions[..]), (&john("1234567890"), &[introduction()][..]));
    assert_eq!(read.mangoes, ["mango1", "mango2", "mango3"]);
    assert_eq!(read.sessions[0].begin.unwrap().wall.to_string(), "2024-03-15T15:30:00");
    assert_eq!((read.series.as_ref(), read.is_test), (None, false));
    let what = "is the creator's clock and not UTC, in spite of its Z; read as that";
    assert_eq!(
        repairs(&read),
        [
            format!("/callList/0/webinarFromTimeInCreatorTimezone {what}"),
            format!("/callList/0/webinarToTimeInCreatorTimezone {what}")
        ]
    );
}

#[test]
fn the_example_of_created_single_is_one_by_its_name_alone() {
    let read = webinar(CREATED, Some("webinar.created.single"));
    assert_eq!((read.event.as_str(), &read.sessions[..]), ("webinar.created.single", &[introduction()][..]));
    let inferred = webinar(CREATED, None);
    assert_eq!(inferred.event, "webinar.created.recurring");
    let told = repairs(&inferred).pop().unwrap();
    assert!(told.contains("inferred webinar.created.recurring") && told.contains("created.single looks the same"));
}

#[test]
fn the_example_of_a_reminder_is_read_under_every_name_of_one() {
    for name in ["webinar.reminder.15min", "webinar.reminder.30min", "webinar.reminder.1day", "webinar.reminder.all"] {
        let read = webinar(REMINDER, Some(name));
        assert_eq!((read.event.as_str(), &read.person), (name, &john("1234567890")));
        assert_eq!((&read.sessions[..], read.repairs.len()), (&[introduction()][..], 1), "{:?}", read.repairs);
        assert_eq!(read.mangoes, ["Marketing Community", "Digital Course Hub"]);
    }
    assert_eq!(event(REMINDER, None).as_deref(), Some("webinar.reminder.all"));
}

#[test]
fn the_example_of_completed_has_a_recording_and_no_times() {
    let read = webinar(COMPLETED, None);
    assert_eq!(read.event, "webinar.completed.all");
    assert_eq!((read.person.phone.as_deref(), read.person.offset), (Some("+1234567890"), None));
    let [session] = &read.sessions[..] else { panic!("{:?}", read.sessions) };
    assert_eq!(session.link, "https://example.com/webinar/recording/123");
    assert_eq!((session.begin, session.end, &read.mangoes[..]), (None, None, &[][..]));
    assert!(webinar(COMPLETED, Some("webinar.completed.all")).repairs.is_empty());
}

#[test]
fn a_header_names_the_event_before_the_settings_and_those_before_the_body() {
    let own = CREATED.replacen('{', r#"{"event":"webinar.created.single","#, 1);
    assert_eq!(event(&own, None).as_deref(), Some("webinar.created.single"));
    assert_eq!(event(&own, Some("webinar.created.recurring")).as_deref(), Some("webinar.created.recurring"));
    let header = headers(&[("fanfare-event", "webinar.created.single")]);
    let read = read(&header, CREATED.as_bytes(), Some("webinar.created.recurring"));
    assert_eq!(read.event(), Some("webinar.created.single"));
    let word = CREATED.replacen('{', r#"{"type":"webinar","#, 1);
    assert_eq!(event(&word, None).as_deref(), Some("webinar.created.recurring"));
}

#[test]
fn the_series_its_version_and_a_test_are_read_of_headers() {
    let told = [
        ("fanfare-series", "65f0c0ffee0000000000a001"),
        ("fanfare-series-version", "7"),
        ("fanfare-trigger", "updated"),
        ("fanfare-test", "true"),
    ];
    let reading = read(&headers(&told), CREATED.as_bytes(), None);
    assert_eq!(reading.version(), 7);
    let read = webinar_of(reading);
    let id = "65f0c0ffee0000000000a001".to_owned();
    assert_eq!(read.series, Some(SeriesMark { id, version: 7, trigger: Some("updated".to_owned()) }));
    assert!(read.is_test);
    let unversioned = webinar_of(super::read(&headers(&told[..1]), CREATED.as_bytes(), None));
    assert_eq!((unversioned.series.unwrap().version, unversioned.is_test), (0, false));
}

#[test]
fn an_envelope_is_opened_and_names_the_event() {
    for body in [
        format!(r#"{{"event":"webinar.created.single","data":{CREATED}}}"#),
        format!(r#"{{"type":"webinar.created.single","id":7,"payload":{CREATED}}}"#),
        format!(r#" [{{"event":"webinar.created.single","data":[{CREATED}]}}]"#),
    ] {
        let read = webinar(&body, None);
        assert_eq!((read.event.as_str(), &read.sessions[..]), ("webinar.created.single", &[introduction()][..]));
        let told = repairs(&read);
        assert!(told[0].ends_with("is inside an envelope; taken out of it"), "{told:?}");
        assert!(told[1].contains("/callList/0/webinarFromTimeInCreatorTimezone "), "{told:?}");
        let pointed =
            serde_json::from_str::<serde_json::Value>(&body).unwrap().pointer(&read.repairs[1].pointer).cloned();
        assert_eq!(pointed.unwrap(), "2024-03-15T15:30:00.000Z");
    }
}

#[test]
fn what_is_no_webinar_payload_is_kept_under_its_name() {
    for (body, setting, expected) in [
        (r#"{"orderId":"1","status":"completed","orderTime":"2023-11-20T18:30Z","customFields":[]}"#, None, None),
        (r#"{"orderId":"1"}"#, Some("order.created.failed"), Some("order.created.failed")),
        (r#"{"event":"order.created.initiated","email":"a@b"}"#, None, Some("order.created.initiated")),
        (r#"{"event":"order.recurring.created","Shoe size":"41"}"#, None, Some("order.recurring.created")),
        (r#"{"type":"subscription.expired","lastPurchaseDate":"14 Jul 2025"}"#, None, Some("subscription.expired")),
        (r#"{"event_type":"course.completed.50"}"#, None, Some("course.completed.50")),
        (r#"{"eventType":"user.deleted","host":"x.org"}"#, None, Some("user.deleted")),
        (r#"{"event":"webinar.started","payload":{"object":{}}}"#, None, Some("webinar.started")),
        (r#"{"event":"registration.made","email":"a@b","webinarId":"1"}"#, None, Some("registration.made")),
        (
            r#"{"hookUrl":"https://x","event":"webinar.created.single","webinar":"1"}"#,
            None,
            Some("webinar.created.single"),
        ),
        (r#"{"type":"two words"}"#, None, None),
        ("hello", Some("webinar.created.single"), Some("webinar.created.single")),
        ("", None, None),
        ("[]", None, None),
        ("{\"callList\":[]", None, None),
        ("{\"callList\":[]} {}", None, None),
    ] {
        let reading = read(&KeptHeaders::default(), body.as_bytes(), setting);
        assert!(matches!(reading, Reading::Other(_)), "{body}");
        assert_eq!((reading.event(), reading.subject(), reading.version()), (expected, None, 0), "{body}");
    }
}

#[test]
fn a_notice_of_fanfares_is_no_webinar_payload() {
    let header = headers(&[("fanfare-event", "rules.changed")]);
    let reading = read(&header, br#"{"type":"rules.changed","data":{"webinarId":"1","name":"x"}}"#, None);
    assert_eq!(reading, Reading::Other(OtherEvent { event: Some("rules.changed".to_owned()) }));
}
