//! One request made of settings and an event.

use std::fmt;

use bytes::Bytes;
use egress::{Call, Method};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use provider::target::TargetUrl;
use serde_json::{Value, json};

use super::settings::{HeaderText, HttpBody, HttpSettings, Text, UrlText};
use crate::template::escapes::{EMPTY, percent_encoded};
use crate::{Job, Template};

/// Longest value of a header with gaps, bytes: servers refuse heads of 8 KiB.
const HEADER_BYTES_MAX: usize = 4096;
const HIDDEN: &str = "(secret)";
const OURS: HeaderValue = HeaderValue::from_static("fanfare");

/// Whether the request will leave or is only shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Shown,
    Hidden,
}

/// A request before its URL is read.
pub(super) struct Asked {
    method: Method,
    pub(super) url: String,
    url_shown: String,
    headers: HeaderMap,
    body: Bytes,
}

/// The request for this job, whose event is `values`, or `None` where there is nobody to send it to. Errors are in words.
pub(super) fn build(
    settings: &HttpSettings,
    job: &Job,
    mut values: Value,
    secrets: Secrets,
) -> Result<Option<Asked>, String> {
    let shown = |text: &str| if secrets == Secrets::Shown { json!(text) } else { json!(HIDDEN) };
    values["secrets"] = settings.secrets.iter().map(|(name, text)| (name.clone(), shown(text))).collect();
    let Some((body, content_type)) = body(&settings.body, &values)? else { return Ok(None) };

    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, OURS);
    if let Some(content_type) = settings.content_type.clone().or(content_type.map(HeaderValue::from_static)) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if let Some(name) = &settings.idempotency_header {
        let key = HeaderValue::from_str(&job.idempotency_key()).map_err(|error| error.to_string())?;
        headers.insert(name.clone(), key);
    }
    for (name, text) in &settings.headers {
        let value = match text {
            HeaderText::Secret(_) if secrets == Secrets::Hidden => HeaderValue::from_static(HIDDEN),
            HeaderText::Secret(value) => value.clone(),
            HeaderText::Template(template) => header_value(name, template, &values)?,
        };
        headers.insert(name.clone(), value);
    }
    let url = url(&settings.url, &values)?;
    let url_shown = if settings.url.is_secret { origin_of(&url) + "/" + HIDDEN } else { url.clone() };
    Ok(Some(Asked { method: settings.method, url, url_shown, headers, body }))
}

fn body(body: &HttpBody, values: &Value) -> Result<Option<(Bytes, Option<&'static str>)>, String> {
    let of_json = |value: &Value| (Bytes::from(value.to_string()), Some("application/json"));
    let fill =
        |template: &Template| template.fill(values).map_err(|error| format!("the body cannot be filled: {error}"));
    Ok(Some(match body {
        HttpBody::Nothing => (Bytes::new(), None),
        HttpBody::Event => {
            let mut event = values.clone();
            event.as_object_mut().and_then(|event| event.remove("secrets"));
            of_json(&event)
        }
        HttpBody::Json(template) => {
            let text = fill(template)?;
            // The parser's own words tell a place and never the text.
            serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|error| {
                format!("the body does not become JSON ({error}); see what becomes of it by inbox try")
            })?;
            (Bytes::from(text), Some("application/json"))
        }
        HttpBody::Text(template) => (Bytes::from(fill(template)?), Some("text/plain; charset=utf-8")),
        HttpBody::Slack(template) => of_json(&json!({ "text": fill(template)? })),
        HttpBody::Form(fields) => {
            let field = |(name, template): &(String, Template)| {
                fill(template).map(|text| format!("{}={}", percent_encoded(name), percent_encoded(&text)))
            };
            let fields = fields.iter().map(field).collect::<Result<Vec<_>, _>>()?;
            (Bytes::from(fields.join("&")), Some("application/x-www-form-urlencoded"))
        }
        HttpBody::WhatsApp(message) => {
            match message.fill(values).map_err(|error| format!("the message cannot be filled: {error}"))? {
                Some(message) => of_json(&message),
                None => return Ok(None),
            }
        }
    }))
}

/// A value's line breaks become spaces: nothing of an event can end a header.
fn header_value(name: &HeaderName, template: &Template, values: &Value) -> Result<HeaderValue, String> {
    let refuse = |what: &dyn fmt::Display| format!("the header {name} cannot be filled: {what}");
    let text = template.fill(values).map_err(|error| refuse(&error))?;
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > HEADER_BYTES_MAX {
        return Err(refuse(&format_args!("it is longer than {HEADER_BYTES_MAX} bytes")));
    }
    let mut value = HeaderValue::from_bytes(text.trim().as_bytes()).map_err(|error| refuse(&error))?;
    // A template may hold a token.
    value.set_sensitive(true);
    Ok(value)
}

fn url(url: &UrlText, values: &Value) -> Result<String, String> {
    let template = match &url.text {
        Text::Constant(text) => return Ok(text.to_string()),
        Text::Template(template) => template,
    };
    let text = template.fill(values).map_err(|error| format!("the URL cannot be filled: {error}"))?;
    let path = text.split('?').next().unwrap_or_default();
    let is_of_values_alone = |part: &str| part.contains(EMPTY) && part.chars().all(|c| c == EMPTY);
    if path.split('/').any(is_of_values_alone) {
        return Err("a part of the URL's path is empty, so another thing would be called than is meant; \
                    write | default(…, true) after what may be empty"
            .to_owned());
    }
    // A dot is nothing to encode, yet `..` would lead out of the path that was written.
    let is_of_dots = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if path.split('/').any(is_of_dots) {
        return Err(
            "a part of the URL's path consists of dots, so another path would be called than is meant".to_owned()
        );
    }
    Ok(text.replace(EMPTY, ""))
}

fn origin_of(url: &str) -> String {
    url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/")
}

impl Asked {
    pub(super) fn into_call(self, url: TargetUrl) -> Call {
        Call { method: self.method, url: Some(url), headers: self.headers, body: self.body }
    }
}

/// For a person who wants to see what would leave.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.url_shown)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.body))
    }
}
