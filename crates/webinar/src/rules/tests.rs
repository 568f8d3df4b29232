use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::*;
use crate::diff::diff;
use crate::draft::SeriesDraft;
use crate::zones::Zones;

/// Weekly in Havana from the winter of 2026 on, which by tz database 2026f keeps summer time there.
fn series() -> Series {
    let draft = serde_json::json!({
        "title": "Taller", "link": "https://meet.example/taller", "timezone": "America/Havana",
        "start": "2026-12-28T19:00", "durationMinutes": 60, "recurrence": "FREQ=WEEKLY;COUNT=3",
    });
    let draft: SeriesDraft = serde_json::from_value(draft).unwrap();
    Series::parse(SeriesId::from_bytes([1; 12]), draft, &Zones::bundled()).unwrap()
}

/// What an older tz database said of it: Cuba goes back to winter time in November.
fn announced(series: &Series) -> Announced {
    let before = TimeZone::posix("CST5CDT,M3.2.0/0,M11.1.0/1").unwrap();
    let begin = |start: DateTime| {
        let instant = before.to_timestamp(start).unwrap();
        Moment { instant, offset: before.to_offset(instant) }
    };
    let sessions =
        series.sessions().iter().map(|session| AnnouncedSession { id: session.id, begin: begin(session.start) });
    Announced { version: 1, tzdb_version: "2026a".to_owned(), sessions: sessions.collect() }
}

fn change_at(now: &str) -> Option<RuleChange> {
    let series = series();
    RuleChange::between(&announced(&series), &series, &Zones::bundled(), now.parse().unwrap())
}

#[test]
fn cuba_stays_on_summer_time_and_every_session_comes_an_hour_earlier() {
    let change = change_at("2026-11-23T00:00:00Z").unwrap();
    let versions = (change.announced_tzdb_version.as_str(), change.tzdb_version.as_str());
    assert_eq!(versions, ("2026a", Zones::bundled().version()));
    assert_eq!((change.timezone.as_str(), change.sessions.len()), ("America/Havana", 3));
    let first = &change.sessions[0];
    assert_eq!((first.announced.utc.as_str(), first.announced.offset.as_str()), ("2026-12-29T00:00:00.000Z", "-05:00"));
    assert_eq!((first.now.utc.as_str(), first.now.offset.as_str()), ("2026-12-28T23:00:00.000Z", "-04:00"));
}

#[test]
fn a_session_that_is_over_is_nobodys_concern() {
    assert_eq!(change_at("2026-12-28T23:59:59Z").unwrap().sessions.len(), 3);
    // Over by the new rules, about to begin for those who were told.
    assert_eq!(change_at("2026-12-29T00:30:00Z").unwrap().sessions.len(), 3);
    assert_eq!(change_at("2026-12-29T01:00:00Z").unwrap().sessions.len(), 2);
    assert_eq!(change_at("2027-02-01T00:00:00Z"), None);
}

#[test]
fn the_same_rules_are_no_change_and_a_cancelled_session_has_none() {
    let series = series();
    let same: Vec<_> =
        series.sessions().iter().map(|session| AnnouncedSession { id: session.id, begin: session.begin }).collect();
    let same = Announced { sessions: same, ..announced(&series) };
    assert_eq!(RuleChange::between(&same, &series, &Zones::bundled(), Timestamp::UNIX_EPOCH), None);

    let mut draft = series.draft().clone();
    draft.overrides =
        vec![serde_json::from_value(serde_json::json!({"session": "2026-12-28T19:00", "cancelled": true})).unwrap()];
    let cancelled = Series::parse(series.id(), draft, &Zones::bundled()).unwrap();
    let change =
        RuleChange::between(&announced(&series), &cancelled, &Zones::bundled(), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(change.sessions.len(), 2);
}

#[test]
fn a_change_is_told_by_one_that_lists_the_same_and_by_no_other() {
    let change = change_at("2026-11-23T00:00:00Z").unwrap();
    let later = change_at("2026-12-30T00:00:00Z").unwrap();
    assert!(later.is_told_by(&change) && !change.is_told_by(&later));
    let mut other = change.clone();
    other.sessions[2].now = other.sessions[2].announced.clone();
    assert!(!change.is_told_by(&other));
    assert_eq!(RuleChange::from_json(&change.to_json()), Some(change));
}

#[test]
fn what_was_announced_differs_from_the_series_as_a_move() {
    let series = series();
    let told = series.as_announced(&announced(&series).sessions);
    assert_eq!(diff(&told, &series).counts().moved, 3);
    assert_eq!(diff(&series.as_announced(&[]), &series).counts().unchanged, 3);
}

#[test]
fn an_older_tz_database_moves_nothing() {
    let series = series();
    let announced = Announced { tzdb_version: "2999a".to_owned(), ..announced(&series) };
    assert_eq!(RuleChange::between(&announced, &series, &Zones::bundled(), Timestamp::UNIX_EPOCH), None);
}
