use std::collections::BTreeMap;

use handlers::{CalendarWords, Handler, Languages, Templates, Texts};
use icalendar::Component;
use receiver::reading::{OtherEvent, Person, SessionRead};
use receiver::{Reading, WebinarEvent};

use crate::mime::{Mail, events, value};
use crate::server::Speaks;
use crate::world::{World, announcement, session};

const FRIDAY: &str = "2024-03-15T10:00:00Z";

fn named(event: &str, session: SessionRead) -> WebinarEvent {
    WebinarEvent { event: event.to_owned(), ..announcement(&[session]) }
}

#[tokio::test]
async fn without_the_persons_zone_the_creators_time_is_told_with_its_offset() {
    let mut world = World::new().await;
    let mut event = announcement(&[session("a", FRIDAY)]);
    event.person.offset = None;
    let mail = world.mail_for(event).await;
    assert!(mail.text().contains("Friday, 15 March 2024, 15:30–16:30 (UTC+05:30)"), "{}", mail.text());
}

#[tokio::test]
async fn nobody_is_reminded_of_what_is_over() {
    let mut world = World::new().await;
    let told = world.handle(named("webinar.reminder.15min", session("a", "2020-03-13T10:00:00Z"))).await.unwrap();
    assert_eq!(told, "the session it reminds of is over; no mail");
}

#[tokio::test]
async fn reminders_and_recordings_are_mails_without_an_invitation() {
    let mut world = World::new().await;
    let mail = world.mail_for(named("webinar.reminder.15min", session("a", FRIDAY))).await;
    assert_eq!(mail.header("Subject"), "Reminder: Design clinic, Friday, 15 March 2024, 06:00");
    assert!(mail.text().contains("Design clinic begins soon:"), "{}", mail.text());
    assert_eq!(mail.parts.len(), 2);

    let recording = SessionRead { begin: None, end: None, ..session("a", FRIDAY) };
    let mail = world.mail_for(named("webinar.completed.all", recording)).await;
    assert_eq!(mail.header("Subject"), "Recording: Design clinic");
    assert!(mail.text().contains("The recording:\n\n* https://meet.example/abc\n"), "{}", mail.text());
    assert_eq!(world.memory.len(), 0, "neither changes a calendar");
}

#[tokio::test]
async fn nobody_is_written_to_without_an_address_or_for_a_trial() {
    let mut world = World::new().await;
    let mut event = announcement(&[session("a", FRIDAY)]);
    event.is_test = true;
    assert!(world.handle(event.clone()).await.unwrap().contains("trial"));
    event.is_test = false;
    event.person.email = None;
    assert_eq!(world.handle(event).await.unwrap(), "no e-mail address; no mail");
    assert_eq!(world.server.connections(), 0);
}

#[tokio::test]
async fn a_language_has_its_own_words_names_and_formats() {
    let templates = Templates::default();
    let hindi = Texts {
        subject: Some(
            templates.text("{{ mail.title }}: {{ mail.sessions[0].begin | at(mail.offset) | date }}").unwrap(),
        ),
        text: Some(templates.text("नमस्ते {{ mail.name }}").unwrap()),
        html: None,
        calendar: CalendarWords {
            months: ["जन", "फर", "मार्च", "अप", "मई", "जून", "जुल", "अग", "सित", "अक्तू", "नव", "दिस"]
                .map(str::to_owned)
                .into(),
            date_format: Some("%-d %B %Y".to_owned()),
            ..CalendarWords::default()
        },
    };
    let mut world = World::with(Speaks::Plain, |settings| {
        settings.language = Some(templates.text("hi-IN").unwrap());
        settings.texts = Languages::new(&templates, Texts::default(), BTreeMap::from([("hi".to_owned(), hindi)]));
    })
    .await;
    let mail = world.mail_for(announcement(&[session("a", FRIDAY)])).await;
    assert_eq!(mail.header("Subject"), "Design clinic: 15 मार्च 2024");
    assert_eq!(mail.text(), "नमस्ते Bo");
    let kinds: Vec<&str> = mail.parts.iter().map(super::mime::Part::kind).collect();
    assert!(!kinds.iter().any(|kind| kind.starts_with("text/html")), "{kinds:?}");
}

#[tokio::test]
async fn what_is_no_webinar_is_a_mail_only_with_words_of_the_operators_own() {
    let templates = Templates::default();
    let order = || Reading::Other(OtherEvent { event: Some("order.created.completed".to_owned()) });
    let mut world = World::with(Speaks::Plain, |settings| {
        settings.to = Some(templates.text("shop@school.example").unwrap());
        let text = Some(templates.text("There is {{ event }}").unwrap());
        settings.texts = Languages::new(&templates, Texts { text, ..Texts::default() }, BTreeMap::new());
    })
    .await;
    let job = world.job_of(order());
    world.handler.handle(&job).await.unwrap();
    let taken = world.server.taken();
    assert_eq!(taken[0].to, ["shop@school.example"]);
    assert!(Mail::read(&taken[0].data).text().starts_with("There is "));

    let mut silent = World::with(Speaks::Plain, |settings| {
        settings.to = Some(templates.text("shop@school.example").unwrap());
    })
    .await;
    let job = silent.job_of(order());
    assert!(silent.handler.handle(&job).await.unwrap().contains("no text of its own"));
}

#[tokio::test]
async fn hostile_names_titles_and_links_add_no_header_no_recipient_and_no_property() {
    let mut world = World::new().await;
    let usual = world.mail_for(announcement(&[session("a", FRIDAY)])).await;
    let hostile = SessionRead {
        title: "Free\r\nBcc: victim@example.com\r\n\r\nX\u{2028}ATTENDEE:mailto:victim@example.com".to_owned(),
        link: "https://meet.example/\r\nATTACH:https://evil.example/\nEND:VEVENT\rBEGIN:VALARM".to_owned(),
        ..session("b", FRIDAY)
    };
    let mut event = announcement(&[hostile]);
    event.person =
        Person { name: "Bo\r\nCc: victim@example.com\", <victim@example.com> ;CN=\"x\"".to_owned(), ..event.person };
    let mail = world.mail_for(event).await;

    assert_eq!(mail.header_names(), usual.header_names());
    assert_eq!(world.server.taken()[1].to, ["bo@example.com"]);
    assert!(mail.header("To").ends_with(" <bo@example.com>"), "{}", mail.header("To"));
    assert!(!mail.text().contains("\nBcc") && !mail.text().contains("\nCc"), "{}", mail.text());
    let calendar = mail.calendar();
    let [event] = &events(&calendar)[..] else { panic!("{calendar:?}") };
    let names: Vec<&str> = event.properties().keys().map(String::as_str).collect();
    assert!(!names.contains(&"ATTACH") && !names.contains(&"ATTENDEE"), "{names:?}");
    assert_eq!(event.multi_properties()["ATTENDEE"].len(), 1);
    assert!(event.components().is_empty());
    assert!(value(event, "SUMMARY").starts_with("Free Bcc: victim@example.com X ATTENDEE"));
}

#[tokio::test]
async fn html_in_a_title_is_text_and_a_script_is_no_link() {
    let mut world = World::new().await;
    let hostile = SessionRead {
        title: "<img src=x onerror=alert(1)>".to_owned(),
        link: "javascript:alert(1)".to_owned(),
        ..session("a", FRIDAY)
    };
    let mail = world.mail_for(announcement(&[hostile])).await;
    let html = &mail.part("text/html").body;
    assert!(!html.contains("<img") && !html.contains("href"), "{html}");
}
