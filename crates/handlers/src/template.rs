//! Texts with gaps, filled from an event: minijinja with bounds on work and size, no files, and our own filters.

pub(crate) mod times;

use std::sync::Arc;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde_json::Value;

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
    /// Ends in `.html` or `.json` where values are escaped for that.
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
            _ => AutoEscape::None,
        });
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

    /// JSON: `{{ value }}` becomes the value's JSON, quotes and all.
    pub fn json(&self, source: &str) -> Result<Template, TemplateError> {
        self.compile(source, "json")
    }

    fn compile(&self, source: &str, name: &'static str) -> Result<Template, TemplateError> {
        self.environment.template_from_named_str(name, source).map_err(of)?;
        Ok(Template { environment: self.environment.clone(), source: source.into(), name })
    }
}

impl Template {
    /// Fills it.
    pub fn fill(&self, values: &Value) -> Result<String, TemplateError> {
        let text = self
            .environment
            .template_from_named_str(self.name, &self.source)
            .and_then(|template| template.render(minijinja::value::Serde(values)))
            .map_err(of)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(TemplateError(format!("the text is longer than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(text)
    }
}

fn of(error: minijinja::Error) -> TemplateError {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    TemplateError(format!("{line}{}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)))
}
