//! Texts with gaps, filled from an event: minijinja with bounds on work and size, no files, and our own filters.

pub(crate) mod escapes;
mod strings;
#[cfg(test)]
mod tests;
pub(crate) mod times;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

use crate::names;

/// Instructions one rendering may take; an e-mail for a series of 1,000 sessions takes about 60,000.
const FUEL: u64 = 1_000_000;
/// The longest text one rendering may give, bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Why a template cannot be used, or could not be filled; with its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

/// Compiles templates that know our filters.
#[derive(Debug, Clone)]
pub struct Templates {
    environment: Arc<Environment<'static>>,
}

/// A text with gaps.
#[derive(Debug, Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    source: Arc<str>,
    /// What values are escaped for: `text`, `html`, `json`, `url` or `slack`.
    name: &'static str,
}

impl Default for Templates {
    fn default() -> Templates {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment.set_auto_escape_callback(|name| match name {
            "html" => AutoEscape::Html,
            "json" => AutoEscape::Json,
            "url" => escapes::URL,
            "slack" => escapes::SLACK,
            _ => AutoEscape::None,
        });
        escapes::register(&mut environment);
        times::add_to(&mut environment);
        Templates { environment: Arc::new(environment) }
    }
}

impl Templates {
    /// Plain text: values stand as they are.
    pub fn text(&self, source: &str) -> Result<Template, TemplateError> {
        self.compile(source, "text")
    }

    /// HTML: values are escaped.
    pub fn html(&self, source: &str) -> Result<Template, TemplateError> {
        self.compile(source, "html")
    }

    /// JSON: `{{ value }}` becomes the value's JSON, quotes and all; within a text in quotes, the inside of one.
    pub fn json(&self, source: &str) -> Result<Template, TemplateError> {
        self.compile(&strings::escape_gaps_in_strings(source), "json")
    }

    /// A URL: values are percent-encoded, `/` too.
    pub fn url(&self, source: &str) -> Result<Template, TemplateError> {
        self.compile(source, "url")
    }

    /// Text of a Slack message: `&`, `<` and `>` of values are escaped, which there begin links and mentions.
    pub fn slack(&self, source: &str) -> Result<Template, TemplateError> {
        self.compile(source, "slack")
    }

    fn compile(&self, source: &str, name: &'static str) -> Result<Template, TemplateError> {
        let refuse = |error| TemplateError(in_words(&error));
        let compiled = self.environment.template_from_named_str(name, source).map_err(refuse)?;
        // The engine looks filters up only as it meets them.
        match compiled.render(()) {
            Err(error) if is_unknown_name(&error) => Err(refuse(error)),
            _ => Ok(Template { environment: self.environment.clone(), source: source.into(), name }),
        }
    }
}

impl Template {
    /// Fills it.
    pub fn fill(&self, values: &Value) -> Result<String, TemplateError> {
        let mut text = Bounded::default();
        let filled = self
            .environment
            .template_from_named_str(self.name, &self.source)
            .and_then(|template| template.render_captured_to(minijinja::value::Serde(values), &mut text).map(drop));
        match filled {
            _ if text.is_over => Err(TemplateError(format!("the text is longer than {TEXT_BYTES_MAX} bytes"))),
            Ok(()) => String::from_utf8(text.bytes).map_err(|_| TemplateError("the text is no UTF-8".to_owned())),
            Err(error) => Err(self.explain(&error, values)),
        }
    }

    /// Names of the members it looks at, such as `person.name`.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        let template = self.environment.template_from_named_str(self.name, &self.source);
        template.map_or_else(|_| BTreeSet::new(), |template| template.undeclared_variables(true).into_iter().collect())
    }

    /// Whether it is without gaps, and always the same.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        ["{{", "{%", "{#"].iter().all(|mark| !self.source.contains(mark))
    }

    /// What is missing is named, which the engine does not do.
    fn explain(&self, error: &minijinja::Error, values: &Value) -> TemplateError {
        if error.kind() != ErrorKind::UndefinedError {
            return TemplateError(in_words(error));
        }
        let line = error.line().and_then(|line| self.source.lines().nth(line - 1)).unwrap_or_default();
        let missing = self.names().into_iter().filter(|name| names::is_missing(name, values));
        let (near, far): (Vec<_>, Vec<_>) = missing.partition(|name| line.contains(name.as_str()));
        let missing = if near.is_empty() { far } else { near };
        let what = match missing.as_slice() {
            [] => "something that is not in this event is used".to_owned(),
            names => format!("{} is not in this event", names.join(", ")),
        };
        TemplateError(format!("{}{what}; write | default(\"\") after what may be missing", place(error)))
    }
}

/// Stops a rendering as soon as it is too long, rather than after it.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_over: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > TEXT_BYTES_MAX {
            self.is_over = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A filter, test or function that does not exist.
pub(crate) fn is_unknown_name(error: &minijinja::Error) -> bool {
    matches!(error.kind(), ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction)
}

fn place(error: &minijinja::Error) -> String {
    error.line().map(|line| format!("line {line}: ")).unwrap_or_default()
}

fn in_words(error: &minijinja::Error) -> String {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "too much work; a loop is too long".to_owned(),
        _ => error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
    };
    format!("{}{what}", place(error))
}
