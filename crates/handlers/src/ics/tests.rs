use icalendar::{Calendar, Component};
use receiver::agenda::{Entries, Entry, EntryStatus};
use store::{Agenda, CalendarOf};

use super::*;

fn entry(uid: &str, title: &str) -> Entry {
    Entry {
        uid: uid.to_owned(),
        session: "a".to_owned(),
        sequence: 3,
        title: title.to_owned(),
        link: "https://meet.example/a?b=c;d,e".to_owned(),
        begin: "2024-03-15T10:00:00Z".parse().unwrap(),
        end: None,
        offset_seconds: 0,
        status: EntryStatus::Confirmed,
        changed_at: "2024-03-01T10:00:00Z".parse().unwrap(),
    }
}

fn calendar(of: CalendarOf, lists: &[&[Entry]]) -> store::Calendar {
    let agenda = |list: &&[Entry]| Agenda {
        person: String::new(),
        series: "s".to_owned(),
        version: (1, 1),
        entries: Entries { version: (1, 1), list: list.to_vec() }.to_text(),
    };
    store::Calendar { of, agendas: lists.iter().map(agenda).collect() }
}

#[test]
fn special_characters_survive_in_texts() {
    let title = r"Prices, margins; \ and: more";
    let text = feed(&calendar(CalendarOf::Person("p".to_owned()), &[&[entry("a", title)]]));
    let read: Calendar = text.parse().unwrap();
    let event = read.events().next().unwrap();
    assert_eq!(event.get_summary(), Some(title));
    assert_eq!(event.get_url(), Some("https://meet.example/a?b=c;d,e"));
    assert_eq!(event.get_sequence(), Some(3));
}

#[test]
fn a_session_in_two_agendas_is_shown_once_and_a_cancelled_one_not_at_all() {
    let gone = Entry { status: EntryStatus::Cancelled, ..entry("b", "Gone") };
    let text = feed(&calendar(CalendarOf::Series("s".to_owned()), &[&[entry("a", "A"), gone], &[entry("a", "A")]]));
    assert_eq!(text.matches("BEGIN:VEVENT").count(), 1);
    assert!(text.contains("X-WR-CALNAME:A\r\n"), "{text}");
}

#[test]
fn a_calendar_with_nothing_in_it_is_one_all_the_same() {
    let text = feed(&calendar(CalendarOf::Series("s".to_owned()), &[]));
    assert!(text.contains("X-WR-CALNAME:Webinars\r\n") && text.parse::<Calendar>().is_ok(), "{text}");
}

#[test]
fn a_link_that_is_no_uri_is_a_place_only() {
    let text = feed(&calendar(
        CalendarOf::Series("s".to_owned()),
        &[&[Entry { link: "Room 4, upstairs".to_owned(), ..entry("a", "A") }]],
    ));
    assert!(text.contains("LOCATION:Room 4\\, upstairs\r\n") && !text.contains("URL:"), "{text}");
}

#[test]
fn no_value_can_end_its_line() {
    let hostile = "a\r\nATTACH:https://evil.example\rX\nY\u{85}Z\u{2028}W\u{0}";
    let entry = Entry { uid: hostile.to_owned(), link: hostile.to_owned(), ..entry("a", hostile) };
    let party = Party { name: hostile, address: hostile };
    let invitation = Invitation { from: party, to: party, at: entry.changed_at };
    let text = invitation.write(Method::Request, &[&entry]);
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(!lines.iter().any(|line| line.starts_with("ATTACH") || line.chars().any(char::is_control)), "{text}");
    assert!(!text.contains('\u{2028}'));
}
