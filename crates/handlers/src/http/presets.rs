//! Known services: what they take, what they bear, and how they say no.

use std::str::FromStr;
use std::time::Duration;

use receiver::{HandlerRate, RunFailureKind};
use serde_json::{Value, json};

use crate::{Template, TemplateError};

/// What is noted for a person without a phone number: nobody is to be called, which is no failure.
pub(super) const NO_PHONE: &str = "no phone number";

/// A service whose ways are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preset {
    /// Nothing is known.
    #[default]
    Generic,
    /// Slack's incoming webhooks.
    Slack,
    /// Webhooks by Zapier.
    Zapier,
    /// Make's custom webhooks.
    Make,
    /// n8n's webhook node.
    N8n,
    /// Messages by templates through Meta's WhatsApp Cloud API.
    WhatsAppCloud,
}

/// A preset that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no preset; there are slack, zapier, make, n8n, whatsapp-cloud and generic")]
pub struct NoSuchPreset(String);

impl FromStr for Preset {
    type Err = NoSuchPreset;

    fn from_str(text: &str) -> Result<Self, NoSuchPreset> {
        Ok(match text {
            "generic" => Self::Generic,
            "slack" => Self::Slack,
            "zapier" => Self::Zapier,
            "make" => Self::Make,
            "n8n" => Self::N8n,
            "whatsapp-cloud" => Self::WhatsAppCloud,
            _ => return Err(NoSuchPreset(text.to_owned())),
        })
    }
}

impl Preset {
    /// What the service bears, to be kept unless the file sets rates of its own.
    #[must_use]
    pub fn rates(self) -> Vec<HandlerRate> {
        let rate = |attempts, seconds| HandlerRate { attempts, per: Duration::from_secs(seconds) };
        match self {
            // n8n sets no limit of its own.
            Self::Generic | Self::N8n => Vec::new(),
            // docs.slack.dev, Rate limits: incoming webhooks, 1 per second.
            Self::Slack => vec![rate(1, 1)],
            // help.zapier.com, Webhooks by Zapier rate limits: 10,000 per 5 minutes and user (some copies of the page
            // say 20,000); each webhook about 30 per second.
            Self::Zapier => vec![rate(30, 1), rate(10_000, 300)],
            // help.make.com, Webhooks: 300 requests per 10 seconds, then 429.
            Self::Make => vec![rate(300, 10)],
            // developers.facebook.com, WhatsApp, Throughput: 80 messages per second and number.
            Self::WhatsAppCloud => vec![rate(80, 1)],
        }
    }

    /// What an error code of the service's own means, where its status says something else.
    pub(super) fn kind_of(self, code: &str) -> Option<RunFailureKind> {
        if self != Self::WhatsAppCloud {
            return None;
        }
        // developers.facebook.com, WhatsApp error codes; most come with status 400.
        Some(match code {
            // Too many calls or messages for the app, the account or the number.
            "4" | "80007" | "130429" | "131048" => RunFailureKind::Target { after: None },
            // The token, permissions, the account's state or its payment.
            "0" | "3" | "10" | "190" | "368" | "131031" | "131042" | "131057" => RunFailureKind::Target { after: None },
            // Too many messages to this person: about one in 6 seconds is borne.
            "131056" => RunFailureKind::Retry { after: Some(Duration::from_secs(6)) },
            // The service's own failures.
            "1" | "2" | "131000" | "131016" => RunFailureKind::Retry { after: None },
            _ => return None,
        })
    }
}

/// A message of an approved template, to one person.
pub struct WhatsAppMessage {
    /// Whom, digits with the country; nobody where it gives nothing.
    pub to: Template,
    /// The approved template's name.
    pub template: String,
    /// Its language, such as `en_US`.
    pub language: String,
    /// What fills its body: `{{1}}`, `{{2}}`, or by name.
    pub parameters: Vec<(Option<String>, Template)>,
}

impl WhatsAppMessage {
    pub(super) fn templates(&self) -> Vec<&Template> {
        self.parameters.iter().map(|(_, template)| template).chain([&self.to]).collect()
    }

    /// The message, or `None` where there is nobody to send it to.
    pub(super) fn fill(&self, values: &Value) -> Result<Option<Value>, TemplateError> {
        let to: String = self.to.fill(values)?.chars().filter(char::is_ascii_digit).collect();
        if to.is_empty() {
            return Ok(None);
        }
        let parameter = |(place, (name, template)): (usize, &(Option<String>, Template))| {
            let text = fit(&template.fill(values)?);
            if text.is_empty() {
                let which = name.clone().unwrap_or_else(|| (place + 1).to_string());
                return Err(TemplateError(format!(
                    "parameter {which} is empty, which WhatsApp refuses; write | default(…, true) after what may be empty"
                )));
            }
            let mut parameter = json!({ "type": "text", "text": text });
            if let Some(name) = name {
                parameter["parameter_name"] = json!(name);
            }
            Ok(parameter)
        };
        let parameters = self.parameters.iter().enumerate().map(parameter).collect::<Result<Vec<_>, _>>()?;
        let mut template = json!({ "name": self.template, "language": { "code": self.language } });
        if !parameters.is_empty() {
            template["components"] = json!([{ "type": "body", "parameters": parameters }]);
        }
        Ok(Some(json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": to,
            "type": "template",
            "template": template,
        })))
    }
}

/// Parameters may hold no line breaks, tabs or runs of spaces.
fn fit(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
