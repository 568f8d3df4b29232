//! Reads the single values of a series draft: text, link, duration, wall-clock time.

use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::civil::DateTime;

use crate::mistake::{Mistake, quoted};

/// Longest title, in characters: more does not fit any calendar or message.
pub const TITLE_CHARS_MAX: usize = 500;
/// Longest link, in characters: what browsers and mail programs carry safely.
pub const LINK_CHARS_MAX: usize = 2_048;
/// Lengths of a session in minutes. The seed's platform offers 30 to 300; nothing here depends on that,
/// so short calls and whole days are welcome, and only slips of the keyboard are refused.
pub const DURATION_MINUTES: RangeInclusive<i64> = 1..=1_440;
/// Years a session may start in: another one is a slip of the keyboard, and within these every offset is
/// of whole minutes and every later date is far from the end of the calendar.
pub const START_YEARS: RangeInclusive<i16> = 2_000..=2_999;

/// Lengths of `2024-03-15T15:30` and of `2024-03-15T15:30:00`.
const WALL_TIME_LENGTHS: [usize; 2] = [16, 19];

pub(crate) fn title(text: &str) -> Result<Arc<str>, Mistake> {
    if !text.chars().any(|c| !c.is_whitespace() && !c.is_control()) {
        return Err(Mistake::new("is empty; give the webinar a title"));
    }
    if text.contains('\0') {
        return Err(Mistake::new("holds a NUL character, which databases cannot keep; remove it"));
    }
    let length = text.chars().count();
    if length > TITLE_CHARS_MAX {
        return Err(Mistake::new(format!("is {length} characters long; shorten it to {TITLE_CHARS_MAX}")));
    }
    Ok(text.into())
}

/// A light check: whether the address answers is for those who open it.
pub(crate) fn link(text: &str) -> Result<Arc<str>, Mistake> {
    let length = text.chars().count();
    if length > LINK_CHARS_MAX {
        return Err(Mistake::new(format!("is {length} characters long; shorten it to {LINK_CHARS_MAX}")));
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let quoted = quoted(text);
        return Err(Mistake::new(format!(
            "{quoted} holds a space or a control character; remove it or write it as %20"
        )));
    }
    let host = ["https://", "http://"].iter().find_map(|scheme| {
        let head = text.get(..scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
    });
    match host {
        Some(host) if !host.is_empty() && !host.starts_with(['/', '?', '#', ':']) => Ok(text.into()),
        _ => {
            let quoted = quoted(text);
            Err(Mistake::new(format!(
                "{quoted} is not a web address; write it whole, such as \"https://meet.example/room\""
            )))
        }
    }
}

pub(crate) fn duration(minutes: i64) -> Result<u16, Mistake> {
    match u16::try_from(minutes) {
        Ok(fitting) if DURATION_MINUTES.contains(&minutes) => Ok(fitting),
        _ => {
            let (least, most) = (DURATION_MINUTES.start(), DURATION_MINUTES.end());
            Err(Mistake::new(format!("is {minutes} minutes; give {least} to {most}")))
        }
    }
}

/// Reads `2024-03-15T15:30` or `2024-03-15T15:30:00`; nothing else, so that no zone slips in unseen.
pub(crate) fn wall_time(text: &str) -> Result<DateTime, Mistake> {
    let quoted = quoted(text);
    let time = text.get(10..).unwrap_or_default();
    if time.ends_with(['Z', 'z']) || time.contains(['+', '-', '[']) {
        return Err(Mistake::new(format!(
            "{quoted} carries an offset; write the wall-clock time alone and name the zone in \"timezone\""
        )));
    }
    let shape = || Mistake::new(format!("{quoted} is not a wall-clock time; write it such as \"2024-03-15T15:30\""));
    let shaped = text.bytes().zip(*b"0000-00-00T00:00:00").all(|(byte, model)| match model {
        b'0' => byte.is_ascii_digit(),
        _ => byte == model,
    });
    if !shaped || !WALL_TIME_LENGTHS.contains(&text.len()) {
        return Err(shape());
    }
    let number = |from: usize, to: usize| text.get(from..to).map_or(Ok(0), str::parse::<i16>).map_err(|_| shape());
    let small = |from: usize, to: usize| number(from, to).map(|value| value as i8);
    let wall =
        DateTime::new(number(0, 4)?, small(5, 7)?, small(8, 10)?, small(11, 13)?, small(14, 16)?, small(17, 19)?, 0)
            .map_err(|_| Mistake::new(format!("{quoted} does not exist; check the day of the month and the hour")))?;
    if !START_YEARS.contains(&wall.year()) {
        let (first, last) = (START_YEARS.start(), START_YEARS.end());
        return Err(Mistake::new(format!("{quoted} is not in the years {first} to {last}; check the year")));
    }
    Ok(wall)
}

/// Writes a wall-clock time as people write it in a draft.
pub(crate) fn written(wall: DateTime) -> String {
    let format = if wall.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    wall.strftime(format).to_string()
}

#[cfg(test)]
mod tests;
