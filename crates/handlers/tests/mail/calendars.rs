use handlers::{CalendarHandler, Handler, calendar_url, feed};
use receiver::CalendarToken;
use store::{Agendas, CalendarOf};

use crate::mime::{calendar, events, value};
use crate::server::Speaks;
use crate::world::{World, announcement, of_series, session};

const FRIDAY: &str = "2024-03-15T10:00:00Z";

/// What is read at the address of a calendar.
async fn read(world: &World, of: CalendarOf) -> String {
    let account = wire::AccountId::from_u32(1);
    let url = calendar_url(&world.tools, account, "mails", of).await.unwrap().unwrap();
    let token: CalendarToken = url.strip_prefix("https://hooks.example/calendars/").unwrap().parse().unwrap();
    feed(&world.memory.calendar(*token.as_bytes()).await.unwrap().unwrap())
}

fn bo() -> CalendarOf {
    CalendarOf::Person("bo@example.com".to_owned())
}

#[tokio::test]
async fn a_feed_shows_what_stands_after_each_event() {
    let mut world = World::new().await;
    let calendars = CalendarHandler::new(world.tools.clone());
    let job = world.job(of_series(1, &[session("a", FRIDAY), session("b", "2024-03-22T10:00:00Z")]));
    assert_eq!(calendars.handle(&job).await.unwrap(), "2 calendars kept");
    let first = read(&world, bo()).await;
    assert_eq!(first, read(&world, bo()).await, "the same bytes for the same calendar");
    assert_eq!(calendar(&first).property_value("METHOD"), Some("PUBLISH"));
    assert!(first.contains("REFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n"), "{first}");

    let job = world.job(of_series(2, &[session("a", "2024-03-16T10:00:00Z")]));
    calendars.handle(&job).await.unwrap();
    for of in [bo(), CalendarOf::Series("series 65f0c0ffee00000000005e01".to_owned())] {
        let shown = calendar(&read(&world, of).await);
        let [event] = &events(&shown)[..] else { panic!("{shown:?}") };
        assert_eq!((value(event, "UID"), value(event, "SEQUENCE")), ("a@fanfare", "1"));
        assert_eq!(value(event, "DTSTART"), "20240316T100000Z");
    }
}

#[tokio::test]
async fn a_persons_calendar_holds_all_their_series_and_a_series_is_named_after_its_title() {
    let mut world = World::new().await;
    let calendars = CalendarHandler::new(world.tools.clone());
    for event in [of_series(1, &[session("a", FRIDAY)]), announcement(&[session("c", "2024-04-01T10:00:00Z")])] {
        let job = world.job(event);
        calendars.handle(&job).await.unwrap();
    }
    assert_eq!(events(&calendar(&read(&world, bo()).await)).len(), 2);
    let series = read(&world, CalendarOf::Series("session c".to_owned())).await;
    assert_eq!(calendar(&series).get_name(), Some("Design clinic"));
}

#[tokio::test]
async fn reminders_change_no_calendar() {
    let mut world = World::new().await;
    let calendars = CalendarHandler::new(world.tools.clone());
    let mut event = announcement(&[session("a", FRIDAY)]);
    event.event = "webinar.reminder.1day".to_owned();
    let job = world.job(event);
    calendars.handle(&job).await.unwrap();
    assert_eq!(world.memory.len(), 0);
}

#[tokio::test]
async fn foreseeing_says_what_calendars_would_hold_and_keeps_nothing() {
    let mut world = World::new().await;
    let job = world.job(of_series(1, &[session("a", FRIDAY)]));
    let shown = CalendarHandler::new(world.tools.clone()).foresee(&job).await.unwrap();
    assert!(shown.contains("the calendar of bo@example.com would hold 1 sessions"), "{shown}");
    assert_eq!(world.memory.len(), 0);
}

#[tokio::test]
async fn mails_tell_the_address_of_the_calendar() {
    let mut world = World::with(Speaks::Plain, |settings| settings.calendar = Some("dates".to_owned())).await;
    let mail = world.mail_for(announcement(&[session("a", FRIDAY)])).await;
    let account = wire::AccountId::from_u32(1);
    let url = calendar_url(&world.tools, account, "dates", bo()).await.unwrap().unwrap();
    assert!(mail.text().contains(&format!("to subscribe to: {url}\n")), "{}", mail.text());
}
