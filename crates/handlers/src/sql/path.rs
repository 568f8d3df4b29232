//! The way to a value in an event's JSON: `sessions[0].begin.utc`, `body["custom-field"]`.

use std::fmt;

use serde_json::Value;

/// A way from the event to one of its values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Path {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Member(String),
    Element(usize),
}

/// What a statement can see.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'v> {
    /// The event.
    pub(super) event: &'v Value,
    /// One element of a list, under a name of its own.
    pub(super) element: Option<(&'static str, &'v Value)>,
}

impl Path {
    /// Reads what the scanner has found: its form is right already.
    pub(super) fn of(text: &str) -> Path {
        let mut steps = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '[' if rest.starts_with("[\"") => rest.find("\"]").map_or(rest.len(), |at| at + 2),
                '[' => rest.find(']').map_or(rest.len(), |at| at + 1),
                _ => rest[1..].find(['.', '[']).map_or(rest.len(), |at| at + 1),
            };
            steps.push(Step::of(&rest[..length]));
            rest = &rest[length..];
        }
        Path { text: text.to_owned(), steps }
    }

    /// The name it begins with.
    pub(super) fn root(&self) -> &str {
        match self.steps.first() {
            Some(Step::Member(name)) => name,
            Some(Step::Element(_)) | None => "",
        }
    }

    /// The value it leads to; `null` where it leads nowhere.
    pub(super) fn find<'v>(&self, scope: Scope<'v>) -> &'v Value {
        let (from, steps) = match scope.element {
            Some((name, element)) if name == self.root() => (element, &self.steps[1..]),
            _ => (scope.event, &self.steps[..]),
        };
        let follow = |value: &'v Value, step: &Step| match step {
            Step::Member(name) => value.get(name),
            Step::Element(index) => value.get(index),
        };
        steps.iter().try_fold(from, follow).unwrap_or(&Value::Null)
    }
}

impl Step {
    fn of(text: &str) -> Step {
        if let Some(name) = text.strip_prefix("[\"").and_then(|text| text.strip_suffix("\"]")) {
            return Step::Member(name.to_owned());
        }
        let index = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        match index.map(str::parse) {
            Some(index) => Step::Element(index.unwrap_or(usize::MAX)),
            None => Step::Member(text.strip_prefix('.').unwrap_or(text).to_owned()),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
