//! What the next version of a series changes for those who know the last one, session by session.
//! Only what takes place counts: a session that is cancelled, excepted or no longer in the rule is gone.

use std::collections::BTreeMap;

use jiff::civil::DateTime;

use crate::identity::SessionId;
use crate::series::Series;
use crate::session::Session;

/// What happened to one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new, or takes place after all.
    Added(Session),
    /// It begins at another instant; title, link or length may differ too.
    Moved {
        /// As it was.
        from: Session,
        /// As it is.
        to: Session,
    },
    /// It begins when it did; title, link, length or the creator's offset differ.
    Changed {
        /// As it was.
        from: Session,
        /// As it is.
        to: Session,
    },
    /// It does not take place any more; as it was.
    Cancelled(Session),
    /// Nothing anybody would notice.
    Unchanged(Session),
}

impl Change {
    fn between(old: Option<&Session>, new: Option<&Session>) -> Option<Change> {
        match (old.filter(|session| session.is_scheduled()), new.filter(|session| session.is_scheduled())) {
            (None, None) => None,
            (None, Some(new)) => Some(Change::Added(new.clone())),
            (Some(old), None) => Some(Change::Cancelled(old.clone())),
            (Some(from), Some(to)) => Some(Change::of(from, to)),
        }
    }

    fn of(from: &Session, to: &Session) -> Change {
        let seen = |session: &Session| (session.begin, session.end, session.title.clone(), session.link.clone());
        if from.begin.instant != to.begin.instant {
            Change::Moved { from: from.clone(), to: to.clone() }
        } else if seen(from) != seen(to) {
            Change::Changed { from: from.clone(), to: to.clone() }
        } else {
            Change::Unchanged(to.clone())
        }
    }
}

/// Every session that takes place in either version, with what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesDiff {
    /// In order of original start.
    pub changes: Vec<Change>,
}

/// How many sessions met with which change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiffCounts {
    /// New ones.
    pub added: usize,
    /// Those at another instant.
    pub moved: usize,
    /// Those at the same instant with other details.
    pub changed: usize,
    /// Those that do not take place any more.
    pub cancelled: usize,
    /// The rest.
    pub unchanged: usize,
}

impl SeriesDiff {
    /// How many sessions met with which change.
    pub fn counts(&self) -> DiffCounts {
        let mut counts = DiffCounts::default();
        for change in &self.changes {
            *match change {
                Change::Added(_) => &mut counts.added,
                Change::Moved { .. } => &mut counts.moved,
                Change::Changed { .. } => &mut counts.changed,
                Change::Cancelled(_) => &mut counts.cancelled,
                Change::Unchanged(_) => &mut counts.unchanged,
            } += 1;
        }
        counts
    }
}

/// Compares two versions of a series.
pub fn diff(old: &Series, new: &Series) -> SeriesDiff {
    type Versions<'a> = (Option<&'a Session>, Option<&'a Session>);
    let mut sessions: BTreeMap<(DateTime, SessionId), Versions<'_>> = BTreeMap::new();
    for session in old.sessions() {
        sessions.entry((session.original_start, session.id)).or_default().0 = Some(session);
    }
    for session in new.sessions() {
        sessions.entry((session.original_start, session.id)).or_default().1 = Some(session);
    }
    let changes = sessions.into_values().filter_map(|(old, new)| Change::between(old, new));
    SeriesDiff { changes: changes.collect() }
}

#[cfg(test)]
mod tests;
