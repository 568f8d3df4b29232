use serde_json::json;

use super::*;

#[test]
fn values_are_written_as_the_type_of_their_parameter_reads_them() {
    for (value, kind, text) in [
        (json!(null), Type::JSONB, None),
        (json!("a"), Type::TEXT, Some("a")),
        (json!("1234567890"), Type::INT8, Some("1234567890")),
        (json!(12.50), Type::NUMERIC, Some("12.5")),
        (json!(true), Type::BOOL, Some("true")),
        (json!(7), Type::TEXT, Some("7")),
        (json!("a"), Type::JSONB, Some("\"a\"")),
        (json!({ "a": [1] }), Type::JSON, Some("{\"a\":[1]}")),
        (json!({ "a": [1] }), Type::TEXT, Some("{\"a\":[1]}")),
        (json!(["a"]), Type::TEXT, Some("[\"a\"]")),
        (json!([]), Type::TEXT_ARRAY, Some("{}")),
        (json!(["a", "b\"\\,{}", null, 1]), Type::TEXT_ARRAY, Some(r#"{"a","b\"\\,{}",NULL,"1"}"#)),
        (json!("a\0b"), Type::TEXT, Some("ab")),
        (json!({ "a\0": "\0\\u0000" }), Type::JSONB, Some(r#"{"a":"\\u0000"}"#)),
    ] {
        assert_eq!(Bound::of(value.clone(), &kind), Bound(text.map(str::to_owned)), "{value} as {kind}");
    }
}
