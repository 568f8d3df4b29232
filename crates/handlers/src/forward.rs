//! The `forward` handler: the bytes as they came, to another URL, signed anew by Standard Webhooks. The next receiver can
//! tell repetitions by the same id, however often this one tries.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use bytes::Bytes;
use egress::{Call, Egress, Method, Origin};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use receiver::{RunFailure, RunFailureKind};
use wire::headers;
use wire::{Secret, Signer, WebhookId};

use crate::http::{Preset, Rules, Success, TOTAL_MAX, UrlText, forbidden, judge};
use crate::{Handler, Job};

/// How often one message may be forwarded from inbox to inbox. Two is usual behind a relay; more is a circle.
const HOPS_MAX: u32 = 5;

/// What the `forward` handler does.
pub struct ForwardSettings {
    /// Where to; without gaps.
    pub url: UrlText,
    /// What it is signed with, the newest first; empty for no signature.
    pub secrets: Vec<Secret>,
    /// Besides those that were kept.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the beginning of a refusal is kept in the reason. It may name the person.
    pub keep_answer: bool,
}

/// The `forward` handler.
pub struct Forward {
    settings: ForwardSettings,
    origin: Origin,
    signer: Option<Signer>,
}

impl Forward {
    /// Ready to forward.
    ///
    /// # Errors
    /// Says why the URL may not be called or what is wrong with the secrets, and the mend.
    pub fn new(settings: ForwardSettings, egress: &Egress) -> Result<Forward, String> {
        let url = egress.policy().parse(settings.url.origin()).map_err(|error| forbidden(&error))?;
        let origin = egress.origin(&url).map_err(|failure| failure.to_string())?;
        let signer = match settings.secrets.as_slice() {
            [] => None,
            secrets => Some(Signer::new(secrets.iter().cloned()).map_err(|error| error.to_string())?),
        };
        Ok(Forward { settings, origin, signer })
    }

    fn headers(&self, job: &Job) -> Result<HeaderMap, RunFailure> {
        let message = &job.message;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static("fanfare"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in message.headers.iter().filter(|(name, _)| is_forwarded(name)) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        headers.extend(self.settings.headers.iter().cloned());
        let id = webhook_id(job);
        for (name, value) in [
            (headers::WEBHOOK_ID, id.as_str()),
            (headers::FANFARE_ATTEMPT, &job.attempt.to_string()),
            (headers::FANFARE_FORWARDED_SOURCE, &message.source_name),
            (headers::FANFARE_HOPS, &self.next_hop(job)?.to_string()),
        ] {
            let value = HeaderValue::from_str(value).map_err(|_| hopeless(format!("{name} cannot be a header")))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Some(signer) = &self.signer {
            let timestamp = job.now.as_second();
            let id = WebhookId::new(&id).map_err(|error| hopeless(error.to_string()))?;
            let signature = signer.sign(id, timestamp, &message.body);
            let signature = HeaderValue::from_str(&signature).map_err(|error| hopeless(error.to_string()))?;
            headers.insert(HeaderName::from_static(headers::WEBHOOK_TIMESTAMP), HeaderValue::from(timestamp));
            headers.insert(HeaderName::from_static(headers::WEBHOOK_SIGNATURE), signature);
        }
        Ok(headers)
    }

    /// A message in a circle would go round for ever, since each inbox gives it no new id.
    fn next_hop(&self, job: &Job) -> Result<u32, RunFailure> {
        let behind = job.message.headers.get(headers::FANFARE_HOPS).map_or(0, |text| text.parse().unwrap_or(HOPS_MAX));
        if behind >= HOPS_MAX {
            return Err(hopeless(format!(
                "it has been forwarded {behind} times already; see whether inboxes forward to each other in a circle"
            )));
        }
        Ok(behind + 1)
    }

    fn signed(&self) -> &'static str {
        if self.signer.is_some() { "signed" } else { "unsigned, since secret is not set" }
    }
}

#[async_trait]
impl Handler for Forward {
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        let headers = self.headers(job)?;
        let body = Bytes::clone(&job.message.body);
        let exchange = self.origin.send(Call { method: Method::Post, url: None, headers, body }, TOTAL_MAX).await;
        let rules = Rules {
            target: self.origin.url().authority(),
            success: &Success::default(),
            preset: Preset::Generic,
            is_always_the_same_url: true,
            keeps_answers: self.settings.keep_answer,
        };
        judge(&exchange, &rules, job.now).map(|note| format!("{note}, {}", self.signed()))
    }

    async fn foresee(&self, job: &Job) -> Result<String, RunFailure> {
        let mut shown = format!("POST {} ({})\n", self.origin.url().authority(), self.signed());
        for (name, value) in &self.headers(job)? {
            let is_hidden = value.is_sensitive() || name.as_str() == headers::WEBHOOK_SIGNATURE;
            let value = if is_hidden { "(secret)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
            shown.push_str(&format!("{name}: {value}\n"));
        }
        shown.push('\n');
        shown.push_str(&String::from_utf8_lossy(&job.message.body));
        Ok(shown)
    }
}

/// The same for every attempt and every rerun: the sender's, or one made of our own and the time of arrival, for our ids
/// begin anew in each database.
fn webhook_id(job: &Job) -> String {
    let message = &job.message;
    match message.message_id.as_deref().and_then(|id| WebhookId::new(id).ok()) {
        Some(id) => id.as_str().to_owned(),
        None => format!("{}-{:x}", message.id, message.received_at.as_millisecond()),
    }
}

/// Not what speaks of the connection it came by, nor what proved the last sender.
fn is_forwarded(name: &str) -> bool {
    let proof = ["webhook-", "svix-", "x-hub-", "x-forwarded-", "proxy-", "sec-"];
    let is_of_proof = proof.iter().any(|beginning| name.starts_with(beginning))
        || name.contains("signature")
        || name.contains("hmac")
        || name.contains("token")
        || name.contains("key");
    let is_of_connection = crate::http::header_name(name).is_err();
    !is_of_proof && !is_of_connection && !matches!(name, "authorization" | "cookie" | "date")
}

fn hopeless(reason: String) -> RunFailure {
    RunFailure { kind: RunFailureKind::Hopeless, reason }
}
