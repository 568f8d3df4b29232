//! Names, wall-clock times on the days the clocks change, and attendees' zones; bundled database only.

use jiff::civil::{DateTime, datetime};

use super::*;

fn zone(name: &str) -> Zone {
    Zones::bundled().zone(name).unwrap()
}

fn parse(text: &str) -> Result<Option<AttendeeZone>, Mistake> {
    AttendeeZone::parse(text, &Zones::bundled())
}

/// Checks what the clocks show, with which offset, and whether they had to skip.
#[track_caller]
fn check(name: &str, wall: DateTime, shown: DateTime, offset: &str, shifted: bool) {
    let resolved = zone(name).resolve(wall);
    assert_eq!(resolved.moment.wall(), shown);
    assert_eq!(AttendeeZone::Offset(resolved.moment.offset).to_string(), offset);
    assert_eq!(resolved.shifted, shifted);
}

#[test]
fn the_bundled_database_names_its_release() {
    let zones = Zones::bundled();
    assert!(zones.version().starts_with("20"), "{}", zones.version());
}

#[test]
fn names_are_iana_names_and_aliases_stay_as_they_are_written() {
    for name in ["Asia/Kolkata", "Asia/Calcutta", "UTC", "Etc/UTC", "Etc/GMT+5", "America/Argentina/Ushuaia"] {
        assert_eq!(zone(name).name(), name);
    }
}

#[test]
fn a_name_that_is_nearly_right_is_answered_with_the_right_one() {
    for (written, meant) in [
        ("asia/kolkata", "Asia/Kolkata"),
        ("America/New York", "America/New_York"),
        ("new york", "America/New_York"),
        ("Kolkata", "Asia/Kolkata"),
        (" Europe/London", "Europe/London"),
    ] {
        let mistake = Zones::bundled().zone(written).unwrap_err().to_string();
        assert!(mistake.contains(&format!("did you mean \"{meant}\"")), "{mistake}");
    }
}

#[test]
fn a_name_nobody_knows_is_refused_with_an_example() {
    for written in ["", "IST+5", "Mars/Olympus", "+05:30", "Etc/Unknown", "localtime", &"x".repeat(10_000)] {
        let mistake = Zones::bundled().zone(written).unwrap_err().to_string();
        assert!(mistake.contains("\"Asia/Kolkata\"") && mistake.len() < 200, "{mistake}");
    }
}

#[test]
fn havana_takes_the_first_half_past_midnight_when_there_are_two() {
    let wall = datetime(2025, 11, 2, 0, 30, 0, 0);
    check("America/Havana", wall, wall, "-04:00", false);
}

#[test]
fn havana_moves_half_past_midnight_on_when_there_is_none() {
    let (wall, shown) = (datetime(2025, 3, 9, 0, 30, 0, 0), datetime(2025, 3, 9, 1, 30, 0, 0));
    check("America/Havana", wall, shown, "-04:00", true);
}

#[test]
fn cairo_moves_half_past_midnight_on_when_there_is_none() {
    let (wall, shown) = (datetime(2026, 4, 24, 0, 30, 0, 0), datetime(2026, 4, 24, 1, 30, 0, 0));
    check("Africa/Cairo", wall, shown, "+03:00", true);
}

#[test]
fn santiago_moves_quarter_past_midnight_on_when_there_is_none() {
    let (wall, shown) = (datetime(2026, 9, 6, 0, 15, 0, 0), datetime(2026, 9, 6, 1, 15, 0, 0));
    check("America/Santiago", wall, shown, "-03:00", true);
}

#[test]
fn new_york_moves_half_past_two_on_when_there_is_none() {
    let (wall, shown) = (datetime(2026, 3, 8, 2, 30, 0, 0), datetime(2026, 3, 8, 3, 30, 0, 0));
    check("America/New_York", wall, shown, "-04:00", true);
}

#[test]
fn an_hour_across_a_change_of_the_clocks_is_a_real_hour() {
    let london = zone("Europe/London");
    let begin = london.resolve(datetime(2026, 3, 29, 0, 30, 0, 0)).moment;
    let end = begin.plus_minutes(60, &london);
    assert_eq!(end.wall(), datetime(2026, 3, 29, 2, 30, 0, 0));
    assert_eq!(end.instant.duration_since(begin.instant), SignedDuration::from_mins(60));
}

#[test]
fn the_end_of_the_calendar_does_not_panic() {
    let moment = zone("America/New_York").resolve(DateTime::MAX).moment;
    assert_eq!(moment.plus_minutes(u16::MAX, &zone("UTC")).instant, Timestamp::MAX);
}

#[test]
fn an_attendees_zone_is_a_name_an_offset_or_unknown() {
    assert_eq!(parse(" \t"), Ok(None));
    for (text, canonical) in [
        ("Asia/Calcutta", "Asia/Calcutta"),
        ("+05:30", "+05:30"),
        ("-0330", "-03:30"),
        ("+05", "+05:00"),
        ("Z", "+00:00"),
        ("-00:30", "-00:30"),
        ("+14:00", "+14:00"),
    ] {
        let zone = parse(text).unwrap().unwrap();
        assert_eq!(zone.to_string(), canonical);
        assert_eq!(parse(canonical), Ok(Some(zone)));
    }
}

#[test]
fn an_attendees_offset_outside_the_world_is_refused() {
    for text in ["+", "+5", "+5:30", "+05:60", "+15:00", "-13:00", "+05:30:00", "+0é:30", "++5:30"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn an_attendees_offset_follows_the_season_only_in_a_named_zone() {
    let (winter, summer) = ("2026-01-15T12:00:00Z".parse().unwrap(), "2026-07-15T12:00:00Z".parse().unwrap());
    let named = parse("Europe/London").unwrap().unwrap();
    assert_eq!((named.offset_at(winter).seconds(), named.offset_at(summer).seconds()), (0, 3_600));
    let fixed = parse("+01:00").unwrap().unwrap();
    assert_eq!(fixed.offset_at(winter), fixed.offset_at(summer));
}

#[test]
fn a_zone_whose_sign_is_inverted_is_never_suggested() {
    let zones = Zones::bundled();
    for text in ["GMT+5", "gmt-8", " Etc/GMT+5", "etc/gmt+5", "Etc/gmt-14"] {
        let told = zones.zone(text).unwrap_err().to_string();
        assert!(told.contains("such as \"Asia/Kolkata\""), "{told}");
    }
    assert_eq!(zones.zone("Etc/GMT+5").unwrap().name(), "Etc/GMT+5");
}
