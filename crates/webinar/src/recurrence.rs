//! Recurrence rules (RFC 5545, section 3.3.10) without times of day: which dates a series falls on.
//! Works on wall-clock time only; a zone is asked afterwards, so that no change of the clocks can lose or
//! double a session.

mod expand;
mod parse;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};

use crate::mistake::Mistake;
use crate::zones::Zone;

/// Most sessions of a series: nearly three years of a daily one, and a payload of about 376 kB.
pub const SESSIONS_MAX: usize = 1_000;
/// Sessions lie within so many years after the first. This is what bounds the work of any rule: at most
/// 36,600 days are looked at, however strange the rule.
pub const HORIZON_YEARS: i16 = 100;
/// Longest rule text, in bytes: with every value of every part but BYSETPOS there is room to spare.
pub const RULE_CHARS_MAX: usize = 1_024;

/// A recurrence rule that was understood. It always ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    frequency: Frequency,
    interval: i32,
    end: End,
    week_start: Weekday,
    months: Vec<i8>,
    month_days: Vec<i8>,
    days: Vec<ByDay>,
    positions: Vec<i16>,
}

impl Rule {
    /// Reads a rule such as `FREQ=WEEKLY;BYDAY=FR;COUNT=8`; a leading `RRULE:` is welcome.
    pub fn parse(text: &str) -> Result<Rule, Mistake> {
        parse::parse(text)
    }

    /// The wall-clock starts of the sessions, in order, none before `start`; at least one and at most
    /// [`SESSIONS_MAX`]. As with python-dateutil `start` is among them only if the rule gives it.
    /// The zone is asked only where the rule ends at an instant (`UNTIL=…Z`).
    pub fn starts(&self, start: DateTime, zone: &Zone) -> Result<Vec<DateTime>, Mistake> {
        expand::starts(self, start, zone)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Count(usize),
    Until(Until),
}

/// The last moment a session may start at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The whole day, as people mean it; python-dateutil reads it as that day's midnight.
    Date(Date),
    Local(DateTime),
    Instant(Timestamp),
}

/// A weekday, or only the nth one of the month or year (from its end if negative).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ByDay {
    ordinal: Option<i8>,
    /// Days after Monday.
    weekday: i8,
}
