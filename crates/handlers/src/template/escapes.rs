//! How values stand in a text: nothing for null, percent-encoded in a URL, with Slack's three escapes in its messages,
//! and as JSON.

use std::borrow::Cow;
use std::fmt::Write;

use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, escape_formatter};

pub(super) const URL: AutoEscape = AutoEscape::Custom(Cow::Borrowed("url"));
pub(super) const SLACK: AutoEscape = AutoEscape::Custom(Cow::Borrowed("slack"));

/// Put by [`super::strings`] after gaps within a JSON text.
pub(super) const INSIDE_A_STRING: &str = "inside_a_string";

/// Stands in a URL where a value was empty, so that whoever fills the URL can refuse an empty part of a path. A value
/// cannot bring it, since it would be encoded.
pub(crate) const EMPTY: char = '\0';

pub(super) fn register(environment: &mut Environment<'static>) {
    environment.set_formatter(write);
    environment.add_filter(INSIDE_A_STRING, inside_a_string);
    environment.add_filter("urlencode", urlencode);
}

fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let text = match state.auto_escape() {
        escape if value.is_undefined() && (*escape == URL || *escape == SLACK) => {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        AutoEscape::Json => return escape_formatter(out, state, value),
        escape if *escape == URL => match percent_encoded(&plain(value)) {
            text if text.is_empty() => EMPTY.to_string(),
            text => text,
        },
        _ if value.is_none() => return Ok(()),
        escape if *escape == SLACK && !value.is_safe() => {
            plain(value).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
        }
        escape if *escape == SLACK => plain(value),
        _ => return escape_formatter(out, state, value),
    };
    out.write_str(&text).map_err(Error::from)
}

/// The value as a text stands in it; null is nothing.
fn plain(value: &Value) -> String {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => String::new(),
        _ => value.to_string(),
    }
}

/// In a URL every value is encoded anyway, and once is right.
fn urlencode(state: &State<'_, '_>, value: Value) -> Value {
    if *state.auto_escape() == URL { value } else { Value::from(percent_encoded(&plain(&value))) }
}

fn inside_a_string(value: Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let json = serde_json::Value::String(plain(&value)).to_string();
    Ok(Value::from_safe_string(json[1..json.len() - 1].to_owned()))
}

/// Everything but unreserved characters (RFC 3986, section 2.3) is encoded.
pub(crate) fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}
