use jiff::Timestamp;
use jiff::tz::Offset;

use super::*;
use crate::reading::{Person, ReadMoment, SeriesMark};

const NOW: &str = "2024-03-01T10:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn moment(instant: Timestamp) -> ReadMoment {
    let offset = Offset::from_seconds(19_800).unwrap();
    ReadMoment { instant, offset, wall: offset.to_datetime(instant) }
}

/// A session of an hour.
fn session(id: &str, begin: &str) -> SessionRead {
    let begin = at(begin);
    SessionRead {
        id: id.to_owned(),
        title: "Clinic".to_owned(),
        link: "https://meet.example/a".to_owned(),
        begin: Some(moment(begin)),
        end: Some(moment(begin + jiff::SignedDuration::from_hours(1))),
    }
}

fn event(sessions: &[SessionRead]) -> WebinarEvent {
    WebinarEvent {
        event: "webinar.created.recurring".to_owned(),
        person: Person { name: "Asha".to_owned(), email: None, phone: None, offset: None, zone: None },
        sessions: sessions.to_vec(),
        mangoes: Vec::new(),
        series: None,
        is_test: false,
        repairs: Vec::new(),
    }
}

fn of_series(id: &str, sessions: &[SessionRead]) -> WebinarEvent {
    let series = Some(SeriesMark { id: id.to_owned(), version: 1, trigger: None });
    WebinarEvent { series, ..event(sessions) }
}

fn first(event: &WebinarEvent) -> Entries {
    Entries::advance(None, event, (1, 1), at(NOW)).entries
}

fn then(before: &Entries, event: &WebinarEvent) -> Advance {
    Entries::advance(Some(before), event, (before.version.0 + 1, before.version.1 + 1), at(NOW))
}

#[test]
fn a_first_event_adds_its_sessions_with_uids_made_from_their_ids() {
    let advance = Entries::advance(None, &event(&[session("a", "2024-03-15T10:00:00Z")]), (1, 7), at(NOW));
    assert_eq!(advance.changes.added, advance.entries.list);
    let [entry] = &advance.entries.list[..] else { panic!("{advance:?}") };
    assert_eq!((entry.uid.as_str(), entry.sequence), ("a@fanfare", 0));
    assert_eq!(advance.entries.version, (1, 7));
}

#[test]
fn a_move_keeps_the_uid_and_counts_one_change_and_a_cancellation_another() {
    let before = first(&event(&[session("a", "2024-03-15T10:00:00Z"), session("b", "2024-03-22T10:00:00Z")]));
    let moved = then(&before, &event(&[session("a", "2024-03-16T12:00:00Z"), session("b", "2024-03-22T10:00:00Z")]));
    let [change] = &moved.changes.moved[..] else { panic!("{moved:?}") };
    assert_eq!((change.was.uid.as_str(), change.is.uid.as_str()), ("a@fanfare", "a@fanfare"));
    assert_eq!((change.was.sequence, change.is.sequence), (0, 1));
    assert_eq!(moved.changes.unchanged.len(), 1);

    let cancelled = then(&moved.entries, &event(&[session("b", "2024-03-22T10:00:00Z")]));
    let [gone] = &cancelled.changes.cancelled[..] else { panic!("{cancelled:?}") };
    assert_eq!((gone.uid.as_str(), gone.sequence, gone.status), ("a@fanfare", 2, EntryStatus::Cancelled));
    assert!(then(&cancelled.entries, &event(&[session("b", "2024-03-22T10:00:00Z")])).changes.is_empty());
}

#[test]
fn another_title_or_link_is_a_change_and_the_same_again_is_none() {
    let before = first(&event(&[session("a", "2024-03-15T10:00:00Z")]));
    let same = then(&before, &event(&[session("a", "2024-03-15T10:00:00Z")]));
    assert!(same.changes.is_empty());
    assert_eq!(same.entries.list, before.list);
    let retitled = SessionRead { title: "Surgery".to_owned(), ..session("a", "2024-03-15T10:00:00Z") };
    let changed = then(&same.entries, &event(&[retitled]));
    assert_eq!(changed.changes.changed[0].is.sequence, 1);
    assert!(changed.changes.moved.is_empty());
}

#[test]
fn a_session_that_comes_back_is_added_with_its_old_uid_and_a_higher_sequence() {
    let both = event(&[session("a", "2024-03-15T10:00:00Z"), session("b", "2024-03-22T10:00:00Z")]);
    let without = then(&first(&both), &event(&[session("b", "2024-03-22T10:00:00Z")]));
    let back = then(&without.entries, &both);
    assert_eq!((back.changes.added[0].uid.as_str(), back.changes.added[0].sequence), ("a@fanfare", 2));
}

#[test]
fn an_older_version_changes_nothing() {
    let before = Entries::advance(None, &event(&[session("a", "2024-03-15T10:00:00Z")]), (3, 9), at(NOW)).entries;
    let late = Entries::advance(Some(&before), &event(&[]), (2, 10), at(NOW));
    assert!(late.is_outdated && late.changes.is_empty());
    assert_eq!(late.entries, before);
    let again = Entries::advance(Some(&before), &event(&[session("a", "2024-03-15T10:00:00Z")]), (3, 9), at(NOW));
    assert!(!again.is_outdated && again.changes.is_empty());
}

#[test]
fn what_is_over_stays_and_is_nobodys_news() {
    let before = first(&event(&[session("old", "2024-02-01T10:00:00Z"), session("a", "2024-03-15T10:00:00Z")]));
    assert_eq!(before.list.len(), 2);
    let after = then(&before, &event(&[session("a", "2024-03-15T10:00:00Z")]));
    assert!(after.changes.is_empty());
    assert_eq!(after.entries.confirmed().count(), 2);
}

#[test]
fn an_empty_list_cancels_a_series_that_is_told_by_name() {
    let before = first(&of_series("s", &[session("a", "2024-03-15T10:00:00Z")]));
    assert_eq!(then(&before, &of_series("s", &[])).changes.cancelled.len(), 1);
}

#[test]
fn an_event_about_one_session_says_nothing_about_the_others() {
    let before = first(&event(&[session("a", "2024-03-15T10:00:00Z"), session("b", "2024-03-22T10:00:00Z")]));
    let single =
        WebinarEvent { event: "webinar.created.single".to_owned(), ..event(&[session("b", "2024-03-23T10:00:00Z")]) };
    let after = then(&before, &single);
    assert_eq!((after.changes.moved.len(), after.changes.cancelled.len()), (1, 0));
    assert_eq!(after.entries.confirmed().count(), 2);
}

#[test]
fn a_session_whose_time_cannot_be_read_stays_where_it_was() {
    let before = first(&event(&[session("a", "2024-03-15T10:00:00Z")]));
    let unreadable = SessionRead { begin: None, ..session("a", "2024-03-15T10:00:00Z") };
    let after = then(&before, &event(&[unreadable]));
    assert!(after.changes.is_empty());
    assert_eq!(after.entries.list, before.list);
}

#[test]
fn sessions_of_one_id_are_told_apart_by_their_begin() {
    let both = event(&[session("a", "2024-03-15T10:00:00Z"), session("a", "2024-03-22T10:00:00Z")]);
    let before = first(&both);
    assert_eq!(before.list.len(), 2);
    assert_ne!(before.list[0].uid, before.list[1].uid);
    assert!(then(&before, &both).changes.is_empty());
}

#[test]
fn an_event_belongs_to_the_agenda_of_its_series_else_to_one_that_shares_a_session() {
    let (a, b) = (session("a", "2024-03-15T10:00:00Z"), session("b", "2024-03-22T10:00:00Z"));
    let named = of_series("s", std::slice::from_ref(&a));
    let unnamed = event(std::slice::from_ref(&b));
    let kept = [(key_of(&named).unwrap(), first(&named)), (key_of(&unnamed).unwrap(), first(&unnamed))];
    let find = |event: &WebinarEvent| belonging_to(event, kept.iter().map(|(key, entries)| (key.as_str(), entries)));
    assert_eq!(find(&of_series("s", std::slice::from_ref(&b))), Some(0), "the series' own comes first");
    assert_eq!(find(&event(&[session("c", "2024-03-29T10:00:00Z"), b])), Some(1));
    assert_eq!(find(&of_series("t", &[session("c", "2024-03-29T10:00:00Z")])), None);
    assert_eq!(find(&event(&[])), None);
}

#[test]
fn entries_read_back_as_they_were_kept() {
    let entries = first(&event(&[session("a", "2024-03-15T10:00:00Z")]));
    assert_eq!(Entries::from_text(entries.version, &entries.to_text()).unwrap(), entries);
}

#[test]
fn an_agenda_is_bounded_and_lets_go_of_what_was_first() {
    let begin = |n: usize| (at("2024-03-15T10:00:00Z") + jiff::SignedDuration::from_hours(n as i64)).to_string();
    let sessions: Vec<_> = (0..ENTRIES_MAX).map(|n| session(&format!("a{n}"), &begin(n))).collect();
    let before = first(&event(&sessions));
    let after = Entries::advance(
        Some(&before),
        &event(&[session("new", "2027-01-01T10:00:00Z")]),
        (2, 2),
        at("2026-01-01T00:00:00Z"),
    );
    assert_eq!(after.entries.list.len(), ENTRIES_MAX);
    assert_eq!(after.entries.list.last().unwrap().session, "new");
    assert_eq!(after.entries.list[0].session, "a1");
}
