//! The `http` handler: any request with gaps filled from the event, through the one way out. What is asked is built in
//! `http/request.rs`, what follows an answer is decided in `http/judge.rs`, known services are in `http/presets.rs`.

mod judge;
pub(crate) mod presets;
mod request;
mod settings;
#[cfg(test)]
pub(crate) mod tests;

use std::time::Duration;

use async_trait::async_trait;
use egress::{Egress, Origin};
use receiver::{RunFailure, RunFailureKind};
use serde_json::Value;

use crate::{Handler, Job};

use request::{Secrets, build};

pub(crate) use judge::{Rules, judge};
pub use presets::{NoSuchPreset, Preset, WhatsAppMessage};
pub use settings::{
    HeaderText, HeaderTextError, HttpBody, HttpSettings, Success, UrlText, UrlTextError, header_name, header_value,
};

/// No call takes longer; the way out's own limit is shorter.
pub(crate) const TOTAL_MAX: Duration = Duration::from_secs(300);

/// The `http` handler.
pub struct Http {
    settings: HttpSettings,
    /// Kept for its idle connections.
    origin: Origin,
    egress: Egress,
}

impl Http {
    /// Ready to call.
    ///
    /// # Errors
    /// Says why the URL may not be called, and the mend.
    pub fn new(settings: HttpSettings, egress: &Egress) -> Result<Http, String> {
        let url = egress.policy().parse(settings.url.origin()).map_err(|error| forbidden(&error))?;
        let origin = egress.origin(&url).map_err(|failure| failure.to_string())?;
        Ok(Http { settings, origin, egress: egress.clone() })
    }

    async fn ask(&self, job: &Job, event: Value) -> Result<String, RunFailure> {
        let Some(asked) = build(&self.settings, job, event, Secrets::Shown).map_err(hopeless)? else {
            return Ok(presets::NO_PHONE.to_owned());
        };
        // A URL with gaps is read anew, as strictly as one that somebody types.
        let url = self.egress.policy().parse(&asked.url).map_err(|error| hopeless(forbidden(&error)))?;
        // The run worker bounds the time; the way out has its own limit.
        let exchange = self.origin.send(asked.into_call(url), TOTAL_MAX).await;
        judge(&exchange, &self.rules(), job.now)
    }

    fn show(&self, job: &Job, event: Value) -> Result<String, RunFailure> {
        match build(&self.settings, job, event, Secrets::Hidden).map_err(hopeless)? {
            Some(asked) => Ok(asked.to_string()),
            None => Ok(presets::NO_PHONE.to_owned()),
        }
    }

    fn rules(&self) -> Rules<'_> {
        let settings = &self.settings;
        Rules {
            target: self.origin.url().authority(),
            success: &settings.success,
            preset: settings.preset,
            is_always_the_same_url: settings.url.is_constant(),
            keeps_answers: settings.keep_answer,
        }
    }
}

#[async_trait]
impl Handler for Http {
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        self.ask(job, job.to_json()).await
    }

    async fn foresee(&self, job: &Job) -> Result<String, RunFailure> {
        self.show(job, job.to_json())
    }
}

fn hopeless(reason: String) -> RunFailure {
    RunFailure { kind: RunFailureKind::Hopeless, reason }
}

/// Why a URL may not be called; the operator of an inbox is also the one who may open a network.
pub(crate) fn forbidden(error: &provider::target::TargetError) -> String {
    use provider::target::TargetError;
    match error {
        TargetError::Address { .. } | TargetError::PrivateName | TargetError::Port(_) => {
            format!("the URL may not be called: {error}; or open its network in the server's settings by allow-target")
        }
        _ => format!("the URL may not be called: {error}"),
    }
}
