//! Whether a handler takes a message: an expression over the event, such as `'Gold' in mangoes`.

use std::sync::Arc;

use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

/// Instructions one look may take.
const FUEL: u64 = 100_000;

/// Why an expression cannot be used, or failed on an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FilterError(pub String);

/// An expression over an event's JSON, as `Reading::to_json` gives it.
#[derive(Debug, Clone)]
pub struct Filter {
    environment: Arc<Environment<'static>>,
    expression: Arc<str>,
}

impl Filter {
    /// Reads an expression in the language of the templates.
    pub fn parse(expression: &str) -> Result<Filter, FilterError> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.compile_expression(expression).map_err(|error| of(&error))?;
        Ok(Filter { environment: Arc::new(environment), expression: expression.into() })
    }

    /// Whether the event is taken.
    pub fn takes(&self, event: &Value) -> Result<bool, FilterError> {
        let compiled = self.environment.compile_expression(&self.expression).map_err(|error| of(&error))?;
        Ok(compiled.eval(minijinja::value::Serde(event)).map_err(|error| of(&error))?.is_true())
    }
}

fn of(error: &minijinja::Error) -> FilterError {
    FilterError(error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}
