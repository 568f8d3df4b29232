//! JSON merge patch (RFC 7396): a field given replaces the old one, `null` takes it away, lists are replaced whole.

use serde_json::{Map, Value};
use webinar::SeriesDraft;

use crate::misfit;
use crate::problem::Problem;

/// The draft after the patch, which is an object, as every body is.
pub(super) fn apply(draft: &SeriesDraft, patch: &Value) -> Result<SeriesDraft, Problem> {
    let mut value = serde_json::to_value(draft).map_err(|error| Problem::internal(&error))?;
    merge(&mut value, patch);
    misfit::read_value(value)
}

/// Its depth is bounded by the JSON parser's.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.as_str()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_merges_as_the_examples_of_the_standard_do() {
        for (original, patch, merged) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut value = original.clone();
            merge(&mut value, &patch);
            assert_eq!(value, merged, "{original} with {patch}");
        }
    }
}
