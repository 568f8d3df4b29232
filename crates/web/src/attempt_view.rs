//! One attempt as the API shows it: what came back, why it failed, and where the time went. Coarse on purpose: no
//! address that a name led to, and nothing of the answer's body.

use std::time::Duration;

use provider::attempt::{Outcome, Phases};
use serde::Serialize;
use store::AttemptRecord;

use crate::reply::instant;

/// A finished attempt of a delivery.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttemptView {
    number: u16,
    /// What came back, in words.
    outcome: String,
    #[serde(flatten)]
    answer: AnswerView,
    /// Why it failed, where that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    finished_at: String,
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phases: Option<PhasesView>,
}

/// An outcome for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AnswerView {
    /// The status answered; null where there was no answer.
    status_code: Option<u16>,
    /// Why there was no answer, as a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// Milliseconds; null for a phase that did not happen or did not end.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PhasesView {
    dns_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    total_ms: f64,
    /// Whether the connection was open already.
    reused: bool,
}

impl AttemptView {
    pub(crate) fn of(attempt: &AttemptRecord) -> AttemptView {
        let failure = attempt.failure.as_ref();
        AttemptView {
            number: attempt.number,
            outcome: attempt.outcome.to_string(),
            answer: AnswerView::of(attempt.outcome),
            reason: failure.map(|failure| failure.reason.to_string()),
            finished_at: instant(attempt.finished_at),
            latency_ms: attempt.latency_tenth_ms.map(|tenths| f64::from(tenths) / 10.0),
            phases: failure.map(|failure| PhasesView::of(&failure.phases)),
        }
    }
}

impl AnswerView {
    pub(crate) fn of(outcome: Outcome) -> AnswerView {
        match outcome {
            Outcome::Answered(status) => AnswerView { status_code: Some(status), error: None },
            Outcome::Failed(failure) => AnswerView { status_code: None, error: Some(failure.code()) },
        }
    }
}

impl PhasesView {
    pub(crate) fn of(phases: &Phases) -> PhasesView {
        PhasesView {
            dns_ms: phases.dns.map(ms),
            connect_ms: phases.connect.map(ms),
            tls_ms: phases.tls.map(ms),
            first_byte_ms: phases.first_byte.map(ms),
            total_ms: ms(phases.total),
            reused: phases.reused,
        }
    }
}

/// To a hundredth, which is finer than anything a network does twice alike.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}
