//! What is told of well-formed input that does not fit: where it is, and in words of JSON, not of Rust. serde gives its
//! reasons as text only, so they are read from it; one that is not recognised is passed on as it is.

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};
use webinar::FieldError;

use crate::problem::Problem;

mod once;
#[cfg(test)]
mod tests;

use once::NamedOnce;

/// Of a text that does not fit so much is repeated, in characters: enough to find it.
const TEXT_CHARS_MAX: usize = 60;

/// Reads a JSON object.
pub(crate) fn read_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize::<_, NamedOnce>(&mut json).map_err(|error| of_json(&error))?;
    json.end().map_err(|error| Problem::malformed_json(&error))?;
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::invalid("", "give a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| of_json(&error))
}

/// Reads a JSON value that was made here, such as a merged patch.
pub(crate) fn read_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| of_json(&error))
}

/// The refusal of a query, by serde's reason for it.
pub(crate) fn of_query(reason: &str) -> Problem {
    let reason = reason.strip_prefix("Failed to deserialize query string: ").unwrap_or(reason);
    let (name, reason) = match reason.split_once(": ") {
        Some((name, reason)) => (name.to_owned(), reason),
        None => (String::new(), reason),
    };
    let told = explain(reason);
    let name = told.field.map_or(name, str::to_owned);
    Problem::invalid_query(format!("{name} {}", told.words).trim_start())
}

fn of_json(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    // Such as half a character, which shows only when text is made of it.
    if !error.inner().is_data() {
        return Problem::malformed_json(error.inner());
    }
    let reason = error.inner().to_string();
    let told = explain(without_place(&reason));
    let mut pointer = pointer_to(error.path());
    if let Some(field) = told.field {
        let last = format!("/{}", escaped(field));
        if !pointer.ends_with(&last) {
            pointer.push_str(&last);
        }
    }
    Problem::invalid_fields(vec![FieldError { pointer, detail: told.words }])
}

/// The reason without where the parser stood: the pointer says it better.
fn without_place(reason: &str) -> &str {
    reason.rfind(" at line ").map_or(reason, |at| &reason[..at])
}

/// A JSON pointer (RFC 6901).
fn pointer_to(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escaped(key)),
            Segment::Enum { variant } => format!("/{}", escaped(variant)),
            Segment::Unknown => "/?".to_owned(),
        })
        .collect()
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// A reason in our words, and the field it is about where the reason names one.
struct Told<'a> {
    field: Option<&'a str>,
    words: String,
}

fn explain(reason: &str) -> Told<'_> {
    if let Some(field) = between(reason, "missing field `", "`") {
        return Told { field: Some(field), words: "is missing".to_owned() };
    }
    if let Some(field) = between(reason, "duplicate field `", "`") {
        return Told { field: Some(field), words: "is given twice; keep one".to_owned() };
    }
    if let Some(rest) = reason.strip_prefix("unknown field `") {
        // The name is the caller's, with whatever it holds; the list after it is ours.
        let (field, known) =
            rest.rsplit_once("`, expected ").unwrap_or((rest.trim_end_matches("`, there are no fields"), ""));
        let known = choices(known);
        let words = if known.is_empty() {
            "is not known here; leave it out".to_owned()
        } else {
            format!("is not known here; there is {known}")
        };
        return Told { field: Some(field), words };
    }
    Told { field: None, words: explain_value(reason) }
}

fn explain_value(reason: &str) -> String {
    if let Some((found, known)) =
        reason.strip_prefix("unknown variant `").and_then(|rest| rest.rsplit_once("`, expected "))
    {
        return format!("must be {}, not \"{}\"", choices(known), shortened(found));
    }
    let mismatch = reason.strip_prefix("invalid type: ").or_else(|| reason.strip_prefix("invalid value: "));
    if let Some((found, wanted)) = mismatch.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("must be {}, not {}", wanted_words(wanted), found_words(found));
    }
    match reason {
        "provided string was not `true` or `false`" => "takes true or false".to_owned(),
        "invalid digit found in string" | "cannot parse integer from empty string" => "takes a whole number".to_owned(),
        other => other.to_owned(),
    }
}

/// What serde expected. Types of ours that are not named here describe themselves.
fn wanted_words(wanted: &str) -> &str {
    match wanted {
        "a string" | "a borrowed string" | "a character" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// What serde found: `` string "60" ``, `` integer `5` ``, `map`, …
fn found_words(found: &str) -> String {
    match found.split_once(' ') {
        Some(("string", text)) => format!("the text {}", shortened(text)),
        Some(("integer", number)) => format!("the number {}", number.trim_matches('`')),
        Some(("floating", number)) => format!("the number {}", number.trim_start_matches("point ").trim_matches('`')),
        Some(("boolean", value)) => value.trim_matches('`').to_owned(),
        _ => match found {
            "map" => "an object".to_owned(),
            "sequence" => "a list".to_owned(),
            other => other.to_owned(),
        },
    }
}

fn shortened(text: &str) -> String {
    let mut kept: String = text.chars().take(TEXT_CHARS_MAX).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

/// The choices serde lists: `` one of `a`, `b` ``, `` `a` or `b` `` or `` `a` ``.
fn choices(listed: &str) -> String {
    let names: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => format!("\"{only}\""),
        Some((last, others)) => format!("\"{}\" or \"{last}\"", others.join("\", \"")),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.strip_prefix(before)?.strip_suffix(after)
}
