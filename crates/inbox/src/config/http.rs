//! The settings of an `http` handler, and what each preset fills in of them.

use std::collections::BTreeMap;
use std::fmt::Display;

use egress::Method;
use handlers::http::{
    HeaderText, HttpBody, HttpSettings, Preset, Success, UrlText, WhatsAppMessage, header_name, header_value,
};
use handlers::{Template, TemplateError, Templates};

use super::section::{Section, names_a_secret};

/// Meta keeps a version for two years; `api-version` names another.
const GRAPH_VERSION: &str = "v24.0";
/// IETF draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";
const SLACK_TEXT: &str = "*{{ event }}*{% for session in sessions %}\n• {{ session.title }}{% endfor %}";
const KEYS: [&str; 10] = [
    "url",
    "method",
    "headers",
    "token",
    "secrets",
    "content-type",
    "idempotency-key",
    "success",
    "success-if",
    "keep-answer",
];
const WHATSAPP_KEYS: [&str; 7] =
    ["phone-number-id", "api-version", "template", "language", "to", "parameters", "named-parameters"];
const BODIES: [&str; 3] = ["json", "text", "form"];

/// The settings, unless something in them is wrong.
pub(super) fn read(section: &Section<'_>, templates: &Templates) -> Option<HttpSettings> {
    let reading = Reading { section, templates };
    let preset = if section.has("preset") { section.parse("preset") } else { Some(Preset::Generic) };
    let method = if section.has("method") { section.parse::<Method>("method") } else { Some(Method::Post) };
    // What cannot be read has been told; the rest is read all the same, so that its mistakes are told, too.
    let of_preset = if preset == Some(Preset::WhatsAppCloud) { &WHATSAPP_KEYS[..] } else { &[] };
    for key in KEYS.iter().chain(of_preset) {
        section.has(key);
    }
    let url = reading.url(preset.unwrap_or_default());
    let headers = reading.headers(preset.unwrap_or_default());
    let body = reading.body(preset.unwrap_or_default(), method.unwrap_or(Method::Post));
    let content_type = reading.content_type();
    let idempotency_header = reading.idempotency_header();
    let success = reading.success();
    let secrets = if section.has("secrets") { section.named_secrets("secrets") } else { Some(BTreeMap::new()) };
    let keep_answer = if section.has("keep-answer") { section.switch("keep-answer") } else { Some(false) };
    let settings = HttpSettings {
        preset: preset?,
        method: method?,
        url: url?,
        headers: headers?,
        body: body?,
        content_type: content_type?,
        idempotency_header: idempotency_header?,
        success: success?,
        keep_answer: keep_answer?,
        secrets: secrets?,
    };
    match settings.unknown_name() {
        Some(what) => reading.refuse(reading.place_of_templates(), what),
        None => Some(settings),
    }
}

struct Reading<'s, 't> {
    section: &'s Section<'t>,
    templates: &'s Templates,
}

impl Reading<'_, '_> {
    fn refuse<T>(&self, key: &str, what: impl Display) -> Option<T> {
        self.section.refuse(key, what);
        None
    }

    fn url(&self, preset: Preset) -> Option<UrlText> {
        if preset == Preset::WhatsAppCloud && !self.section.has("url") {
            let mend = "write phone-number-id, which WhatsApp Manager shows beside the number";
            let number = self.section.required_text("phone-number-id", mend)?;
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return self.refuse("phone-number-id", "is the number's id, digits alone, and not the phone number");
            }
            let version = self.section.text("api-version").unwrap_or(GRAPH_VERSION);
            let url = format!("https://graph.facebook.com/{version}/{number}/messages");
            return UrlText::parse(&url, self.templates)
                .map_err(|error| self.section.refuse("api-version", error))
                .ok();
        }
        let mend = match preset {
            Preset::Slack => "write url = \"env:SLACK_URL\", the URL that Slack shows for an incoming webhook",
            _ => "write whom to call, such as url = \"https://example.com/hook\"",
        };
        let text = self.section.required_text("url", mend)?;
        let url = if names_a_secret(text) {
            UrlText::secret(&self.section.secret("url")?)
        } else {
            UrlText::parse(text, self.templates)
        };
        url.map_err(|error| self.section.refuse("url", error)).ok()
    }

    fn headers(&self, preset: Preset) -> Option<Vec<(::http::HeaderName, HeaderText)>> {
        let mut headers = Vec::new();
        if preset == Preset::WhatsAppCloud || self.section.has("token") {
            self.section.required_text("token", "write token = \"env:WHATSAPP_TOKEN\", of a system user")?;
            let bearer = format!("Bearer {}", self.section.secret("token")?.trim());
            match HeaderText::secret(&bearer) {
                Ok(value) => headers.push((::http::header::AUTHORIZATION, value)),
                Err(error) => return self.refuse("token", error),
            }
        }
        if !self.section.has("headers") {
            return Some(headers);
        }
        for (name, text) in self.section.named_texts("headers")? {
            let read = match header_name(name) {
                Err(error) => return self.refuse("headers", error),
                Ok(name) if name == IDEMPOTENCY_HEADER => {
                    return self.refuse("headers", "the idempotency key is set for each message; see idempotency-key");
                }
                Ok(read) => read,
            };
            let value = if names_a_secret(text) {
                HeaderText::secret(&self.section.resolve("headers", text)?).map_err(|error| error.to_string())
            } else {
                self.templates.text(text).map(HeaderText::Template).map_err(|error| error.to_string())
            };
            match value {
                Ok(value) => headers.push((read, value)),
                Err(error) => return self.refuse("headers", format!("{name}: {error}")),
            }
        }
        Some(headers)
    }

    fn body(&self, preset: Preset, method: Method) -> Option<HttpBody> {
        let given: Vec<_> = BODIES.into_iter().filter(|key| self.section.has(key)).collect();
        if let [_, second, ..] = given.as_slice() {
            return self.refuse(second, format!("is a second body beside {}; keep one", given[0]));
        }
        match (given.first(), method) {
            (Some(key), Method::Get) => self.refuse(key, "a GET has no body; write method = \"POST\", or leave it out"),
            (Some(&"json"), _) => self.template("json", Templates::json).map(HttpBody::Json),
            (Some(&"text"), _) if preset == Preset::Slack => {
                self.template("text", Templates::slack).map(HttpBody::Slack)
            }
            (Some(&"text"), _) => self.template("text", Templates::text).map(HttpBody::Text),
            (Some(_), _) => self.fields("form").map(HttpBody::Form),
            (None, Method::Get | Method::Delete) => Some(HttpBody::Nothing),
            (None, _) if preset == Preset::WhatsAppCloud => self.whatsapp().map(HttpBody::WhatsApp),
            (None, _) if preset == Preset::Slack => self.templates.slack(SLACK_TEXT).ok().map(HttpBody::Slack),
            (None, _) => Some(HttpBody::Event),
        }
    }

    fn template(
        &self,
        key: &'static str,
        compile: fn(&Templates, &str) -> Result<Template, TemplateError>,
    ) -> Option<Template> {
        let text = self.section.text(key)?;
        compile(self.templates, text).map_err(|error| self.section.refuse(key, error)).ok()
    }

    fn fields(&self, key: &'static str) -> Option<Vec<(String, Template)>> {
        let mut fields = Vec::new();
        for (name, text) in self.section.named_texts(key)? {
            match self.templates.text(text) {
                Ok(template) => fields.push((name.to_owned(), template)),
                Err(error) => return self.refuse(key, format!("{name}: {error}")),
            }
        }
        Some(fields)
    }

    fn whatsapp(&self) -> Option<WhatsAppMessage> {
        let section = self.section;
        let template = section.required_text("template", "write the name of an approved message template")?;
        let language =
            section.required_text("language", "write the template's language, such as \"en_US\" or \"de\"")?;
        let to = match section.has("to") {
            true => self.template("to", Templates::text)?,
            false => self.templates.text("{{ person.phoneDigits }}").ok()?,
        };
        if section.has("parameters") && section.has("named-parameters") {
            return self.refuse("named-parameters", "a template has numbered or named parameters; keep one of the two");
        }
        let mut parameters = Vec::new();
        if section.has("parameters") {
            for text in section.texts("parameters")? {
                match self.templates.text(text) {
                    Ok(template) => parameters.push((None, template)),
                    Err(error) => return self.refuse("parameters", error),
                }
            }
        }
        if section.has("named-parameters") {
            parameters.extend(self.fields("named-parameters")?.into_iter().map(|(name, text)| (Some(name), text)));
        }
        Some(WhatsAppMessage { to, template: template.to_owned(), language: language.to_owned(), parameters })
    }

    fn content_type(&self) -> Option<Option<::http::HeaderValue>> {
        if !self.section.has("content-type") {
            return Some(None);
        }
        let mut value = match header_value(self.section.text("content-type")?) {
            Ok(value) => value,
            Err(error) => return self.refuse("content-type", error),
        };
        value.set_sensitive(false);
        Some(Some(value))
    }

    fn idempotency_header(&self) -> Option<Option<::http::HeaderName>> {
        let text = match self.section.has("idempotency-key") {
            true => self.section.text("idempotency-key")?,
            false => IDEMPOTENCY_HEADER,
        };
        match header_name(text) {
            _ if text == "off" => Some(None),
            Ok(name) => Some(Some(name)),
            Err(error) => self.refuse("idempotency-key", format!("{error}; write the header's name, or \"off\"")),
        }
    }

    fn success(&self) -> Option<Success> {
        let statuses = match self.section.has("success") {
            true => self.section.numbers("success", 200..=599)?,
            false => Vec::new(),
        };
        let condition = match self.section.has("success-if") {
            true => match Success::condition(self.section.text("success-if")?) {
                Ok(condition) => Some(condition),
                Err(error) => return self.refuse("success-if", error),
            },
            false => None,
        };
        let statuses = statuses.into_iter().filter_map(|status| u16::try_from(status).ok()).collect();
        Some(Success { statuses, condition })
    }

    /// Where templates are written, for a mistake that may be in any of them.
    fn place_of_templates(&self) -> &'static str {
        let keys = ["json", "text", "form", "parameters", "named-parameters", "headers", "to", "url"];
        keys.into_iter().find(|key| self.section.has(key)).unwrap_or("url")
    }
}
