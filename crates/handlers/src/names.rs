//! Which names templates and filters may use: those of an event as `Job::to_json` gives it. A name misspelt is found when
//! the settings are read, not when the first message comes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use receiver::{KeptHeaders, Reading};
use serde_json::Value;

/// What every event has at its top, and what handlers put beside it.
const TOP: [&str; 11] =
    ["event", "trigger", "test", "person", "series", "sessions", "mangoes", "repairs", "body", "message", "secrets"];

/// Functions of the language, which look like names.
const FUNCTIONS: [&str; 6] = ["range", "dict", "debug", "namespace", "loop", "self"];

/// Members of those objects that are always the same.
static MEMBERS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let Value::Object(top) = sample().to_json(b"{}") else { return BTreeMap::new() };
    let members = |(name, value): (String, Value)| match value {
        Value::Object(members) if name != "body" => Some((name, members.into_iter().map(|(name, _)| name).collect())),
        _ => None,
    };
    top.into_iter().filter_map(members).collect()
});

/// Those of `names` that no event has, each with the mend.
pub(crate) fn unknown<'n>(names: impl IntoIterator<Item = &'n String>) -> Option<String> {
    names.into_iter().find_map(|name| {
        let mut parts = name.split('.');
        let first = parts.next().unwrap_or_default();
        if FUNCTIONS.contains(&first) {
            return None;
        }
        if !TOP.contains(&first) {
            return Some(format!("{first:?} is no part of an event; there are {}", TOP[..10].join(", ")));
        }
        let (second, members) = (parts.next()?, MEMBERS.get(first)?);
        let is_known = members.iter().any(|member| member == second);
        (!is_known).then(|| format!("{first} has no {second:?}; it has {}", members.join(", ")))
    })
}

/// Whether the values lack the member; what is below a list is not looked at.
pub(crate) fn is_missing(name: &str, values: &Value) -> bool {
    let mut value = values;
    for part in name.split('.') {
        match value {
            Value::Array(_) => return false,
            _ => match value.get(part) {
                Some(member) => value = member,
                None => return true,
            },
        }
    }
    false
}

/// An event with everything that one can have.
fn sample() -> Reading {
    let headers = "fanfare-event: webinar.created.recurring\nfanfare-trigger: created\n\
                   fanfare-series: 0123456789abcdef01234567\nfanfare-series-version: 1\n";
    let body = br#"{"name":"Ana","email":"ana@example.com","phone":15551234567,"timezone":"+05:30","callList":[{
        "webinar":"Title","webinarId":"634fc35ddaf58580e2418c40","webinarLink":"https://example.com/",
        "webinarFromTime":"2024-03-15T10:00:00.000Z","webinarToTime":"2024-03-15T11:00:00.000Z",
        "webinarFromTimeInCreatorTimezone":"2024-03-15T15:30:00.000Z",
        "webinarToTimeInCreatorTimezone":"2024-03-15T16:30:00.000Z","creatorTimezone":"+05:30"}],"mangoes":"Gold"}"#;
    receiver::reading::read(&KeptHeaders::from_text(headers.to_owned()), body, None)
}
