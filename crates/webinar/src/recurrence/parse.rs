//! Reads the text of a rule and refuses, each with its mend, what a series cannot mean.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::Offset;

use super::{ByDay, End, Frequency, RULE_CHARS_MAX, Rule, SESSIONS_MAX, Until};
use crate::mistake::{Mistake, quoted};

/// Longest step between two periods; the horizon in days is a little more.
const INTERVAL_MAX: i32 = 9_999;
/// A month has at most five of each weekday, a year 53.
const ORDINAL_MAX_OF_MONTH: i8 = 5;
const ORDINAL_MAX_OF_YEAR: i8 = 53;

const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
const NAMES: [&str; 9] = ["FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS"];

pub(super) fn parse(text: &str) -> Result<Rule, Mistake> {
    let parts = Parts::split(text)?;
    let rule = Rule {
        frequency: frequency(&parts)?,
        interval: parts.get("INTERVAL").map_or(Ok(1), |value| number("INTERVAL", value, 1..=INTERVAL_MAX))?,
        end: end(&parts)?,
        week_start: parts.get("WKST").map_or(Ok(Weekday::Monday), week_start)?,
        months: parts.list("BYMONTH", |value| number("BYMONTH", value, 1..=12))?,
        month_days: parts.list("BYMONTHDAY", |value| signed("BYMONTHDAY", value, 31))?,
        days: parts.list("BYDAY", by_day)?,
        positions: parts.list("BYSETPOS", |value| signed("BYSETPOS", value, 366))?,
    };
    check_combination(&rule)?;
    Ok(rule)
}

/// The `NAME=VALUE` parts of a rule; every name is one we know, and stands once.
struct Parts(Vec<(String, String)>);

impl Parts {
    fn split(text: &str) -> Result<Parts, Mistake> {
        let length = text.len();
        if length > RULE_CHARS_MAX {
            return Err(Mistake::new(format!("the rule is {length} characters long; shorten it to {RULE_CHARS_MAX}")));
        }
        let text = text.trim().to_ascii_uppercase();
        let text = text.strip_prefix("RRULE:").unwrap_or(&text);
        if text.is_empty() {
            return Err(Mistake::new("the rule is empty; leave \"recurrence\" out for a single session"));
        }
        if text.contains([':', '\n', '\r']) {
            return Err(Mistake::new(
                "give one rule only; the first start goes in \"start\", the zone in \"timezone\", exceptions in \"except\"",
            ));
        }
        let mut parts: Vec<(String, String)> = Vec::new();
        for part in text.split(';') {
            let Some((name, value)) = part.split_once('=') else {
                return Err(Mistake::new(format!("{} is not of the form NAME=VALUE; mend or remove it", quoted(part))));
            };
            check_name(name)?;
            if parts.iter().any(|(known, _)| known == name) {
                return Err(Mistake::new(format!(
                    "{name} stands twice; keep one, with its values separated by commas"
                )));
            }
            parts.push((name.to_owned(), value.to_owned()));
        }
        Ok(Parts(parts))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The values of a part, sorted and each once; none if the part is absent.
    fn list<T: Ord>(&self, name: &str, read: impl Fn(&str) -> Result<T, Mistake>) -> Result<Vec<T>, Mistake> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let mut values = value.split(',').map(read).collect::<Result<Vec<T>, Mistake>>()?;
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

fn check_name(name: &str) -> Result<(), Mistake> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    Err(Mistake::new(match name {
        "BYHOUR" | "BYMINUTE" | "BYSECOND" => {
            format!("{name} is not supported; the time of day is that of \"start\", so make one series for each time")
        }
        "BYWEEKNO" => "BYWEEKNO is not supported; use BYMONTH with BYDAY, or INTERVAL with FREQ=WEEKLY".to_owned(),
        "BYYEARDAY" => "BYYEARDAY is not supported; use BYMONTH with BYMONTHDAY".to_owned(),
        _ => format!("{} is not a part of a rule; known are {}", quoted(name), NAMES.join(", ")),
    }))
}

fn frequency(parts: &Parts) -> Result<Frequency, Mistake> {
    match parts.get("FREQ") {
        Some("DAILY") => Ok(Frequency::Daily),
        Some("WEEKLY") => Ok(Frequency::Weekly),
        Some("MONTHLY") => Ok(Frequency::Monthly),
        Some("YEARLY") => Ok(Frequency::Yearly),
        Some(name @ ("HOURLY" | "MINUTELY" | "SECONDLY")) => Err(Mistake::new(format!(
            "FREQ={name} is too often for webinars; use DAILY and one series for each time of day"
        ))),
        Some(other) => {
            Err(Mistake::new(format!("FREQ={} is unknown; use DAILY, WEEKLY, MONTHLY or YEARLY", quoted(other))))
        }
        None => Err(Mistake::new("FREQ is missing; add FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")),
    }
}

fn end(parts: &Parts) -> Result<End, Mistake> {
    match (parts.get("COUNT"), parts.get("UNTIL")) {
        (Some(_), Some(_)) => Err(Mistake::new("COUNT and UNTIL exclude each other; keep one")),
        (None, None) => Err(Mistake::new("the rule never ends; add COUNT=8 or UNTIL=20271231")),
        (Some(count), None) => number("COUNT", count, 1..=SESSIONS_MAX).map(End::Count),
        (None, Some(until)) => match read_until(until) {
            Some(until) => Ok(End::Until(until)),
            None => Err(Mistake::new(format!(
                "UNTIL={} is not a date; write 20271231, 20271231T153000 in the series' zone, or 20271231T100000Z in UTC",
                quoted(until)
            ))),
        },
    }
}

fn read_until(text: &str) -> Option<Until> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let small = |from: usize| part(from, from + 2).map(|value| value as i8);
    let date = || Date::new(part(0, 4)?, small(4)?, small(6)?).ok();
    let local = || Some(DateTime::from_parts(date()?, Time::new(small(9)?, small(11)?, small(13)?, 0).ok()?));
    match shape.as_str() {
        "00000000" => date().map(Until::Date),
        "00000000T000000" => local().map(Until::Local),
        // People write the last day of the year 9999 for "for ever", which no longer fits.
        "00000000T000000Z" => {
            local().map(|end| Until::Instant(Offset::UTC.to_timestamp(end).unwrap_or(Timestamp::MAX)))
        }
        _ => None,
    }
}

fn week_start(value: &str) -> Result<Weekday, Mistake> {
    weekday(value).and_then(|offset| Weekday::from_monday_zero_offset(offset).ok()).ok_or_else(|| {
        Mistake::new(format!("WKST={} is not a weekday; use one of {}", quoted(value), WEEKDAYS.join(", ")))
    })
}

fn weekday(name: &str) -> Option<i8> {
    WEEKDAYS.iter().zip(0..).find_map(|(known, offset)| (*known == name).then_some(offset))
}

fn by_day(value: &str) -> Result<ByDay, Mistake> {
    let mistake = || {
        Mistake::new(format!(
            "BYDAY={} is not a weekday; use {}, with a number before it such as 2TU or -1FR",
            quoted(value),
            WEEKDAYS.join(", ")
        ))
    };
    let split = value.len().checked_sub(2).filter(|at| value.is_char_boundary(*at)).ok_or_else(mistake)?;
    let (ordinal, name) = value.split_at(split);
    let weekday = weekday(name).ok_or_else(mistake)?;
    let ordinal = match ordinal {
        "" => None,
        text => Some(signed("BYDAY", text, ORDINAL_MAX_OF_YEAR.into())?),
    };
    Ok(ByDay { ordinal, weekday })
}

/// A number of a range; a sign is not expected.
fn number<T>(name: &str, text: &str, range: RangeInclusive<T>) -> Result<T, Mistake>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<T>() {
        Ok(value) if plain && range.contains(&value) => Ok(value),
        _ => Err(Mistake::new(format!(
            "{name}={} is not possible; give {} to {}",
            quoted(text),
            range.start(),
            range.end()
        ))),
    }
}

/// A number from 1 to `most`, or from the end with a minus.
fn signed<T: TryFrom<i16>>(name: &str, text: &str, most: i16) -> Result<T, Mistake> {
    let value = text.parse::<i16>().ok().filter(|value| *value != 0 && (-most..=most).contains(value));
    value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| {
        Mistake::new(format!(
            "{name}={} is not possible; give 1 to {most}, or -1 to -{most} to count from the end",
            quoted(text)
        ))
    })
}

/// RFC 5545's table of which part may stand with which frequency.
fn check_combination(rule: &Rule) -> Result<(), Mistake> {
    let ordinals = || rule.days.iter().filter_map(|day| day.ordinal);
    if matches!(rule.frequency, Frequency::Daily | Frequency::Weekly) && ordinals().next().is_some() {
        return Err(Mistake::new(
            "a numbered weekday such as 2TU needs FREQ=MONTHLY or FREQ=YEARLY; remove the number",
        ));
    }
    let within_month = rule.frequency == Frequency::Monthly || !rule.months.is_empty();
    if within_month && ordinals().any(|ordinal| ordinal.abs() > ORDINAL_MAX_OF_MONTH) {
        return Err(Mistake::new("a month has at most five of each weekday; give BYDAY numbers from -5 to 5"));
    }
    if rule.frequency == Frequency::Weekly && !rule.month_days.is_empty() {
        return Err(Mistake::new("BYMONTHDAY cannot stand with FREQ=WEEKLY; use FREQ=MONTHLY, or BYDAY"));
    }
    let selects = !rule.months.is_empty() || !rule.month_days.is_empty() || !rule.days.is_empty();
    if !rule.positions.is_empty() && !selects {
        return Err(Mistake::new("BYSETPOS picks from what another part gives; add BYDAY, BYMONTHDAY or BYMONTH"));
    }
    Ok(())
}
