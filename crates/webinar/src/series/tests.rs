//! Drafts as people send them: what becomes of a good one, and what each slip is answered with.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::session::SessionStatus;

const ID: SeriesId = SeriesId::from_bytes([1; 12]);

/// The example of the design, eight Fridays.
fn example() -> Value {
    json!({
        "title": "Introduction to Digital Marketing", "link": "https://meet.google.com/abc-defg-hij",
        "timezone": "Asia/Kolkata", "start": "2024-03-15T15:30", "durationMinutes": 60,
        "recurrence": "FREQ=WEEKLY;BYDAY=FR;COUNT=8", "except": ["2024-03-29T15:30"],
        "overrides": [
            { "session": "2024-04-05T15:30", "start": "2024-04-05T18:00" },
            { "session": "2024-04-12T15:30", "cancelled": true }
        ],
        "mangoes": ["65f0c0ffee0000000000a001"], "excludeMangoes": []
    })
}

fn parse(json: Value) -> Result<Series, Invalid> {
    Series::parse(ID, serde_json::from_value(json).unwrap(), &Zones::bundled())
}

/// The example with some fields replaced.
fn with(changes: Value) -> Result<Series, Invalid> {
    let mut json = example();
    for (name, value) in changes.as_object().unwrap() {
        json[name] = value.clone();
    }
    parse(json)
}

/// Checks that a changed example is refused at exactly these places.
#[track_caller]
fn refused(changes: Value, pointers: &[&str]) -> String {
    let invalid = with(changes).unwrap_err();
    let found: Vec<&str> = invalid.errors().iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(found, pointers, "{invalid}");
    invalid.to_string()
}

/// A plain series in a zone.
fn daily(timezone: &str, start: &str, count: usize) -> Series {
    let rule = format!("FREQ=DAILY;COUNT={count}");
    with(json!({"timezone": timezone, "start": start, "recurrence": rule, "except": [], "overrides": []})).unwrap()
}

#[test]
fn the_example_has_seven_sessions_of_which_one_is_moved_and_one_cancelled() {
    let series = parse(example()).unwrap();
    let starts: Vec<String> = series.sessions().iter().map(|session| fields::written(session.start)).collect();
    assert_eq!(starts[..3], ["2024-03-15T15:30", "2024-03-22T15:30", "2024-04-05T18:00"]);
    assert_eq!(starts.len(), 7);
    let cancelled: Vec<bool> =
        series.sessions().iter().map(|session| session.status == SessionStatus::Cancelled).collect();
    assert_eq!(cancelled, [false, false, false, true, false, false, false]);
    assert_eq!((series.mangoes().len(), series.late_joiners()), (1, LateJoiners::Wait));
}

#[test]
fn a_draft_is_written_as_it_was_read() {
    let series = parse(example()).unwrap();
    let mut expected = example();
    expected["overrides"][0]["cancelled"] = json!(false);
    expected["lateJoiners"] = json!("wait");
    assert_eq!(serde_json::to_value(series.draft()).unwrap(), expected);
}

#[test]
fn a_field_nobody_knows_is_refused_by_name() {
    let mut json = example();
    json["recurence"] = json!("FREQ=DAILY");
    let error = serde_json::from_value::<SeriesDraft>(json).unwrap_err().to_string();
    assert!(error.contains("recurence"), "{error}");
}

#[test]
fn a_moved_session_keeps_the_identity_its_original_start_gave_it() {
    let series = parse(example()).unwrap();
    let original = with(json!({"overrides": []})).unwrap();
    let ids = |series: &Series| series.sessions().iter().map(|session| session.id).collect::<Vec<_>>();
    assert_eq!(ids(&series), ids(&original));
    assert_eq!(ids(&series).iter().collect::<HashSet<_>>().len(), 7);
}

#[test]
fn an_override_may_change_length_title_and_link_of_one_session() {
    let changes =
        json!({"session": "2024-04-05T15:30", "durationMinutes": 90, "title": "Lab", "link": "https://b.example"});
    let series = with(json!({ "overrides": [changes] })).unwrap();
    let [first, _, lab, ..] = series.sessions() else { panic!() };
    assert_eq!((&*lab.title, &*lab.link, lab.duration_minutes), ("Lab", "https://b.example", 90));
    assert_eq!(lab.end.instant.duration_since(lab.begin.instant).as_mins(), 90);
    assert_eq!((&*first.title, first.duration_minutes), (series.title(), 60));
}

#[test]
fn every_mistake_is_told_at_once_and_by_place() {
    let changes = json!({
        "title": " ", "link": "meet", "timezone": "asia/kolkata", "start": "2024-03-15T15:30Z", "durationMinutes": 0,
        "recurrence": "FREQ=HOURLY;COUNT=2", "except": ["tomorrow"], "mangoes": ["x"],
        "overrides": [{ "session": "2024-04-05", "start": "18:00", "durationMinutes": -1, "title": "", "link": "" }]
    });
    let expected = [
        "/title",
        "/link",
        "/timezone",
        "/start",
        "/durationMinutes",
        "/recurrence",
        "/except/0",
        "/overrides/0/start",
        "/overrides/0/durationMinutes",
        "/overrides/0/title",
        "/overrides/0/link",
        "/overrides/0/session",
        "/mangoes/0",
    ];
    let text = refused(changes, &expected);
    assert!(text.contains("did you mean \"Asia/Kolkata\""), "{text}");
}

#[test]
fn a_flood_of_mistakes_is_cut_to_a_readable_number() {
    let except: Vec<String> = (0..1_000).map(|index| index.to_string()).collect();
    let invalid = with(json!({ "except": except })).unwrap_err();
    assert_eq!(invalid.errors().len(), crate::MISTAKES_MAX);
}

#[test]
fn a_start_the_rule_does_not_give_is_refused_with_the_one_it_does() {
    let text = refused(json!({"recurrence": "FREQ=WEEKLY;BYDAY=MO;COUNT=8"}), &["/start"]);
    assert!(text.contains("2024-03-15 is a Friday"), "{text}");
    assert!(text.contains("set \"start\" to \"2024-03-18T15:30\", a Monday"), "{text}");
}

#[test]
fn a_rule_that_gives_no_session_is_refused() {
    refused(json!({"recurrence": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=2"}), &["/recurrence"]);
    refused(json!({"recurrence": ""}), &["/recurrence"]);
}

#[test]
fn an_exception_or_override_that_meets_no_session_names_the_nearest() {
    let changes = json!({"except": ["2024-03-30T15:30"], "overrides": [{"session": "2024-05-30T15:30"}]});
    let text = refused(changes, &["/except/0", "/overrides/0/session"]);
    assert!(text.contains("the nearest starts at 2024-03-29T15:30"), "{text}");
    assert!(text.contains("the nearest starts at 2024-05-03T15:30"), "{text}");
}

#[test]
fn a_session_is_excepted_or_overridden_once_and_not_both() {
    refused(json!({"except": ["2024-03-29T15:30", "2024-03-29T15:30:00"]}), &["/except/1"]);
    let overrides = json!([{"session": "2024-04-05T15:30"}, {"session": "2024-04-05T15:30", "cancelled": true}]);
    refused(json!({ "overrides": overrides }), &["/overrides/1/session"]);
    refused(json!({"overrides": [{"session": "2024-03-29T15:30"}]}), &["/overrides/0/session"]);
}

#[test]
fn a_series_keeps_at_least_one_session_unless_all_are_cancelled() {
    let single = json!({"recurrence": null, "overrides": [], "except": ["2024-03-15T15:30"]});
    refused(single, &["/except"]);
    let cancelled =
        json!({"recurrence": null, "except": [], "overrides": [{"session": "2024-03-15T15:30", "cancelled": true}]});
    assert!(!with(cancelled).unwrap().sessions()[0].is_scheduled());
}

#[test]
fn a_mango_is_listed_once_in_both_lists_together() {
    let mango = "65f0c0ffee0000000000a001";
    refused(json!({"mangoes": [mango, mango.to_uppercase()]}), &["/mangoes/1"]);
    refused(json!({"excludeMangoes": [mango]}), &["/excludeMangoes/0"]);
    refused(json!({"mangoes": vec![mango; MANGOES_MAX + 1]}), &["/mangoes"]);
}

#[test]
fn london_keeps_its_wall_time_and_changes_its_offset_across_the_change_of_the_clocks() {
    let series = daily("Europe/London", "2026-03-28T18:00", 3);
    let hours: Vec<i32> = series.sessions().iter().map(|session| session.begin.offset.seconds() / 3_600).collect();
    assert_eq!(hours, [0, 1, 1]);
    assert!(series.sessions().iter().all(|session| session.begin.wall() == session.start && !session.shifted));
}

#[test]
fn a_session_the_clocks_skip_is_held_later_that_day_and_remembers_what_was_asked() {
    let series = daily("America/Havana", "2025-03-08T00:30", 3);
    let [before, gap, after] = series.sessions() else { panic!() };
    assert_eq!(fields::written(gap.start), "2025-03-09T00:30");
    assert_eq!(fields::written(gap.begin.wall()), "2025-03-09T01:30");
    assert_eq!((before.shifted, gap.shifted, after.shifted), (false, true, false));
}

proptest! {
    #[test]
    fn no_change_of_the_clocks_loses_or_doubles_a_session(
        timezone in prop::sample::select(vec!["America/Havana", "Africa/Cairo", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia"]),
        year in 2008_i16..2030, hour in 0..24, minute in 0..60,
    ) {
        let series = daily(timezone, &format!("{year}-01-01T{hour:02}:{minute:02}"), 366);
        let instants: HashSet<_> = series.sessions().iter().map(|session| session.begin.instant).collect();
        // The one day Apia skipped altogether falls on the next, which is the only way two can meet.
        let skipped_days = usize::from(timezone == "Pacific/Apia" && year == 2011);
        prop_assert_eq!((series.sessions().len(), instants.len()), (366, 366 - skipped_days));
    }
}
