//! How an endpoint is served, as the API writes it.

use provider::concurrency::CONCURRENCY_MAX;
use provider::pace::{BURST_MAX, RATE_PER_MINUTE_MAX, Rate, RateError};
use provider::settings::{EndpointSettings, OlderVersions};
use serde::{Deserialize, Deserializer, Serialize};

use webinar::FieldError;

use crate::problem::Problem;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SettingsView {
    rate: Option<RateView>,
    concurrency_max: u32,
    older_versions: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RateView {
    per_second: f64,
    burst: u32,
}

/// What is to be changed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SettingsBody {
    /// Null takes the limit away, absence keeps it.
    #[serde(default, deserialize_with = "even_null")]
    rate: Option<Option<RateBody>>,
    concurrency_max: Option<u32>,
    older_versions: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RateBody {
    per_second: f64,
    burst: Option<u32>,
}

const SECONDS_IN_A_MINUTE: f64 = 60.0;

impl SettingsView {
    pub(super) fn of(settings: EndpointSettings) -> SettingsView {
        SettingsView {
            rate: settings.rate.map(|rate| RateView {
                per_second: f64::from(rate.per_minute()) / SECONDS_IN_A_MINUTE,
                burst: rate.burst(),
            }),
            concurrency_max: settings.concurrency_max,
            older_versions: match settings.older_versions {
                OlderVersions::Deliver => "deliver",
                OlderVersions::Supersede => "supersede",
            },
        }
    }
}

impl SettingsBody {
    /// The settings with what was named changed; all mistakes at once.
    pub(super) fn amend(self, mut settings: EndpointSettings) -> Result<EndpointSettings, Problem> {
        let mut errors = Vec::new();
        match self.rate.map(|rate| rate.map(RateBody::read).transpose()) {
            Some(Ok(rate)) => settings.rate = rate,
            Some(Err(error)) => errors.push(error),
            None => {}
        }
        match self.concurrency_max {
            Some(max) if (1..=CONCURRENCY_MAX).contains(&max) => settings.concurrency_max = max,
            Some(_) => errors.push(wrong("/concurrencyMax", format!("give 1 to {CONCURRENCY_MAX}"))),
            None => {}
        }
        match self.older_versions.as_deref() {
            Some("deliver") => settings.older_versions = OlderVersions::Deliver,
            Some("supersede") => settings.older_versions = OlderVersions::Supersede,
            Some(_) => errors.push(wrong("/olderVersions", "give \"deliver\" or \"supersede\"")),
            None => {}
        }
        if errors.is_empty() { Ok(settings) } else { Err(Problem::invalid_fields(errors)) }
    }
}

impl RateBody {
    fn read(self) -> Result<Rate, FieldError> {
        // A number that is none, or out of range, becomes one that is no rate.
        let per_minute = (self.per_second * SECONDS_IN_A_MINUTE).round() as u32;
        let burst = self.burst.unwrap_or((self.per_second.ceil() as u32).clamp(1, BURST_MAX));
        Rate::new(per_minute, burst).map_err(|error| match error {
            RateError::PerMinute => {
                let most = RATE_PER_MINUTE_MAX / 60;
                wrong("/rate/perSecond", format!("give a number from 0.017 (one a minute) to {most}"))
            }
            RateError::Burst => wrong("/rate/burst", format!("give 1 to {BURST_MAX}")),
        })
    }
}

fn wrong(pointer: &str, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail: detail.into() }
}

fn even_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
