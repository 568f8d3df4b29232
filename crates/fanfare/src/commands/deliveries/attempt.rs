//! One attempt of a delivery, in the shape of the API and as cells.

use std::time::Duration;

use provider::attempt::{Outcome, Phases};
use serde::Serialize;
use store::AttemptRecord;

use crate::output::{Row, instant};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    number: u16,
    outcome: String,
    status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    finished_at: String,
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phases: Option<PhasesMs>,
}

/// Milliseconds; none for a phase that did not happen or did not end.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhasesMs {
    dns_ms: Option<f64>,
    connect_ms: Option<f64>,
    tls_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    total_ms: f64,
    reused: bool,
}

impl Attempt {
    pub(super) fn in_words(&self) -> String {
        self.reason.as_ref().unwrap_or(&self.outcome).clone()
    }

    pub(super) fn latency(&self) -> String {
        shown(self.latency_ms)
    }

    pub(super) fn ended(&self) -> String {
        self.finished_at.clone()
    }
}

impl From<AttemptRecord> for Attempt {
    fn from(attempt: AttemptRecord) -> Attempt {
        let (status_code, error) = match attempt.outcome {
            Outcome::Answered(status) => (Some(status), None),
            Outcome::Failed(failure) => (None, Some(failure.code())),
        };
        Attempt {
            number: attempt.number,
            outcome: attempt.outcome.to_string(),
            status_code,
            error,
            reason: attempt.failure.as_ref().map(|failure| failure.reason.to_string()),
            finished_at: instant(attempt.finished_at),
            latency_ms: attempt.latency_tenth_ms.map(|tenths| f64::from(tenths) / 10.0),
            phases: attempt.failure.map(|failure| PhasesMs::from(failure.phases)),
        }
    }
}

impl From<Phases> for PhasesMs {
    fn from(phases: Phases) -> PhasesMs {
        PhasesMs {
            dns_ms: phases.dns.map(ms),
            connect_ms: phases.connect.map(ms),
            tls_ms: phases.tls.map(ms),
            first_byte_ms: phases.first_byte.map(ms),
            total_ms: ms(phases.total),
            reused: phases.reused,
        }
    }
}

impl Row for Attempt {
    const COLUMNS: &'static [&'static str] =
        &["attempt", "ended", "ms", "dns", "connect", "tls", "first byte", "what came of it"];

    fn cells(&self) -> Vec<String> {
        let phase = |of: fn(&PhasesMs) -> Option<f64>| shown(self.phases.as_ref().and_then(of));
        vec![
            self.number.to_string(),
            self.ended(),
            self.latency(),
            phase(|phases| phases.dns_ms),
            phase(|phases| phases.connect_ms),
            phase(|phases| phases.tls_ms),
            phase(|phases| phases.first_byte_ms),
            self.in_words(),
        ]
    }
}

/// To a hundredth, which is finer than anything a network does twice alike.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

fn shown(ms: Option<f64>) -> String {
    ms.map_or_else(String::new, |ms| format!("{ms:.1}"))
}
