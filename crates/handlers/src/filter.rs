//! Whether a handler takes a message: an expression over the event, such as `'Gold' in mangoes`.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::Value;

use crate::names;
use crate::template::is_unknown_name;

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
    /// Reads an expression over an event, in the language of the templates. A name that no event has is refused: it
    /// would be a filter that takes nothing.
    pub fn parse(expression: &str) -> Result<Filter, FilterError> {
        let filter = Filter::parse_over_anything(expression)?;
        match names::unknown(&filter.names()) {
            Some(what) => Err(FilterError(what)),
            None => Ok(filter),
        }
    }

    /// Reads an expression over something else than an event.
    pub(crate) fn parse_over_anything(expression: &str) -> Result<Filter, FilterError> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        let compiled = environment.compile_expression(expression).map_err(|error| of(&error))?;
        // The engine looks filters up only as it meets them.
        compiled.eval(()).map(drop).or_else(|error| if is_unknown_name(&error) { Err(of(&error)) } else { Ok(()) })?;
        Ok(Filter { environment: Arc::new(environment), expression: expression.into() })
    }

    /// Names of the members it looks at.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let compiled = self.environment.compile_expression(&self.expression);
        compiled.map_or_else(|_| BTreeSet::new(), |compiled| compiled.undeclared_variables(true).into_iter().collect())
    }

    /// Whether the event is taken.
    pub fn takes(&self, event: &Value) -> Result<bool, FilterError> {
        let compiled = self.environment.compile_expression(&self.expression).map_err(|error| of(&error))?;
        Ok(compiled.eval(minijinja::value::Serde(event)).map_err(|error| of(&error))?.is_true())
    }
}

fn of(error: &minijinja::Error) -> FilterError {
    if error.kind() == ErrorKind::OutOfFuel {
        return FilterError("too much work for a filter".to_owned());
    }
    FilterError(error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}

#[cfg(test)]
mod tests;
