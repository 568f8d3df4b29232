//! Settings of the `http` handler, proved: a URL whose host is known, headers that cannot break a request.

use std::collections::BTreeMap;

use egress::Method;
use http::{HeaderName, HeaderValue};
use provider::target::{TargetError, TargetPolicy};
use zeroize::Zeroizing;

use super::presets::{Preset, WhatsAppMessage};
use crate::{Filter, FilterError, Template, TemplateError, Templates};

/// What the `http` handler does.
pub struct HttpSettings {
    /// Whom it calls, where that is somebody known.
    pub preset: Preset,
    /// How it asks.
    pub method: Method,
    /// Where.
    pub url: UrlText,
    /// Besides those that are set here: `Host`, `Content-Length`, `Content-Type` and the idempotency key.
    pub headers: Vec<(HeaderName, HeaderText)>,
    /// What it sends.
    pub body: HttpBody,
    /// In place of the body's own.
    pub content_type: Option<HeaderValue>,
    /// The header that carries `Job::idempotency_key`, if any does.
    pub idempotency_header: Option<HeaderName>,
    /// What counts as done.
    pub success: Success,
    /// Whether the beginning of a refusal is kept in the reason. It may name the person.
    pub keep_answer: bool,
    /// What templates know as `secrets`.
    pub secrets: BTreeMap<String, Zeroizing<String>>,
}

/// What is sent.
pub enum HttpBody {
    /// No body.
    Nothing,
    /// The event, as `Job::to_json` gives it.
    Event,
    /// A JSON text with gaps.
    Json(Template),
    /// Plain text with gaps.
    Text(Template),
    /// Fields of a form.
    Form(Vec<(String, Template)>),
    /// The text of a Slack message.
    Slack(Template),
    /// A message through WhatsApp.
    WhatsApp(WhatsAppMessage),
}

/// What counts as done.
#[derive(Default)]
pub struct Success {
    /// These status codes; empty for 200 to 299.
    pub statuses: Vec<u16>,
    /// And this, over `status` and `body`.
    pub condition: Option<Filter>,
}

impl Success {
    /// Reads the condition.
    pub fn condition(text: &str) -> Result<Filter, FilterError> {
        let filter = Filter::parse_over_anything(text)?;
        let stray = filter.names().into_iter().find(|name| !matches!(name.split('.').next(), Some("status" | "body")));
        match stray {
            Some(name) => Err(FilterError(format!("{name:?} is unknown here; there are status and body"))),
            None => Ok(filter),
        }
    }
}

/// A header's value.
pub enum HeaderText {
    /// As it is, never shown.
    Secret(HeaderValue),
    /// With gaps.
    Template(Template),
}

/// Why a header cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HeaderTextError(String);

impl HeaderText {
    /// A value that came from where secrets are kept.
    pub fn secret(text: &str) -> Result<HeaderText, HeaderTextError> {
        header_value(text).map(HeaderText::Secret)
    }
}

/// Reads a header's value that is never shown. Files often end with a line break, which is left out.
pub fn header_value(text: &str) -> Result<HeaderValue, HeaderTextError> {
    let mut value = HeaderValue::from_str(text.trim_end_matches(['\r', '\n']))
        .map_err(|_| HeaderTextError("holds a line break or another character that no header may hold".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads the name of a header that a handler may set.
pub fn header_name(text: &str) -> Result<HeaderName, HeaderTextError> {
    let refuse = |what: &str| Err(HeaderTextError(format!("{text:?} {what}")));
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return refuse("is no name of a header; use letters, digits and hyphens");
    };
    match name.as_str() {
        "host" | "content-length" | "transfer-encoding" => refuse("is set for each request; leave it out"),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "upgrade" | "http2-settings"
        | "expect" => refuse("speaks of the connection, which is not the handler's; leave it out"),
        "accept-encoding" => refuse("would bring compressed answers, which are not read; leave it out"),
        "proxy-authorization" => refuse("is for proxies, and there are none on this way; leave it out"),
        _ => Ok(name),
    }
}

/// A URL whose scheme, host and port are written out, so that it is known at the start whom the handler calls.
pub struct UrlText {
    pub(super) text: Text,
    origin: String,
    /// It came from where secrets are kept.
    pub(super) is_secret: bool,
}

pub(super) enum Text {
    Constant(Zeroizing<String>),
    Template(Template),
}

/// Why a text is no URL for a handler.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlTextError(String);

impl From<TemplateError> for UrlTextError {
    fn from(error: TemplateError) -> Self {
        Self(error.0)
    }
}

impl UrlText {
    /// Reads a URL, perhaps with gaps in path and query.
    pub fn parse(text: &str, templates: &Templates) -> Result<UrlText, UrlTextError> {
        let authority = text.find("://").map(|at| at + 3).unwrap_or_default();
        let end = text[authority..].find(['/', '?', '#']).map_or(text.len(), |at| authority + at);
        if text[..end].contains('{') {
            return Err(UrlTextError(
                "scheme, host and port must be written out, so that it is known whom the handler calls; \
                 put a / before the first gap, and make a handler for each host"
                    .to_owned(),
            ));
        }
        let template = templates.url(text)?;
        if template.is_constant() {
            return Self::constant(text.to_owned().into());
        }
        let origin = format!("{}/", &text[..end]);
        check(&origin)?;
        Ok(UrlText { text: Text::Template(template), origin, is_secret: false })
    }

    /// A URL that is secret as a whole, as those of Slack and Zapier are.
    pub fn secret(text: &str) -> Result<UrlText, UrlTextError> {
        Ok(UrlText { is_secret: true, ..Self::constant(text.trim_end().to_owned().into())? })
    }

    fn constant(text: Zeroizing<String>) -> Result<UrlText, UrlTextError> {
        check(&text)?;
        Ok(UrlText { origin: text.to_string(), text: Text::Constant(text), is_secret: false })
    }

    /// Scheme, host and port, or the whole URL where it has no gaps.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether it is without gaps.
    pub fn is_constant(&self) -> bool {
        matches!(self.text, Text::Constant(_))
    }

    pub(super) fn template(&self) -> Option<&Template> {
        match &self.text {
            Text::Constant(_) => None,
            Text::Template(template) => Some(template),
        }
    }
}

/// Whether it is a URL at all. Whether its host may be called depends on the server and is decided at the start.
fn check(text: &str) -> Result<(), UrlTextError> {
    match TargetPolicy::default().parse(text) {
        Ok(_) | Err(TargetError::Address { .. } | TargetError::PrivateName | TargetError::Port(1..)) => Ok(()),
        Err(error) => Err(UrlTextError(error.to_string())),
    }
}

impl HttpSettings {
    /// The first name that no event has, of all templates.
    #[must_use]
    pub fn unknown_name(&self) -> Option<String> {
        let headers = self.headers.iter().filter_map(|(_, text)| match text {
            HeaderText::Secret(_) => None,
            HeaderText::Template(template) => Some(template),
        });
        let templates = self.body.templates().into_iter().chain(headers).chain(self.url.template());
        templates.flat_map(Template::names).find_map(|name| match name.strip_prefix("secrets.") {
            Some(secret) if self.secrets.contains_key(secret) => None,
            Some(secret) => Some(format!("secrets.{secret} is used, but [handler.secrets] has no {secret:?}")),
            None => crate::names::unknown([&name]),
        })
    }
}

impl HttpBody {
    fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Nothing | Self::Event => Vec::new(),
            Self::Json(template) | Self::Text(template) | Self::Slack(template) => vec![template],
            Self::Form(fields) => fields.iter().map(|(_, template)| template).collect(),
            Self::WhatsApp(message) => message.templates(),
        }
    }
}
