//! What single sessions differ in: reads exceptions and overrides, checks that each meets a session, and
//! makes the sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::DateTime;

use crate::draft::{OverrideDraft, SeriesDraft};
use crate::fields::{self, written};
use crate::identity::{SeriesId, SessionId};
use crate::mistake::{Mistake, Mistakes};
use crate::session::{Session, SessionStatus};
use crate::zones::Zone;

/// What a session has unless an override says otherwise.
pub(super) struct Defaults<'a> {
    pub(super) series: SeriesId,
    pub(super) zone: &'a Zone,
    pub(super) title: Arc<str>,
    pub(super) link: Arc<str>,
    pub(super) duration_minutes: u16,
}

/// Exceptions and overrides by the original start they name, each with its place in the draft.
#[derive(Default)]
pub(super) struct Amendments {
    excepted: BTreeMap<DateTime, String>,
    overrides: BTreeMap<DateTime, (String, Override)>,
}

/// One override that was understood.
#[derive(Default)]
struct Override {
    start: Option<DateTime>,
    duration_minutes: Option<u16>,
    title: Option<Arc<str>>,
    link: Option<Arc<str>>,
    cancelled: bool,
}

impl Amendments {
    pub(super) fn parse(draft: &SeriesDraft, mistakes: &mut Mistakes) -> Amendments {
        let mut amendments = Amendments::default();
        for (index, text) in draft.except.iter().enumerate() {
            let pointer = format!("/except/{index}");
            let Some(original) = mistakes.keep(&pointer, fields::wall_time(text)) else { continue };
            if let Some(first) = amendments.excepted.get(&original) {
                let mistake = format!("{} is already excepted at {first}; keep one", written(original));
                mistakes.note(&pointer, Mistake::new(mistake));
            } else {
                amendments.excepted.insert(original, pointer);
            }
        }
        for (index, draft) in draft.overrides.iter().enumerate() {
            let pointer = format!("/overrides/{index}/session");
            let amendment = Override::parse(draft, index, mistakes);
            let Some(original) = mistakes.keep(&pointer, fields::wall_time(&draft.session)) else { continue };
            if let Some((first, _)) = amendments.overrides.get(&original) {
                let mistake = format!("{} is already overridden at {first}; join the two", written(original));
                mistakes.note(&pointer, Mistake::new(mistake));
            } else {
                amendments.overrides.insert(original, (pointer, amendment));
            }
        }
        amendments
    }

    /// Notes every amendment that meets no session, for then one day would not be as its author believes.
    pub(super) fn check_against(&self, starts: &[DateTime], mistakes: &mut Mistakes) {
        for (original, pointer) in &self.excepted {
            mistakes.keep(pointer, meets(*original, starts));
        }
        for (original, (pointer, _)) in &self.overrides {
            mistakes.keep(pointer, meets(*original, starts));
            if let Some(exception) = self.excepted.get(original) {
                let mistake = format!("{} is excepted at {exception}; remove one of the two", written(*original));
                mistakes.note(pointer, Mistake::new(mistake));
            }
        }
        if starts.iter().all(|start| self.excepted.contains_key(start)) {
            let mistake = Mistake::new("leaves no session; keep one, or cancel sessions through \"overrides\"");
            mistakes.note("/except", mistake);
        }
    }

    pub(super) fn sessions(&self, starts: &[DateTime], defaults: &Defaults<'_>) -> Vec<Session> {
        let unchanged = Override::default();
        let kept = starts.iter().filter(|start| !self.excepted.contains_key(start));
        kept.map(|original| {
            let amendment = self.overrides.get(original).map_or(&unchanged, |(_, amendment)| amendment);
            amendment.session(*original, defaults)
        })
        .collect()
    }
}

impl Override {
    fn parse(draft: &OverrideDraft, index: usize, mistakes: &mut Mistakes) -> Override {
        let at = |field: &str| format!("/overrides/{index}/{field}");
        let start = draft.start.as_deref().map(fields::wall_time);
        let duration_minutes = draft.duration_minutes.map(fields::duration);
        let title = draft.title.as_deref().map(fields::title);
        let link = draft.link.as_deref().map(fields::link);
        Override {
            start: start.and_then(|start| mistakes.keep(&at("start"), start)),
            duration_minutes: duration_minutes.and_then(|minutes| mistakes.keep(&at("durationMinutes"), minutes)),
            title: title.and_then(|title| mistakes.keep(&at("title"), title)),
            link: link.and_then(|link| mistakes.keep(&at("link"), link)),
            cancelled: draft.cancelled,
        }
    }

    fn session(&self, original_start: DateTime, defaults: &Defaults<'_>) -> Session {
        let start = self.start.unwrap_or(original_start);
        let duration_minutes = self.duration_minutes.unwrap_or(defaults.duration_minutes);
        let begin = defaults.zone.resolve(start);
        Session {
            id: SessionId::of(defaults.series, original_start),
            original_start,
            start,
            duration_minutes,
            title: self.title.as_ref().unwrap_or(&defaults.title).clone(),
            link: self.link.as_ref().unwrap_or(&defaults.link).clone(),
            status: if self.cancelled { SessionStatus::Cancelled } else { SessionStatus::Scheduled },
            begin: begin.moment,
            end: begin.moment.plus_minutes(duration_minutes, defaults.zone),
            shifted: begin.shifted,
        }
    }
}

/// Whether there is a session with this original start; if not, the nearest is named.
fn meets(original: DateTime, starts: &[DateTime]) -> Result<(), Mistake> {
    let Err(place) = starts.binary_search(&original) else { return Ok(()) };
    let neighbours = starts.iter().skip(place.saturating_sub(1)).take(2);
    let nearest = neighbours.min_by_key(|start| start.duration_since(original).abs());
    let mend = nearest.map(|start| format!("; the nearest starts at {}", written(*start))).unwrap_or_default();
    Err(Mistake::new(format!("no session of the series starts at {}{mend}", written(original))))
}
