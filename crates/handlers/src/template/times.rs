//! Filters for moments in templates. A moment is what the event's JSON has as `begin` and `end`, or a text such as
//! `2024-03-15T15:30:00+05:30`.
//!
//! * `begin | at(person.offset)`: the moment at that offset from UTC, or in that zone (`Asia/Kolkata`); as it is (the
//!   creator's) where that is null.
//! * `| date`, `| date("%-d %B")`: the day; formats are those of strftime.
//! * `| time`, `| time("%I:%M %p")`: the time of day.
//! * `| zone`: `UTC+05:30`.
//!
//! Names of months and days, and the formats used where none is given, are those of the language: the values `months`,
//! `days`, `dateFormat` and `timeFormat`, where the event is rendered with them. English otherwise.

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, State};

pub(crate) const DATE_FORMAT: &str = "%A, %-d %B %Y";
pub(crate) const TIME_FORMAT: &str = "%H:%M";

pub(super) fn add_to(environment: &mut Environment<'static>) {
    environment.add_filter("at", at);
    environment.add_filter("date", date);
    environment.add_filter("time", time);
    environment.add_filter("zone", zone);
}

fn at(moment: Value, offset: Option<Value>) -> Result<Value, Error> {
    let Some((instant, own)) = read(&moment)? else { return Ok(Value::from(())) };
    let offset = match offset.filter(|offset| !offset.is_none() && !offset.is_undefined()) {
        None => own,
        Some(place) => offset_at(place.as_str().unwrap_or_default(), instant).ok_or_else(|| {
            invalid(
                "at: give an offset such as \"+05:30\", a zone such as \"Asia/Kolkata\", or null for the creator's own",
            )
        })?,
    };
    Ok(Value::from(instant.display_with_offset(offset).to_string()))
}

fn date(state: &State<'_, '_>, moment: Value, format: Option<String>) -> Result<String, Error> {
    shown(state, &moment, format, ("dateFormat", DATE_FORMAT))
}

fn time(state: &State<'_, '_>, moment: Value, format: Option<String>) -> Result<String, Error> {
    shown(state, &moment, format, ("timeFormat", TIME_FORMAT))
}

fn zone(moment: Value) -> Result<String, Error> {
    Ok(match read(&moment)? {
        None => String::new(),
        Some((_, Offset::UTC)) => "UTC".to_owned(),
        Some((_, offset)) => format!("UTC{}", offset_text(offset)),
    })
}

/// The offset at an instant in a place that is given as an offset or by its zone's name.
pub(crate) fn offset_at(place: &str, instant: Timestamp) -> Option<Offset> {
    parse_offset(place).or_else(|| TimeZone::get(place).ok().map(|zone| zone.to_offset(instant)))
}

/// An offset as events write it: `+05:30`.
pub(crate) fn offset_text(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

fn shown(
    state: &State<'_, '_>,
    moment: &Value,
    format: Option<String>,
    (setting, standard): (&str, &str),
) -> Result<String, Error> {
    let Some((instant, offset)) = read(moment)? else { return Ok(String::new()) };
    let of_language = || state.lookup(setting).and_then(|format| format.as_str().map(str::to_owned));
    let format = format.or_else(of_language).unwrap_or_else(|| standard.to_owned());
    let zoned = instant.to_zoned(TimeZone::fixed(offset));
    let month = name(state, "months", zoned.month() - 1);
    let day = name(state, "days", zoned.weekday().to_monday_zero_offset());
    strtime::format(with_names(&format, month.as_deref(), day.as_deref()), &zoned)
        .map_err(|error| invalid(format!("the format {format:?} cannot be used: {error}")))
}

fn name(state: &State<'_, '_>, list: &str, place: i8) -> Option<String> {
    let name = state.lookup(list)?.get_item_by_index(usize::try_from(place).ok()?).ok()?;
    name.as_str().map(str::to_owned)
}

/// The format with the language's own names in the place of `%B`, `%b`, `%A` and `%a`.
fn with_names(format: &str, month: Option<&str>, day: Option<&str>) -> String {
    let mut written = String::with_capacity(format.len());
    let mut rest = format;
    while let Some(place) = rest.find('%') {
        written.push_str(&rest[..place]);
        let directive: String = rest[place..].chars().take(2).collect();
        let name = match directive.as_str() {
            "%B" | "%b" => month,
            "%A" | "%a" => day,
            _ => None,
        };
        match name {
            Some(name) => written.push_str(&name.replace('%', "%%")),
            None => written.push_str(&directive),
        }
        rest = &rest[place + directive.len()..];
    }
    written + rest
}

/// The instant and its own offset; `None` for a moment that is not known.
fn read(moment: &Value) -> Result<Option<(Timestamp, Offset)>, Error> {
    if moment.is_none() || moment.is_undefined() {
        return Ok(None);
    }
    let no_moment = || invalid("this is no moment; give a session's begin or end, or what `at` made of it");
    let (instant, offset) = match moment.as_str() {
        Some(text) => (text.parse().ok(), offset_at_the_end(text)),
        None => {
            let text = |name: &str| moment.get_attr(name).ok().and_then(|value| value.as_str().map(str::to_owned));
            let instant = text("utc").and_then(|utc| utc.parse().ok());
            (instant, text("offset").and_then(|offset| parse_offset(&offset)))
        }
    };
    Ok(Some((instant.ok_or_else(no_moment)?, offset.unwrap_or(Offset::UTC))))
}

fn offset_at_the_end(text: &str) -> Option<Offset> {
    let place = text.rfind(['+', '-']).filter(|place| text[..*place].contains('T'))?;
    parse_offset(&text[place..])
}

fn parse_offset(text: &str) -> Option<Offset> {
    if text.eq_ignore_ascii_case("z") {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let valid = (0..=25).contains(&hours) && (0..60).contains(&minutes);
    valid.then(|| Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok())?
}

fn invalid(what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Templates;

    fn fill(template: &str, values: &Value) -> String {
        Templates::default().text(template).unwrap().fill(values).unwrap()
    }

    fn event() -> Value {
        let begin = json!({"utc": "2024-03-15T10:00:00.000Z", "offset": "+05:30", "wall": "2024-03-15T15:30:00"});
        json!({"begin": begin, "end": null, "offset": "-04:00", "unknown": null})
    }

    #[test]
    fn a_moment_is_shown_at_the_offset_asked_for_else_at_the_creators() {
        assert_eq!(fill("{{ begin | at(offset) | date }}", &event()), "Friday, 15 March 2024");
        assert_eq!(
            fill("{{ begin | at(offset) | time }} {{ begin | at(offset) | zone }}", &event()),
            "06:00 UTC-04:00"
        );
        assert_eq!(fill("{{ begin | at(unknown) | time }} {{ begin | zone }}", &event()), "15:30 UTC+05:30");
        assert_eq!(fill("{{ begin | at('+00:00') | zone }}", &event()), "UTC");
        assert_eq!(fill("{{ begin | at(offset) }}", &event()), "2024-03-15T06:00:00-04:00");
        assert_eq!(fill("{{ begin | at('Europe/London') | zone }}", &event()), "UTC");
        assert_eq!(fill("{{ '2024-07-01T10:00:00Z' | at('Europe/London') | zone }}", &event()), "UTC+01:00");
    }

    #[test]
    fn a_moment_that_is_not_known_is_shown_as_nothing() {
        assert_eq!(fill("[{{ end | at(offset) | date }}{{ end | time }}{{ end | zone }}]", &event()), "[]");
    }

    #[test]
    fn months_and_days_have_the_languages_names_and_formats() {
        let mut values = event();
        values["months"] = json!(["1", "2", "März", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
        values["days"] = json!(["Mo", "Di", "Mi", "Do", "100 % Freitag", "Sa", "So"]);
        values["dateFormat"] = json!("%A, %-d. %B");
        values["timeFormat"] = json!("%H.%M Uhr");
        assert_eq!(fill("{{ begin | date }} {{ begin | time }}", &values), "100 % Freitag, 15. März 15.30 Uhr");
        assert_eq!(fill("{{ begin | date('%-d %b %Y') }}", &values), "15 März 2024");
    }

    #[test]
    fn what_is_no_moment_or_no_format_is_refused_in_words() {
        for (template, said) in [
            ("{{ offset | date }}", "this is no moment"),
            ("{{ begin | at('Nowhere') }}", "give an offset such as"),
            ("{{ begin | date('%Q%!') }}", "cannot be used"),
        ] {
            let error = Templates::default().text(template).unwrap().fill(&event()).unwrap_err();
            assert!(error.0.contains(said), "{template}: {error}");
        }
    }
}
