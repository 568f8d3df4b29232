use std::sync::atomic::Ordering;

use handlers::{Handler, RunFailureKind};
use icalendar::Component;

use crate::mime::{Mail, events, value};
use crate::world::{World, announcement, of_series, session};

const FRIDAY: &str = "2024-03-15T10:00:00Z";
const NEXT_FRIDAY: &str = "2024-03-22T10:00:00Z";

#[tokio::test]
async fn an_announcement_becomes_an_invitation_in_the_persons_own_time() {
    let mut world = World::new().await;
    let mail = world.mail_for(announcement(&[session("a", FRIDAY), session("b", NEXT_FRIDAY)])).await;

    assert_eq!(mail.header("Subject"), "Design clinic: 2 sessions");
    assert_eq!(mail.header("From"), "Asha's school <hello@school.example>");
    assert_eq!(mail.header("To"), "Bo <bo@example.com>");
    let text = mail.text();
    assert!(text.starts_with("Hello Bo,\n\nyou are invited to Design clinic:\n"), "{text}");
    assert!(text.contains("* Friday, 15 March 2024, 06:00–07:00 (UTC-04:00)\n  https://meet.example/abc\n"), "{text}");
    let html = mail.part("text/html").body.replace("&#x2f;", "/");
    assert!(html.contains("<a href=\"https://meet.example/abc\">"), "{html}");

    let taken = &world.server.taken()[0];
    assert_eq!(
        (taken.from.as_str(), taken.to.as_slice()),
        ("hello@school.example", &["bo@example.com".to_owned()][..])
    );
}

#[tokio::test]
async fn an_invitation_is_an_alternative_and_a_file_and_says_all_that_calendars_ask_for() {
    let mut world = World::new().await;
    let mail = world.mail_for(announcement(&[session("a", FRIDAY)])).await;

    let kinds: Vec<&str> = mail.parts.iter().map(super::mime::Part::kind).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert!(kinds[0].starts_with("text/plain") && kinds[1].starts_with("text/html"), "{kinds:?}");
    assert!(kinds[2].starts_with("text/calendar") && kinds[2].contains("method=REQUEST"), "{kinds:?}");
    assert_eq!(mail.parts[3].header("content-disposition"), "attachment; filename=\"invite.ics\"");
    assert_eq!(mail.parts[2].body, mail.parts[3].body);

    let calendar = mail.calendar();
    assert_eq!(calendar.property_value("METHOD"), Some("REQUEST"));
    let [event] = &events(&calendar)[..] else { panic!("{calendar:?}") };
    for (name, expected) in [
        ("UID", "a@fanfare"),
        ("SEQUENCE", "0"),
        ("DTSTAMP", "20240301T100000Z"),
        ("DTSTART", "20240315T100000Z"),
        ("DTEND", "20240315T110000Z"),
        ("SUMMARY", "Design clinic"),
        ("LOCATION", "https://meet.example/abc"),
        ("URL", "https://meet.example/abc"),
        ("STATUS", "CONFIRMED"),
        ("ORGANIZER", "mailto:hello@school.example"),
    ] {
        assert_eq!(value(event, name), expected, "{name}");
    }
    let attendee = &event.multi_properties()["ATTENDEE"][0];
    assert_eq!(attendee.value(), "mailto:bo@example.com");
    assert_eq!(attendee.params()["RSVP"].value(), "FALSE");
}

#[tokio::test]
async fn a_move_and_a_cancellation_change_the_same_entry() {
    let mut world = World::new().await;
    let b = session("b", NEXT_FRIDAY);
    world.mail_for(of_series(1, &[session("a", FRIDAY), b.clone()])).await;

    let moved = world.mail_for(of_series(2, &[session("a", "2024-03-16T12:30:00Z"), b.clone()])).await;
    assert_eq!(moved.header("Subject"), "Changed: Design clinic");
    let text = moved.text();
    assert!(text.contains("* Moved to Saturday, 16 March 2024, 08:30–09:30 (UTC-04:00)\n"), "{text}");
    assert!(text.contains("  It was Friday, 15 March 2024, 06:00–07:00 (UTC-04:00)\n"), "{text}");
    assert!(!text.contains("22 March"), "what stays is no news: {text}");
    let [event] = &events(&moved.calendar())[..] else { panic!("one event") };
    assert_eq!((value(event, "UID"), value(event, "SEQUENCE")), ("a@fanfare", "1"));
    assert_eq!(value(event, "DTSTART"), "20240316T123000Z");

    let cancelled = world.mail_for(of_series(3, &[b])).await;
    assert!(cancelled.text().contains("* Cancelled: Saturday, 16 March 2024, 08:30"), "{}", cancelled.text());
    let calendar = cancelled.calendar();
    assert_eq!(calendar.property_value("METHOD"), Some("CANCEL"));
    let [event] = &events(&calendar)[..] else { panic!("one event") };
    assert_eq!((value(event, "UID"), value(event, "SEQUENCE")), ("a@fanfare", "2"));
    assert_eq!(value(event, "STATUS"), "CANCELLED");
    assert!(cancelled.parts.iter().any(|part| part.header("content-disposition").contains("cancel.ics")));
}

#[tokio::test]
async fn a_series_that_is_called_off_is_a_cancellation() {
    let mut world = World::new().await;
    world.mail_for(of_series(1, &[session("a", FRIDAY)])).await;
    let mail = world.mail_for(of_series(2, &[])).await;
    assert_eq!(mail.header("Subject"), "Cancelled: Design clinic");
    assert!(mail.text().contains("does not take place"), "{}", mail.text());
}

#[tokio::test]
async fn new_dates_and_called_off_ones_go_in_two_calendar_objects_of_one_mail() {
    let mut world = World::new().await;
    world.mail_for(of_series(1, &[session("a", FRIDAY)])).await;
    let mail = world.mail_for(of_series(2, &[session("b", NEXT_FRIDAY)])).await;
    let methods: Vec<bool> = mail.parts.iter().map(|part| part.kind().contains("method=CANCEL")).collect();
    assert_eq!(methods, [false, false, false, false, true], "{:?}", mail.parts);
    assert!(mail.parts[3].kind().contains("method=REQUEST"));
}

#[tokio::test]
async fn nothing_new_is_no_mail() {
    let mut world = World::new().await;
    world.mail_for(of_series(1, &[session("a", FRIDAY)])).await;
    let said = world.handle(of_series(2, &[session("a", FRIDAY)])).await.unwrap();
    assert_eq!(said, "nothing new; no mail");
    let said = world.handle(of_series(1, &[session("a", NEXT_FRIDAY)])).await.unwrap();
    assert_eq!(said, "older than what the person knows; no mail");
    assert_eq!(world.server.taken().len(), 1);
}

#[tokio::test]
async fn dates_that_are_over_are_no_mail_but_kept() {
    let mut world = World::new().await;
    let mut job = world.job(announcement(&[session("a", FRIDAY)]));
    job.now = "2024-04-01T00:00:00Z".parse().unwrap();
    assert_eq!(world.handler.handle(&job).await.unwrap(), "all that is new is over; no mail");
    assert_eq!((world.server.taken().len(), world.memory.len()), (0, 1));
}

#[tokio::test]
async fn a_crash_before_the_calendar_is_kept_sends_the_same_mail_again() {
    let mut world = World::new().await;
    let job = world.job(announcement(&[session("a", FRIDAY)]));
    world.memory.forgets.store(true, Ordering::Relaxed);
    let failure = world.handler.handle(&job).await.unwrap_err();
    assert_eq!(failure.kind, RunFailureKind::Retry { after: None });
    world.memory.forgets.store(false, Ordering::Relaxed);
    world.handler.handle(&job).await.unwrap();

    let taken = world.server.taken();
    let [first, again] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!(first.data, again.data, "to the byte, so Message-ID and SEQUENCE are the same");
    assert_eq!(world.handler.handle(&job).await.unwrap(), "nothing new; no mail");
}

#[tokio::test]
async fn mails_about_one_series_are_one_conversation_and_each_has_an_id_of_its_own() {
    let mut world = World::new().await;
    let first = world.mail_for(of_series(1, &[session("a", FRIDAY)])).await;
    let second = world.mail_for(of_series(2, &[session("a", NEXT_FRIDAY)])).await;
    assert_eq!(first.header("References"), second.header("References"));
    assert_ne!(first.header("Message-ID"), second.header("Message-ID"));
    assert!(first.header("Message-ID").ends_with("@school.example>"));
}

#[tokio::test]
async fn a_run_that_is_asked_for_anew_tells_what_stands() {
    let mut world = World::new().await;
    let mut job = world.job(announcement(&[session("a", FRIDAY)]));
    world.handler.handle(&job).await.unwrap();
    job.generation = 1;
    world.handler.handle(&job).await.unwrap();
    let taken = world.server.taken();
    let again = Mail::read(&taken[1].data);
    assert_eq!(again.header("Subject"), "Design clinic: Friday, 15 March 2024");
    assert_eq!(value(&events(&again.calendar())[0], "SEQUENCE"), "0");
}

#[tokio::test]
async fn a_thousand_sessions_fit_into_one_mail() {
    let mut world = World::new().await;
    let begin =
        |n: i64| (FRIDAY.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_hours(24 * n)).to_string();
    let sessions: Vec<_> = (0..1_000).map(|n| session(&format!("s{n}"), &begin(n))).collect();
    let mail = world.mail_for(announcement(&sessions)).await;
    assert_eq!(mail.text().matches("* ").count(), 1_000);
    assert_eq!(events(&mail.calendar()).len(), 1_000);
}

#[tokio::test]
async fn foreseeing_shows_the_mail_and_does_nothing() {
    let mut world = World::new().await;
    let job = world.job(announcement(&[session("a", FRIDAY)]));
    let shown = world.handler.foresee(&job).await.unwrap();
    assert!(shown.contains("To: Bo <bo@example.com>") && shown.contains("UID:a@fanfare"), "{shown}");
    assert_eq!((world.server.connections(), world.memory.len()), (0, 0));
}
