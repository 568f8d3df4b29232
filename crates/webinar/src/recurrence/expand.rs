//! Walks a rule period by period, keeps the days that match it, and stops at its end.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

use super::{ByDay, End, Frequency, HORIZON_YEARS, Rule, SESSIONS_MAX, Until};
use crate::fields::written;
use crate::mistake::Mistake;
use crate::zones::Zone;

pub(super) fn starts(rule: &Rule, start: DateTime, zone: &Zone) -> Result<Vec<DateTime>, Mistake> {
    let horizon = start.date().saturating_add(HORIZON_YEARS.years());
    check_end(rule.end, start, horizon, zone)?;
    let pattern = Pattern::new(rule, start.date());
    let dates = (0..)
        .map_while(|step| Period::of(rule, start.date(), step))
        .take_while(|period| period.first <= horizon)
        .flat_map(|period| pattern.dates(period))
        .filter(|date| (start.date()..=horizon).contains(date));

    let mut starts = Vec::new();
    for date in dates {
        let wall = date.to_datetime(start.time());
        if let End::Until(until) = rule.end
            && until.is_before(wall, zone)
        {
            break;
        }
        if starts.len() == SESSIONS_MAX {
            return Err(Mistake::new(format!(
                "the rule gives more than {SESSIONS_MAX} sessions; choose an earlier UNTIL"
            )));
        }
        starts.push(wall);
        if rule.end == End::Count(starts.len()) {
            break;
        }
    }
    check_result(rule.end, starts)
}

fn check_end(end: End, start: DateTime, horizon: Date, zone: &Zone) -> Result<(), Mistake> {
    let End::Until(until) = end else { return Ok(()) };
    if until.is_before(start, zone) {
        let start = written(start);
        return Err(Mistake::new(format!("UNTIL is before the first start {start}; choose a later one")));
    }
    if !until.is_before(horizon.to_datetime(start.time()), zone) {
        return Err(Mistake::new(format!(
            "UNTIL is more than {HORIZON_YEARS} years after the start; choose an earlier one"
        )));
    }
    Ok(())
}

fn check_result(end: End, starts: Vec<DateTime>) -> Result<Vec<DateTime>, Mistake> {
    let given = starts.len();
    match end {
        End::Count(wanted) if 0 < given && given < wanted => Err(Mistake::new(format!(
            "only {given} of COUNT={wanted} sessions lie within {HORIZON_YEARS} years of the start; lower COUNT"
        ))),
        _ if given == 0 => Err(Mistake::new(
            "no date matches the rule before it ends; check BYMONTH, BYMONTHDAY, BYDAY, BYSETPOS and INTERVAL together",
        )),
        _ => Ok(starts),
    }
}

impl Until {
    /// Whether a session with this start comes too late. Asks for its real start where the rule ends at an
    /// instant, so that a change of the clocks that day cannot tip it over.
    fn is_before(self, wall: DateTime, zone: &Zone) -> bool {
        match self {
            Until::Date(last) => last < wall.date(),
            Until::Local(last) => last < wall,
            Until::Instant(last) => last < zone.resolve(wall).moment.instant,
        }
    }
}

/// One day, week, month or year of the rule, both ends included.
#[derive(Clone, Copy)]
struct Period {
    first: Date,
    last: Date,
}

impl Period {
    /// The period `step` steps after the one that holds the start; none beyond the calendar.
    fn of(rule: &Rule, start: Date, step: i32) -> Option<Period> {
        let steps = step.checked_mul(rule.interval)?;
        match rule.frequency {
            Frequency::Daily => {
                let day = start.checked_add(steps.days()).ok()?;
                Some(Period { first: day, last: day })
            }
            Frequency::Weekly => {
                let monday = start.checked_sub(i32::from(start.weekday().since(rule.week_start)).days()).ok()?;
                let first = monday.checked_add((7 * steps).days()).ok()?;
                let last = first.checked_add(6.days()).ok()?;
                // As in python-dateutil the first week begins with the start, which BYSETPOS can see.
                Some(Period { first: first.max(start), last })
            }
            Frequency::Monthly => {
                let month = i32::from(start.year()) * 12 + i32::from(start.month()) - 1 + steps;
                let first = Date::new((month / 12).try_into().ok()?, (month % 12 + 1) as i8, 1).ok()?;
                Some(Period { first, last: first.last_of_month() })
            }
            Frequency::Yearly => {
                let first = Date::new((i32::from(start.year()) + steps).try_into().ok()?, 1, 1).ok()?;
                Some(Period { first, last: first.last_of_year() })
            }
        }
    }
}

/// A rule whose gaps are filled in from the start (RFC 5545: "the value is taken from DTSTART").
struct Pattern<'a> {
    rule: &'a Rule,
    month: Option<i8>,
    month_day: Option<i8>,
    weekday: Option<i8>,
}

impl Pattern<'_> {
    fn new(rule: &Rule, start: Date) -> Pattern<'_> {
        let open = rule.days.is_empty() && rule.month_days.is_empty();
        let (month, month_day, weekday) = match rule.frequency {
            Frequency::Yearly if open => (rule.months.is_empty().then(|| start.month()), Some(start.day()), None),
            Frequency::Monthly if open => (None, Some(start.day()), None),
            Frequency::Weekly if open => (None, None, Some(start.weekday().to_monday_zero_offset())),
            _ => (None, None, None),
        };
        Pattern { rule, month, month_day, weekday }
    }

    /// The matching days of a period, in order, after BYSETPOS.
    fn dates(&self, period: Period) -> Vec<Date> {
        let days = period.first.series(1.day()).take_while(|day| *day <= period.last);
        let mut dates: Vec<Date> = days.filter(|day| self.matches(*day)).collect();
        if !self.rule.positions.is_empty() {
            let count = dates.len() as i16;
            let mut position = 0;
            dates.retain(|_| {
                position += 1;
                [position, position - count - 1].iter().any(|wanted| self.rule.positions.binary_search(wanted).is_ok())
            });
        }
        dates
    }

    fn matches(&self, day: Date) -> bool {
        let Rule { months, month_days, days, .. } = self.rule;
        let from_end = day.day() - day.days_in_month() - 1;
        self.month.is_none_or(|month| month == day.month())
            && self.month_day.is_none_or(|month_day| month_day == day.day())
            && self.weekday.is_none_or(|weekday| weekday == day.weekday().to_monday_zero_offset())
            && (months.is_empty() || months.contains(&day.month()))
            && (month_days.is_empty() || month_days.contains(&day.day()) || month_days.contains(&from_end))
            && (days.is_empty() || days.iter().any(|wanted| self.matches_weekday(*wanted, day)))
    }

    fn matches_weekday(&self, wanted: ByDay, day: Date) -> bool {
        if wanted.weekday != day.weekday().to_monday_zero_offset() {
            return false;
        }
        let Some(ordinal) = wanted.ordinal else { return true };
        let within_month = self.rule.frequency == Frequency::Monthly || !self.rule.months.is_empty();
        let (number, length) = if within_month {
            (i16::from(day.day()), i16::from(day.days_in_month()))
        } else {
            (day.day_of_year(), day.days_in_year())
        };
        let nth = (number - 1) / 7 + 1;
        let nth_from_end = -((length - number) / 7 + 1);
        [nth, nth_from_end].contains(&i16::from(ordinal))
    }
}
