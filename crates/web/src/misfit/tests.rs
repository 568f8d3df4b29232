//! What a person is told of JSON and of queries that do not fit.

use serde_json::json;
use webinar::SeriesDraft;

use super::*;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Small {
    #[serde(rename = "size")]
    _size: Option<u16>,
}

#[track_caller]
fn refused<T: DeserializeOwned>(body: &str) -> (&'static str, String) {
    let problem = read_object::<T>(body.as_bytes()).err().expect("a refusal");
    (problem.code, problem.detail)
}

#[test]
fn what_is_no_json_is_malformed_and_what_is_no_object_is_told_to_be_one() {
    for body in ["", "{", "{\"size\":1}x", "\u{0}"] {
        assert_eq!(refused::<Small>(body).0, "malformed_json", "{body:?}");
    }
    for body in ["[1]", " [[1]]", "null", "\"size\"", "7"] {
        let (code, detail) = refused::<Small>(body);
        assert_eq!((code, detail.contains("give a JSON object")), ("invalid", true), "{body} {detail}");
    }
    assert!(read_object::<Small>(b" \n{\"size\":1}").is_ok());
}

#[test]
fn a_value_of_the_wrong_kind_is_told_with_its_place_in_words_of_json() {
    let draft = json!({"title": "t", "link": "l", "timezone": "UTC", "start": "s", "durationMinutes": 60});
    for (field, value, told) in [
        ("durationMinutes", json!("60"), "/durationMinutes: must be a whole number, not the text \"60\""),
        ("durationMinutes", json!(1.5), "/durationMinutes: must be a whole number, not the number 1.5"),
        ("title", json!(7), "/title: must be text, not the number 7"),
        ("title", json!(null), "/title: must be text, not null"),
        ("mangoes", json!("all"), "/mangoes: must be a list, not the text \"all\""),
        ("mangoes", json!(["a", {}]), "/mangoes/1: must be text, not an object"),
        (
            "overrides",
            json!([{"session": "x", "cancelled": "yes"}]),
            "/overrides/0/cancelled: must be true or false, not the text \"yes\"",
        ),
        ("overrides", json!([{"start": "x"}]), "/overrides/0/session: is missing"),
        ("overrides", json!(["x"]), "/overrides/0: must be an object, not the text \"x\""),
        ("lateJoiners", json!("never"), "/lateJoiners: must be \"announce\" or \"wait\", not \"never\""),
    ] {
        let mut draft = draft.clone();
        draft[field] = value;
        let (code, detail) = refused::<SeriesDraft>(&draft.to_string());
        assert_eq!((code, detail.as_str()), ("invalid", told));
        let problem = read_value::<SeriesDraft>(draft).unwrap_err();
        assert_eq!(problem.detail, told);
    }
}

#[test]
fn a_name_given_twice_is_refused_wherever_it_stands() {
    for (body, told) in [
        ("{\"size\":1,\"size\":1}", "/size: is given twice; keep one"),
        ("{\"a\":[{},{\"b\":{\"c\":1,\"\\u0063\":2}}]}", "/a/1/b/c: is given twice; keep one"),
    ] {
        assert_eq!(refused::<serde_json::Value>(body), ("invalid", told.to_owned()), "{body}");
    }
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    assert_eq!(refused::<SeriesDraft>("{}").1, "/title: is missing");
    let (_, detail) = refused::<Small>("{\"a`/~, expected `b`\":1}");
    assert_eq!(detail, "/a`~1~0, expected `b`: is not known here; there is \"size\"");
    assert_eq!(refused::<Small>("{\"size\":70000}").1, "/size: must be a whole number, not the number 70000");
}

#[test]
fn a_query_is_told_by_the_name_of_the_parameter() {
    for (reason, told) in [
        ("dryRun: provided string was not `true` or `false`", "dryRun takes true or false"),
        ("limit: invalid digit found in string", "limit takes a whole number"),
        ("unknown field `x`, expected `limit` or `cursor`", "x is not known here; there is \"limit\" or \"cursor\""),
        ("unknown field `x`, there are no fields", "x is not known here; leave it out"),
        ("size: something else", "size something else"),
    ] {
        let problem = of_query(&format!("Failed to deserialize query string: {reason}"));
        assert_eq!((problem.code, problem.detail.as_str()), ("invalid_query", told));
    }
}
