//! Series and saves as the API shows them.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Serialize;
use store::{Saved, SeriesRecord};
use webinar::{RuleChange, Series, SeriesDraft, Session, SessionStatus, Trigger};
use wire::EventId;

use crate::reply::instant;

/// A series: the draft as it was given, and what became of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeriesView {
    id: String,
    version: u32,
    #[serde(flatten)]
    draft: SeriesDraft,
    cancelled_at: Option<String>,
    created_at: String,
    saved_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<Vec<SessionView>>,
    /// How newer rules of its zone move sessions that were announced; null where they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_rule_change: Option<Option<RuleChange>>,
}

/// One session. `start` and `originalStart` are wall-clock times in the series' zone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionView {
    webinar_id: String,
    start: String,
    original_start: String,
    utc: String,
    offset: String,
    /// The clocks skip `start` that day, so it begins later by their step.
    shifted: bool,
    status: &'static str,
}

/// What a save came to.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavedView {
    id: String,
    version: u32,
    /// Null where nothing changed, so that nobody is told.
    event: Option<EventBrief>,
    fan_outs: Vec<FanOutBrief>,
    sessions: Vec<SessionView>,
}

#[derive(Serialize)]
struct EventBrief {
    id: String,
    trigger: &'static str,
}

#[derive(Serialize)]
struct FanOutBrief {
    id: String,
    endpoint: String,
}

impl SeriesView {
    pub(super) fn of(record: SeriesRecord) -> SeriesView {
        SeriesView {
            id: record.id.to_string(),
            version: record.version,
            draft: record.draft,
            cancelled_at: record.cancelled_at.map(instant),
            created_at: instant(record.created_at),
            saved_at: instant(record.saved_at),
            sessions: None,
            pending_rule_change: None,
        }
    }

    pub(super) fn with_sessions(self, series: &Series, pending: Option<RuleChange>) -> SeriesView {
        SeriesView { sessions: Some(sessions(series)), pending_rule_change: Some(pending), ..self }
    }
}

impl SavedView {
    pub(super) fn of(series: &Series, event: EventId, trigger: Trigger, saved: &Saved) -> SavedView {
        let brief = |(id, endpoint): &(wire::FanOutId, wire::EndpointId)| FanOutBrief {
            id: id.to_string(),
            endpoint: endpoint.to_string(),
        };
        SavedView {
            id: series.id().to_string(),
            version: saved.version,
            event: Some(EventBrief { id: event.to_string(), trigger: trigger.as_str() }),
            fan_outs: saved.fan_outs.iter().map(brief).collect(),
            sessions: sessions(series),
        }
    }

    pub(super) fn unchanged(version: u32, series: &Series) -> SavedView {
        let id = series.id().to_string();
        SavedView { id, version, event: None, fan_outs: Vec::new(), sessions: sessions(series) }
    }

    pub(super) fn version(&self) -> u32 {
        self.version
    }
}

pub(super) fn sessions(series: &Series) -> Vec<SessionView> {
    series.sessions().iter().map(SessionView::of).collect()
}

impl SessionView {
    fn of(session: &Session) -> SessionView {
        SessionView {
            webinar_id: session.id.to_string(),
            start: wall_time(session.start),
            original_start: wall_time(session.original_start),
            utc: instant(session.begin.instant),
            offset: offset_text(session.begin.offset),
            shifted: session.shifted,
            status: match session.status {
                SessionStatus::Scheduled => "scheduled",
                SessionStatus::Cancelled => "cancelled",
            },
        }
    }
}

/// As drafts are written: seconds only where there are any.
pub(super) fn wall_time(at: DateTime) -> String {
    let format = if at.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    at.strftime(format).to_string()
}

fn offset_text(offset: Offset) -> String {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}
