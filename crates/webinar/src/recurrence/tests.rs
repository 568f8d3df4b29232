//! What a rule means and which rules are refused. Agreement with python-dateutil: tests/recurrence.rs.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::zones::Zones;

/// Friday 2024-03-15, 15:30.
fn friday() -> DateTime {
    date(2024, 3, 15).at(15, 30, 0, 0)
}

fn zone(name: &str) -> Zone {
    Zones::bundled().zone(name).unwrap()
}

fn starts(text: &str, start: DateTime) -> Result<Vec<DateTime>, Mistake> {
    Rule::parse(text)?.starts(start, &zone("Asia/Kolkata"))
}

/// Checks the dates a rule gives from that Friday on.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let dates: Vec<String> = starts(text, friday()).unwrap().iter().map(|start| start.date().to_string()).collect();
    assert_eq!(dates, expected);
}

/// Checks that a rule is refused with a text that holds both the thing and the mend.
#[track_caller]
fn refused(text: &str, thing: &str, mend: &str) {
    let mistake = starts(text, friday()).unwrap_err().to_string();
    assert!(mistake.contains(thing) && mistake.contains(mend), "{mistake}");
}

#[test]
fn a_prefix_and_lower_case_are_welcome() {
    check(" rrule:freq=weekly;count=2 ", &["2024-03-15", "2024-03-22"]);
}

#[test]
fn until_a_date_means_that_whole_day() {
    check("FREQ=DAILY;UNTIL=20240316", &["2024-03-15", "2024-03-16"]);
}

#[test]
fn until_a_time_means_a_start_at_that_very_time_counts() {
    check("FREQ=DAILY;UNTIL=20240316T153000", &["2024-03-15", "2024-03-16"]);
    check("FREQ=DAILY;UNTIL=20240316T152959", &["2024-03-15"]);
}

#[test]
fn until_an_instant_is_compared_with_the_real_start_in_the_zone() {
    check("FREQ=DAILY;UNTIL=20240316T100000Z", &["2024-03-15", "2024-03-16"]);
    check("FREQ=DAILY;UNTIL=20240316T095959Z", &["2024-03-15"]);
}

#[test]
fn until_an_instant_holds_on_the_day_the_clocks_skip_the_start() {
    // 02:30 on 2026-03-08 is really 03:30 in New York, 07:30 in UTC.
    let start = date(2026, 3, 7).at(2, 30, 0, 0);
    let count = |text: &str| Rule::parse(text).unwrap().starts(start, &zone("America/New_York")).unwrap().len();
    assert_eq!(count("FREQ=DAILY;UNTIL=20260308T073000Z"), 2);
    assert_eq!(count("FREQ=DAILY;UNTIL=20260308T072959Z"), 1);
}

#[test]
fn plain_and_numbered_weekdays_are_united() {
    check("FREQ=MONTHLY;BYDAY=FR,3SU;COUNT=4", &["2024-03-15", "2024-03-17", "2024-03-22", "2024-03-29"]);
}

#[test]
fn a_month_without_the_day_has_no_session() {
    let dates = starts("FREQ=MONTHLY;COUNT=3", date(2024, 1, 31).at(9, 0, 0, 0)).unwrap();
    assert_eq!(dates.iter().map(|start| start.month()).collect::<Vec<_>>(), [1, 3, 5]);
}

#[test]
fn the_longest_series_is_accepted_and_one_more_session_is_not() {
    assert_eq!(starts("FREQ=DAILY;COUNT=1000", friday()).unwrap().len(), SESSIONS_MAX);
    assert_eq!(starts("FREQ=DAILY;UNTIL=20261209", friday()).unwrap().len(), SESSIONS_MAX);
    refused("FREQ=DAILY;UNTIL=20261210", "more than 1000", "earlier UNTIL");
    refused("FREQ=DAILY;COUNT=1001", "COUNT=\"1001\"", "1 to 1000");
}

#[test]
fn a_rule_without_an_end_or_with_two_is_refused() {
    refused("FREQ=DAILY", "never ends", "add COUNT=8 or UNTIL=");
    refused("FREQ=DAILY;COUNT=2;UNTIL=20240401", "exclude each other", "keep one");
}

#[test]
fn frequencies_below_a_day_are_refused() {
    for name in ["HOURLY", "MINUTELY", "SECONDLY"] {
        refused(&format!("FREQ={name};COUNT=2"), name, "use DAILY");
    }
    refused("COUNT=2", "FREQ is missing", "add FREQ=");
    refused("FREQ=FORTNIGHTLY;COUNT=2", "FORTNIGHTLY", "use DAILY");
}

#[test]
fn parts_we_do_not_support_are_refused_with_what_to_use() {
    refused("FREQ=DAILY;COUNT=2;BYHOUR=9,15", "BYHOUR", "one series for each time");
    refused("FREQ=YEARLY;COUNT=2;BYWEEKNO=20", "BYWEEKNO", "use BYMONTH");
    refused("FREQ=YEARLY;COUNT=2;BYYEARDAY=1", "BYYEARDAY", "BYMONTHDAY");
    refused("FREQ=DAILY;COUNT=2;BYEASTER=0", "BYEASTER", "known are FREQ");
}

#[test]
fn malformed_parts_are_refused_by_name() {
    refused("", "empty", "leave \"recurrence\" out");
    refused("FREQ=DAILY;COUNT=2;", "NAME=VALUE", "remove");
    refused("FREQ=DAILY;COUNT=2;COUNT=3", "COUNT stands twice", "keep one");
    refused("DTSTART:20240315T153000\nRRULE:FREQ=DAILY;COUNT=2", "one rule", "\"start\"");
    refused(&format!("FREQ=DAILY;COUNT=2;BYMONTH={}", "1,".repeat(600)), "characters long", "1024");
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    refused("FREQ=DAILY;COUNT=2;INTERVAL=0", "INTERVAL", "1 to 9999");
    refused("FREQ=DAILY;COUNT=0", "COUNT", "1 to 1000");
    refused("FREQ=DAILY;COUNT=+2", "COUNT", "1 to 1000");
    refused("FREQ=DAILY;COUNT=2;BYMONTH=13", "BYMONTH", "1 to 12");
    refused("FREQ=DAILY;COUNT=2;BYMONTHDAY=0", "BYMONTHDAY", "-1 to -31");
    refused("FREQ=MONTHLY;COUNT=2;BYDAY=MO;BYSETPOS=367", "BYSETPOS", "1 to 366");
    refused("FREQ=MONTHLY;COUNT=2;BYDAY=6MO", "at most five", "-5 to 5");
    refused("FREQ=YEARLY;COUNT=2;BYDAY=54MO", "BYDAY", "1 to 53");
    refused("FREQ=WEEKLY;COUNT=2;BYDAY=FRI", "BYDAY", "use MO");
    refused("FREQ=WEEKLY;COUNT=2;BYDAY=é", "BYDAY", "use MO");
    refused("FREQ=WEEKLY;COUNT=2;WKST=XX", "WKST", "use one of MO");
    refused("FREQ=DAILY;UNTIL=2024-04-01", "UNTIL", "write 20271231");
    refused("FREQ=DAILY;UNTIL=20240231", "UNTIL", "write 20271231");
}

#[test]
fn parts_that_cannot_stand_together_are_refused() {
    refused("FREQ=WEEKLY;COUNT=2;BYDAY=1MO", "numbered weekday", "remove the number");
    refused("FREQ=DAILY;COUNT=2;BYDAY=-1FR", "numbered weekday", "remove the number");
    refused("FREQ=WEEKLY;COUNT=2;BYMONTHDAY=1", "BYMONTHDAY", "use FREQ=MONTHLY");
    refused("FREQ=MONTHLY;COUNT=2;BYSETPOS=1", "BYSETPOS", "add BYDAY");
}

#[test]
fn a_rule_that_gives_nothing_or_too_little_is_refused() {
    refused("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;COUNT=2", "no date matches", "check BYMONTH");
    refused("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;COUNT=30", "only 24 of COUNT=30", "lower COUNT");
    refused("FREQ=DAILY;INTERVAL=9999;COUNT=9", "only 4 of COUNT=9", "lower COUNT");
    refused("FREQ=DAILY;UNTIL=20240314", "UNTIL is before the first start 2024-03-15T15:30", "later");
    refused("FREQ=YEARLY;UNTIL=21240401", "more than 100 years", "earlier");
    refused("FREQ=YEARLY;UNTIL=99991231T235959Z", "more than 100 years", "earlier");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = starts(&text, friday());
    }

    #[test]
    fn no_rule_made_of_known_parts_makes_the_walk_panic(
        frequency in prop::sample::select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
        interval in 1..9_999,
        parts in prop::sample::subsequence(vec![";BYMONTH=2", ";BYMONTHDAY=-31,30", ";BYDAY=MO,5FR", ";BYSETPOS=-366,2", ";WKST=SU"], 0..5),
        year in prop::sample::select(vec![-9_999, -1, 0, 2024, 9_999]),
    ) {
        let start = date(year, 12, 30).at(23, 59, 59, 0);
        let _ = starts(&format!("FREQ={frequency};INTERVAL={interval};COUNT=9{}", parts.concat()), start);
    }
}
