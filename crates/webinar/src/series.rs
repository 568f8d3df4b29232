//! A series that was understood: the draft, its zone, and every session. `parse` is the only way to one,
//! and it reports all mistakes of a draft at once.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;

use crate::draft::{LateJoiners, SeriesDraft};
use crate::fields;
use crate::identity::{MangoId, SeriesId};
use crate::mistake::{Invalid, Mistake, Mistakes};
use crate::recurrence::Rule;
use crate::rules::AnnouncedSession;
use crate::session::Session;
use crate::zones::{Zone, Zones};
use plan::{Amendments, Defaults};

/// Most mangoes of one series, invited and excluded each: the list is walked for every page of an audience.
pub const MANGOES_MAX: usize = 100;

/// One version of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    id: SeriesId,
    draft: SeriesDraft,
    zone: Zone,
    sessions: Vec<Session>,
    mangoes: Vec<MangoId>,
    excluded_mangoes: Vec<MangoId>,
}

impl Series {
    /// Reads a draft. The error holds every mistake that can be seen without mending another first.
    pub fn parse(id: SeriesId, draft: SeriesDraft, zones: &Zones) -> Result<Series, Invalid> {
        let mut mistakes = Mistakes::default();
        let title = mistakes.keep("/title", fields::title(&draft.title));
        let link = mistakes.keep("/link", fields::link(&draft.link));
        let zone = mistakes.keep("/timezone", zones.zone(&draft.timezone));
        let start = mistakes.keep("/start", fields::wall_time(&draft.start));
        let duration = mistakes.keep("/durationMinutes", fields::duration(draft.duration_minutes));
        let rule = draft.recurrence.as_deref().map(Rule::parse).transpose();
        let rule = mistakes.keep("/recurrence", rule);
        let amendments = Amendments::parse(&draft, &mut mistakes);
        let (mangoes, excluded_mangoes) = parse_mangoes(&draft, &mut mistakes);

        let starts = match (&zone, start, rule) {
            (Some(zone), Some(start), Some(rule)) => original_starts(rule, start, zone, &mut mistakes),
            _ => None,
        };
        if let Some(starts) = &starts {
            amendments.check_against(starts, &mut mistakes);
        }
        let whole = starts.zip(zone).zip(title.zip(link)).zip(duration);
        let (((starts, zone), (title, link)), duration_minutes) = mistakes.finish(whole)?;

        let defaults = Defaults { series: id, zone: &zone, title, link, duration_minutes };
        let sessions = amendments.sessions(&starts, &defaults);
        Ok(Series { id, draft, zone, sessions, mangoes, excluded_mangoes })
    }

    /// The series this is a version of.
    pub fn id(&self) -> SeriesId {
        self.id
    }

    /// What participants see, where a session has no title of its own.
    pub fn title(&self) -> &str {
        &self.draft.title
    }

    /// Where it takes place, where a session has no link of its own.
    pub fn link(&self) -> &str {
        &self.draft.link
    }

    /// The creator's zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What it was read from.
    pub fn draft(&self) -> &SeriesDraft {
        &self.draft
    }

    /// Every session in order of its original start; excepted ones are not among them, cancelled ones are.
    pub fn sessions(&self) -> &[Session] {
        &self.sessions
    }

    /// The mangoes whose members are invited.
    pub fn mangoes(&self) -> &[MangoId] {
        &self.mangoes
    }

    /// The mangoes whose members are not invited on their account.
    pub fn excluded_mangoes(&self) -> &[MangoId] {
        &self.excluded_mangoes
    }

    /// The series with its sessions when they were announced to be; those that were not announced stay.
    pub fn as_announced(&self, announced: &[AnnouncedSession]) -> Series {
        let begins: BTreeMap<_, _> = announced.iter().map(|session| (session.id, session.begin)).collect();
        let mut told = self.clone();
        for session in &mut told.sessions {
            if let Some(begin) = begins.get(&session.id).filter(|begin| **begin != session.begin) {
                session.begin = *begin;
                session.end = begin.plus_minutes(session.duration_minutes, &self.zone);
            }
        }
        told
    }

    /// What happens to people who join after the announcement.
    pub fn late_joiners(&self) -> LateJoiners {
        self.draft.late_joiners
    }
}

/// The sessions before any exception. The rule must give the start itself: a first session that silently
/// moves to the next matching day is one nobody comes to.
fn original_starts(rule: Option<Rule>, start: DateTime, zone: &Zone, mistakes: &mut Mistakes) -> Option<Vec<DateTime>> {
    let Some(rule) = rule else { return Some(vec![start]) };
    let starts = mistakes.keep("/recurrence", rule.starts(start, zone))?;
    let first = *starts.first()?;
    if first == start {
        return Some(starts);
    }
    let mistake = format!(
        "the first session {} is a {:?} and not a day of the rule; set \"start\" to {:?}, a {:?}, or change the rule",
        start.date(),
        start.weekday(),
        fields::written(first),
        first.weekday()
    );
    mistakes.note("/start", Mistake::new(mistake));
    None
}

/// Reads both lists; a mango that stands twice in them is a slip, and whether it is invited would be a guess.
fn parse_mangoes(draft: &SeriesDraft, mistakes: &mut Mistakes) -> (Vec<MangoId>, Vec<MangoId>) {
    let mut seen = BTreeSet::new();
    let mut read = |list: &[String], pointer: &str| {
        if list.len() > MANGOES_MAX {
            let mistake = format!("holds {} mangoes; give at most {MANGOES_MAX}", list.len());
            mistakes.note(pointer, Mistake::new(mistake));
            return Vec::new();
        }
        let parse = |(index, text): (usize, &String)| {
            let pointer = format!("{pointer}/{index}");
            let mango = mistakes.keep(&pointer, text.parse::<MangoId>())?;
            if seen.insert(mango) {
                return Some(mango);
            }
            mistakes.note(&pointer, Mistake::new(format!("mango {mango} is listed twice; keep one")));
            None
        };
        list.iter().enumerate().filter_map(parse).collect()
    };
    (read(&draft.mangoes, "/mangoes"), read(&draft.exclude_mangoes, "/excludeMangoes"))
}
