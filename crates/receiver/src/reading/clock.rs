//! Times and offsets as senders write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// No place is further from UTC, and no offset there is not one of quarter hours.
const OFFSET_SECONDS: std::ops::RangeInclusive<i32> = -12 * 3600..=14 * 3600;
const QUARTER_SECONDS: i32 = 15 * 60;

/// Numbers from here on are seconds since 1970 (this is 1973), from there on milliseconds (1973 again).
const EPOCH_SECONDS_MIN: i64 = 100_000_000;
const EPOCH_MILLISECONDS_MIN: i64 = 100_000_000_000;

/// A time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) wall: DateTime,
    pub(super) mark: Mark,
    /// RFC 3339 wants them.
    pub(super) has_seconds: bool,
}

/// What stands behind a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Nothing,
    /// `Z` or `+00:00`.
    Utc,
    /// Another offset.
    Offset(Offset),
}

impl Clock {
    /// Reads RFC 3339, with or without seconds and offset. A date alone is no time.
    pub(super) fn parse(text: &str) -> Option<Clock> {
        let pieces = Pieces::parse(text).ok()?;
        let mark = match pieces.to_numeric_offset() {
            None => Mark::Nothing,
            Some(Offset::UTC) => Mark::Utc,
            Some(offset) => Mark::Offset(offset),
        };
        let bytes = text.as_bytes();
        let has_seconds = bytes.get(13) != Some(&b':') || bytes.get(16) == Some(&b':');
        Some(Clock { wall: pieces.date().to_datetime(pieces.time()?), mark, has_seconds })
    }

    /// The instant its mark makes of it; without one it is taken for UTC.
    pub(super) fn instant(self) -> Option<Timestamp> {
        let offset = match self.mark {
            Mark::Nothing | Mark::Utc => Offset::UTC,
            Mark::Offset(offset) => offset,
        };
        offset.to_timestamp(self.wall).ok()
    }

    /// How far its clock is ahead of UTC at this instant.
    pub(super) fn ahead_of_utc_at(self, instant: Timestamp) -> Option<Offset> {
        let read_as_utc = Offset::UTC.to_timestamp(self.wall).ok()?;
        let seconds = read_as_utc.duration_since(instant).as_secs();
        Offset::from_seconds(i32::try_from(seconds).ok()?).ok()
    }
}

/// Reads a whole number of seconds or milliseconds since 1970.
pub(super) fn parse_epoch(number: &str) -> Option<Timestamp> {
    let number: i64 = number.parse().ok()?;
    match number {
        EPOCH_MILLISECONDS_MIN.. => Timestamp::from_millisecond(number).ok(),
        EPOCH_SECONDS_MIN.. => Timestamp::from_second(number).ok(),
        _ => None,
    }
}

/// Whether some place may have this offset today.
pub(super) fn is_some_places(offset: Offset) -> bool {
    OFFSET_SECONDS.contains(&offset.seconds()) && offset.seconds() % QUARTER_SECONDS == 0
}

/// An offset as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) offset: Offset,
    /// Whether it is written as the contract has it, `+05:30`.
    pub(super) is_usual: bool,
}

/// Reads `+05:30`, `-0330`, `+5:30`, `+05`, `Z`, `UTC`, `GMT+05:30`.
pub(super) fn parse_offset(text: &str) -> Option<Written> {
    if ["z", "utc", "gmt"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(Written { offset: Offset::UTC, is_usual: false });
    }
    let bare = ["utc", "gmt"].iter().find_map(|name| {
        let (prefix, rest) = text.split_at_checked(name.len())?;
        prefix.eq_ignore_ascii_case(name).then(|| rest.trim_start())
    });
    let bare = bare.unwrap_or(text);
    let (sign, size) = match bare.strip_prefix('+') {
        Some(size) => (1, size),
        None => (-1, bare.strip_prefix(['-', '\u{2212}'])?),
    };
    let (hours, minutes) = match size.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if size.len() > 2 => size.split_at_checked(size.len() - 2)?,
        None => (size, "0"),
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    let seconds = sign * (3600 * hours + 60 * minutes);
    let is_usual = text.len() == 6 && text.as_bytes()[3] == b':';
    let offset = Offset::from_seconds(seconds).ok().filter(|_| minutes < 60 && OFFSET_SECONDS.contains(&seconds))?;
    Some(Written { offset, is_usual })
}

fn two_digits(text: &str) -> Option<i32> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Whether a text is spelled as names of the tz database are: `Asia/Kolkata`.
pub(super) fn is_zone_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    text.len() <= 64
        && text.contains('/')
        && text
            .split('/')
            .all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.chars().all(is_letter))
}
