//! When a session begins or ends: the instant that `webinarFromTime` tells, against the clock of the creator, whose `Z`
//! is false, and the creator's offset, which may be missing. Where they disagree the instant is believed.

use jiff::Timestamp;
use jiff::tz::Offset;

use super::ReadMoment;
use super::clock::{Clock, Mark, is_some_places, parse_epoch, parse_offset};
use super::fields::Fields;
use super::json::Json;

const ZONE: &str = "creatorTimezone";
/// How far clocks go back or forward for a season.
const SEASON_SECONDS_MAX: i32 = 3600;

/// The members that tell one moment.
pub(super) struct Members {
    pub(super) instant: &'static str,
    pub(super) wall: &'static str,
}

pub(super) const BEGIN: Members = Members { instant: "webinarFromTime", wall: "webinarFromTimeInCreatorTimezone" };
pub(super) const END: Members = Members { instant: "webinarToTime", wall: "webinarToTimeInCreatorTimezone" };

/// What is known of the creator's clock when one of its times is read.
#[derive(Clone, Copy)]
pub(super) struct Creator {
    /// As `creatorTimezone` tells it.
    offset: Option<Offset>,
    /// Whether something stands there that is no offset.
    is_unreadable: bool,
    /// Whether this session's times on the creator's clock carry a false `Z`.
    has_false_marks: bool,
}

impl Creator {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Creator {
        let text = fields.text(ZONE).filter(|text| !text.is_empty());
        let written = text.as_deref().and_then(parse_offset);
        if written.is_some_and(|written| !written.is_usual) {
            fields.mended(ZONE, "is not written such as +05:30; read as an offset all the same");
        }
        let is_unreadable = text.is_some() && written.is_none();
        Creator { offset: written.map(|written| written.offset), is_unreadable, has_false_marks: false }
    }

    /// The offset, or UTC where nothing tells it.
    fn offset_or_utc(self, fields: &mut Fields<'_, '_>) -> Offset {
        let what = "is missing or no offset; UTC was taken";
        match self.offset {
            Some(offset) => return offset,
            None if self.is_unreadable => fields.lost(ZONE, what),
            None => fields.mended(ZONE, what),
        }
        Offset::UTC
    }
}

/// Reads one moment; `None` where neither of its members tells it.
pub(super) fn read_moment(fields: &mut Fields<'_, '_>, members: &Members, creator: &mut Creator) -> Option<ReadMoment> {
    let told = read_instant(fields, members.instant);
    let clock = read_clock(fields, members.wall);
    match (told, clock) {
        (Some(instant), Some(clock)) => {
            let offset = offset_at(fields, members, creator, instant, clock);
            Some(moment(instant, offset))
        }
        (Some(instant), None) => Some(moment(instant, creator.offset_or_utc(fields))),
        (None, Some(clock)) => from_clock(fields, members, *creator, clock),
        (None, None) => None,
    }
}

fn moment(instant: Timestamp, offset: Offset) -> ReadMoment {
    ReadMoment { instant, offset, wall: offset.to_datetime(instant) }
}

fn read_instant(fields: &mut Fields<'_, '_>, member: &'static str) -> Option<Timestamp> {
    if let Json::Number(number) = fields.json(member)
        && let Some(instant) = parse_epoch(number)
    {
        fields.mended(member, "is a number; read as time since 1970");
        return Some(instant);
    }
    let clock = read_clock(fields, member)?;
    if clock.mark == Mark::Nothing {
        fields.mended(member, "has no offset; taken for UTC");
    }
    let instant = clock.instant();
    if instant.is_none() {
        fields.lost(member, "is beyond the calendar; left out");
    }
    instant
}

fn read_clock(fields: &mut Fields<'_, '_>, member: &'static str) -> Option<Clock> {
    let text = fields.text(member).filter(|text| !text.is_empty())?;
    let clock = Clock::parse(&text);
    match clock {
        None => fields.lost(member, "is no time; left out"),
        Some(clock) if !clock.has_seconds => fields.mended(member, "has no seconds; read as a whole minute"),
        Some(_) => {}
    }
    clock
}

/// The creator's offset at an instant that is told, by what their clock shows then.
fn offset_at(
    fields: &mut Fields<'_, '_>,
    members: &Members,
    creator: &mut Creator,
    instant: Timestamp,
    clock: Clock,
) -> Offset {
    let ahead = clock.ahead_of_utc_at(instant);
    let Some(told) = creator.offset else {
        let plausible = ahead.filter(|offset| is_some_places(*offset));
        return match (clock.mark, plausible) {
            (Mark::Offset(offset), _) if ahead == Some(offset) => offset,
            // With a Z that may be true, no difference says nothing about the creator.
            (_, Some(offset)) if offset != Offset::UTC => {
                fields.mended(ZONE, "is missing or no offset; worked out from the session's times");
                offset
            }
            _ => creator.offset_or_utc(fields),
        };
    };
    if ahead == Some(told) {
        if clock.mark == Mark::Utc && told != Offset::UTC {
            fields.mended(members.wall, "is the creator's clock and not UTC, in spite of its Z; read as that");
            creator.has_false_marks = true;
        }
        return told;
    }
    if clock.mark != Mark::Nothing && clock.instant() == Some(instant) && !creator.has_false_marks {
        fields.mended(members.wall, "is not the creator's clock but an instant, as its mark says; read as that");
        return told;
    }
    match ahead {
        Some(ahead) if (ahead.seconds() - told.seconds()).abs() <= SEASON_SECONDS_MAX => {
            fields.mended(members.wall, "is up to an hour off creatorTimezone, as after a change of clocks; believed");
            ahead
        }
        _ => {
            fields.lost(members.wall, "contradicts the instant and creatorTimezone, which were believed");
            told
        }
    }
}

/// A moment that only the creator's clock tells.
fn from_clock(fields: &mut Fields<'_, '_>, members: &Members, creator: Creator, clock: Clock) -> Option<ReadMoment> {
    let offset = match clock.mark {
        Mark::Offset(offset) => offset,
        Mark::Nothing | Mark::Utc => creator.offset_or_utc(fields),
    };
    let instant = offset.to_timestamp(clock.wall).ok();
    match instant {
        Some(_) => fields.mended(members.instant, "is missing; worked out from the creator's clock"),
        None => fields.lost(members.wall, "is beyond the calendar; left out"),
    }
    instant.map(|instant| moment(instant, creator.offset.unwrap_or(offset)))
}
