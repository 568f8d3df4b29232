//! A replay as the API shows it.

use provider::pace::Rate;
use serde::Serialize;
use store::{DeliverySummary, Replay, ReplayScope, ReplayWay};

use crate::deliveries::DeliveryView;
use crate::reply::instant;

/// What a replay would do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DryRunView {
    dry_run: bool,
    /// Deliveries that would be sent again.
    deliveries: u64,
    /// `revive`: they go on as they are, with another schedule. `resend`: by fan-outs of the replay's own.
    way: &'static str,
    /// The version that the endpoint was told of since; to replay this one all the same takes `evenIfOutdated`.
    newer_version: Option<u32>,
    /// One of them, as it stands; null where it has not been tried.
    example: Option<DeliveryView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReplayView {
    id: String,
    #[serde(flatten)]
    scope: ScopeView,
    way: &'static str,
    /// `running`, `paused`, `cancelled`, or `done` once all have had their turn.
    state: &'static str,
    per_minute: Option<u32>,
    /// Deliveries counted before it began.
    counted: u64,
    /// Put into the queue again so far, or tried.
    begun: u64,
    delivered: u64,
    /// Waiting for an attempt.
    waiting: u64,
    /// Given up once more.
    abandoned: u64,
    /// Superseded or skipped since.
    called_off: u64,
    created_at: String,
}

#[derive(Serialize)]
struct ScopeView {
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl DryRunView {
    pub(super) fn of(deliveries: u64, way: ReplayWay, newer: Option<u32>, example: Option<&DeliverySummary>) -> Self {
        let example = example.map(DeliveryView::of);
        DryRunView { dry_run: true, deliveries, way: name(way), newer_version: newer, example }
    }
}

impl ReplayView {
    pub(super) fn of(replay: &Replay) -> ReplayView {
        ReplayView {
            id: replay.id.to_string(),
            scope: ScopeView::of(replay.scope),
            way: name(replay.way),
            state: replay.state.name(),
            per_minute: replay.rate.map(Rate::per_minute),
            counted: replay.counted,
            begun: replay.begun,
            delivered: replay.delivered,
            waiting: replay.waiting,
            abandoned: replay.abandoned,
            called_off: replay.called_off,
            created_at: instant(replay.created_at),
        }
    }
}

impl ScopeView {
    fn of(scope: ReplayScope) -> ScopeView {
        let blank = ScopeView { scope: "failed", delivery: None, event: None, endpoint: None, since: None };
        match scope {
            ReplayScope::Delivery(id) => ScopeView { scope: "delivery", delivery: Some(id.to_string()), ..blank },
            ReplayScope::Failed { event, endpoint, since } => ScopeView {
                event: event.map(|id| id.to_string()),
                endpoint: endpoint.map(|id| id.to_string()),
                since: since.map(instant),
                ..blank
            },
            ReplayScope::Event { event, endpoint } => ScopeView {
                scope: "all",
                event: Some(event.to_string()),
                endpoint: endpoint.map(|id| id.to_string()),
                ..blank
            },
        }
    }
}

fn name(way: ReplayWay) -> &'static str {
    match way {
        ReplayWay::Revive => "revive",
        ReplayWay::Resend => "resend",
    }
}
