//! How values are written for both databases.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::Value;

/// An instant with milliseconds and `Z`: of one length, so that SQLite, which knows no times, orders it rightly.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// An offset as `+05:30`.
pub(super) fn offset(offset: Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// The JSON without the character NUL in any text: PostgreSQL can hold it in none.
pub(super) fn without_nul(json: String) -> String {
    if !json.contains("\\u0000") {
        return json;
    }
    match serde_json::from_str::<Value>(&json) {
        Ok(mut value) => {
            remove_nul(&mut value);
            value.to_string()
        }
        Err(_) => json,
    }
}

/// Removes the character NUL from all texts within.
pub(super) fn remove_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => text.retain(|c| c != '\0'),
        Value::Array(items) => items.iter_mut().for_each(remove_nul),
        Value::Object(members) => {
            let all = std::mem::take(members).into_iter().map(|(mut name, mut value)| {
                name.retain(|c| c != '\0');
                remove_nul(&mut value);
                (name, value)
            });
            *members = all.collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
