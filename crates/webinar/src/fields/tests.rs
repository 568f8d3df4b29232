//! Single values as people type them.

use jiff::civil::datetime;

use super::*;

#[test]
fn a_wall_time_is_read_with_and_without_seconds_and_written_the_same() {
    assert_eq!(wall_time("2024-03-15T15:30"), Ok(datetime(2024, 3, 15, 15, 30, 0, 0)));
    for text in ["2024-03-15T15:30", "2024-02-29T00:00:59"] {
        assert_eq!(written(wall_time(text).unwrap()), text);
    }
}

#[test]
fn an_offset_in_a_wall_time_is_sent_to_the_timezone_field() {
    for text in ["2024-03-15T15:30Z", "2024-03-15T15:30:00.000Z", "2024-03-15T15:30+05:30", "2024-03-15T15:30-03:00"] {
        assert!(wall_time(text).unwrap_err().to_string().contains("\"timezone\""), "{text}");
    }
}

#[test]
fn a_wall_time_that_is_malformed_or_does_not_exist_is_refused() {
    for text in [
        "",
        "2024-03-15",
        "2024-03-15 15:30",
        "2024-3-15T15:30",
        "2024-03-15T15:30:",
        "2024-03-15T15:30:00.5",
        "２024-03-15T15:3",
    ] {
        assert!(wall_time(text).unwrap_err().to_string().contains("is not a wall-clock time"), "{text}");
    }
    for text in ["2023-02-29T10:00", "2024-03-15T24:00", "2024-03-15T10:00:60"] {
        assert!(wall_time(text).unwrap_err().to_string().contains("does not exist"), "{text}");
    }
    assert!(wall_time("0024-03-15T15:30").unwrap_err().to_string().contains("check the year"));
}

#[test]
fn a_link_is_a_web_address_of_any_case_with_a_host() {
    for text in
        ["https://meet.google.com/abc-defg-hij", "HTTP://a", "https://müller.example/räume?x=1#y", "https://[::1]/"]
    {
        assert!(link(text).is_ok(), "{text}");
    }
    for text in [
        "",
        "meet.google.com",
        "ftp://a",
        "https://",
        "https:///x",
        "javascript:alert(1)",
        "https://a b",
        "https://a\n",
    ] {
        assert!(link(text).is_err(), "{text}");
    }
    assert!(link(&format!("https://{}", "a".repeat(LINK_CHARS_MAX))).is_err());
}

#[test]
fn a_title_may_be_anything_a_person_can_see() {
    for text in ["\"quoted\"", "🎺", "tab\there", "مرحبا", &"é".repeat(TITLE_CHARS_MAX)] {
        assert_eq!(&*title(text).unwrap(), text);
    }
    for text in ["", "  ", "\0\0", "\u{1}\n", "nul\0inside", &"é".repeat(TITLE_CHARS_MAX + 1)] {
        assert!(title(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_duration_is_one_minute_to_a_day() {
    assert_eq!((duration(1), duration(1_440)), (Ok(1), Ok(1_440)));
    for minutes in [0, -30, 1_441, 65_596, i64::MAX] {
        assert!(duration(minutes).is_err(), "{minutes}");
    }
}
