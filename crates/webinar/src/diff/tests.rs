//! What a second version changes for those who know the first.

use super::*;
use crate::draft::{OverrideDraft, SeriesDraft};
use crate::identity::SeriesId;
use crate::zones::Zones;

fn series(change: impl FnOnce(&mut SeriesDraft)) -> Series {
    let mut draft: SeriesDraft = serde_json::from_str(
        r#"{"title": "Clinic", "link": "https://meet.example/a", "timezone": "Europe/Berlin",
            "start": "2026-03-06T18:00", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=4"}"#,
    )
    .unwrap();
    change(&mut draft);
    Series::parse(SeriesId::from_bytes([1; 12]), draft, &Zones::bundled()).unwrap()
}

fn amended(session: &str, change: impl FnOnce(&mut OverrideDraft)) -> Series {
    let mut amendment: OverrideDraft = serde_json::from_str(&format!(r#"{{"session": "{session}"}}"#)).unwrap();
    change(&mut amendment);
    series(|draft| draft.overrides.push(amendment))
}

#[track_caller]
fn check(old: &Series, new: &Series, expected: DiffCounts) {
    assert_eq!(diff(old, new).counts(), expected);
}

#[test]
fn the_same_version_twice_changes_nothing() {
    let expected = DiffCounts { unchanged: 4, ..DiffCounts::default() };
    check(&series(|_| {}), &series(|_| {}), expected);
}

#[test]
fn a_moved_session_keeps_its_identity() {
    let new = amended("2026-03-13T18:00", |amendment| amendment.start = Some("2026-03-14T09:00".to_owned()));
    let diff = diff(&series(|_| {}), &new);
    let Change::Moved { from, to } = &diff.changes[1] else { panic!("{:?}", diff.changes[1]) };
    assert_eq!((from.id, from.start == to.start), (to.id, false));
    assert_eq!(diff.counts(), DiffCounts { moved: 1, unchanged: 3, ..DiffCounts::default() });
}

#[test]
fn another_title_link_or_length_is_a_change_but_not_a_move() {
    let changes: [fn(&mut SeriesDraft); 3] = [
        |draft| draft.title = "Lab".to_owned(),
        |draft| draft.link = "https://meet.example/b".to_owned(),
        |draft| draft.duration_minutes = 90,
    ];
    for change in changes {
        check(&series(|_| {}), &series(change), DiffCounts { changed: 4, ..DiffCounts::default() });
    }
}

#[test]
fn cancelled_excepted_and_dropped_sessions_are_all_gone() {
    let cancelled = amended("2026-03-13T18:00", |amendment| amendment.cancelled = true);
    let excepted = series(|draft| draft.except.push("2026-03-13T18:00".to_owned()));
    let dropped = series(|draft| draft.recurrence = Some("FREQ=WEEKLY;COUNT=3".to_owned()));
    for new in [&cancelled, &excepted, &dropped] {
        check(&series(|_| {}), new, DiffCounts { cancelled: 1, unchanged: 3, ..DiffCounts::default() });
        check(new, &series(|_| {}), DiffCounts { added: 1, unchanged: 3, ..DiffCounts::default() });
    }
    check(&cancelled, &excepted, DiffCounts { unchanged: 3, ..DiffCounts::default() });
}

#[test]
fn another_zone_moves_every_session_and_an_alias_none() {
    let moved = series(|draft| draft.timezone = "Europe/London".to_owned());
    check(&series(|_| {}), &moved, DiffCounts { moved: 4, ..DiffCounts::default() });
    let alias = series(|draft| draft.timezone = "Europe/Stockholm".to_owned());
    check(&series(|_| {}), &alias, DiffCounts { unchanged: 4, ..DiffCounts::default() });
}
