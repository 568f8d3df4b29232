//! Which messages count as the same, and above all which do not.

mod identity;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn same(one: &str, other: &str) -> bool {
    DedupeKey::of_content(one.as_bytes()) == DedupeKey::of_content(other.as_bytes())
}

#[test]
fn a_short_id_is_its_own_key() {
    assert_eq!(DedupeKey::of_message_id("msg_1").as_bytes(), b"imsg_1");
    let longest = "x".repeat(64);
    assert_eq!(DedupeKey::of_message_id(&longest).as_bytes(), format!("i{longest}").as_bytes());
}

#[test]
fn a_long_id_is_hashed_whole() {
    let (one, other) = ("x".repeat(65), "x".repeat(64) + "y");
    let key = DedupeKey::of_message_id(&one);
    assert_eq!((key.as_bytes()[0], key.as_bytes().len()), (b'h', 33));
    assert_ne!(key, DedupeKey::of_message_id(&other));
}

#[test]
fn ids_that_follow_each_other_are_neighbours_and_no_two_meet() {
    let slots: Vec<u64> = (10..100).map(|number| DedupeKey::of_message_id(&format!("msg_{number}")).slot()).collect();
    assert!(slots.is_sorted_by(|earlier, later| earlier < later && later - earlier < 1 << 16), "{slots:x?}");
    let others = ["msg_x10", "msg-10", "10", "1", ""].map(|id| DedupeKey::of_message_id(id).slot());
    assert!(others.iter().all(|slot| slot.abs_diff(slots[0]) > 1 << 16), "{others:x?}");
}

#[test]
fn ids_that_differ_only_in_case_are_two() {
    assert_ne!(DedupeKey::of_message_id("MSG_1"), DedupeKey::of_message_id("msg_1"));
}

#[test]
fn stored_keys_never_change() {
    // Independently: sha256 of `{"a":1,"b":[true,null]}` and of `hello`.
    let json = DedupeKey::of_content(br#" { "b" : [ true , null ] , "a" : 1 } "#);
    assert_eq!(hex(json.as_bytes()), concat!("6a", "1cc69c7fa23616ca2ec3ee70d24390a6225c8832db8a4c814c7e0e7f942f8668"));
    let body = DedupeKey::of_content(b"hello");
    assert_eq!(hex(body.as_bytes()), concat!("62", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"));
    assert_eq!(hex(ContentDigest::of(b"hello").as_bytes()), "2cf24dba5fb0a30e26e83b2ac5b9e29e");
}

#[test]
fn an_id_and_a_content_never_make_the_same_key() {
    let hash = DedupeKey::of_content(b"hello");
    assert_ne!(hash.as_bytes()[0], DedupeKey::of_message_id("hello").as_bytes()[0]);
    assert_ne!(DedupeKey::of_content(b"{}").as_bytes()[0], hash.as_bytes()[0]);
}

#[test]
fn member_order_and_space_do_not_matter() {
    assert!(same(r#"{"a":1,"b":{"c":[1,2],"d":"x"}}"#, "{\n \"b\": {\"d\":\"x\", \"c\":[1, 2]},\t\"a\":1}\r\n"));
    assert!(same("[]", " [ ] "));
    assert!(same("{}", "{ }"));
    assert!(same("12", " 12\n"));
}

#[test]
fn whatever_could_mean_something_matters() {
    assert!(!same(r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#));
    assert!(!same(r#"{"a":1}"#, r#"{"a":"1"}"#));
    assert!(!same(r#"{"a":"x y"}"#, r#"{"a":"xy"}"#));
    assert!(!same(r#"{"a":null}"#, "{}"));
    assert!(!same(r#"{"a":{"b":1}}"#, r#"{"a":{},"b":1}"#));
    assert!(!same(r#"{"a":"\"} , "}"#, r#"{"a":"\"},"}"#));
}

#[test]
fn numbers_too_great_for_a_float_stay_apart() {
    assert!(!same(r#"{"id":18446744073709551617}"#, r#"{"id":18446744073709551618}"#));
}

#[test]
fn of_two_members_with_one_name_both_count() {
    assert!(!same(r#"{"a":1,"a":2}"#, r#"{"a":3,"a":2}"#));
    assert!(!same(r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#));
    assert!(same(r#"{"a":1,"b":0,"a":2}"#, r#"{"b":0,"a":1,"a":2}"#));
}

#[test]
fn what_is_no_json_is_compared_as_bytes() {
    for (one, other) in [("{a:1}", "{a: 1}"), ("", " "), ("{} {}", "{}  {}"), ("[1,]", "[1, ]")] {
        assert!(!same(one, other), "{one:?} {other:?}");
        assert_eq!(DedupeKey::of_content(one.as_bytes()).as_bytes()[0], b'b', "{one:?}");
    }
}

#[test]
fn endless_nesting_is_compared_as_bytes_without_harm() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(DedupeKey::of_content(nested(64).as_bytes()).as_bytes()[0], b'j');
    for depth in [65, 1_000_000] {
        assert_eq!(DedupeKey::of_content(nested(depth).as_bytes()).as_bytes()[0], b'b');
    }
}

#[test]
fn debug_shows_an_id_as_text() {
    assert_eq!(format!("{:?}", DedupeKey::of_message_id("msg_1")), "DedupeKey(imsg_1)");
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same document with every object's members turned round, in the widest spelling.
fn respelled(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(respelled).collect();
            format!(" [ {} ] ", items.join(" , "))
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| format!("{} :\n{}", Value::from(name.as_str()), respelled(value)))
                .collect();
            members.reverse();
            format!("\t{{ {} }} ", members.join("\r\n,"))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

proptest! {
    #[test]
    fn every_spelling_of_a_document_has_one_key(document in json()) {
        prop_assert!(same(&document.to_string(), &respelled(&document)));
    }

    #[test]
    fn the_canonical_text_is_the_same_document(document in json()) {
        let canonical = canonical_json::canonical(respelled(&document).as_bytes()).expect("JSON");
        prop_assert_eq!(serde_json::from_slice::<Value>(&canonical).expect("JSON"), document);
        prop_assert_eq!(canonical_json::canonical(&canonical).expect("JSON"), canonical);
    }

    #[test]
    fn any_bytes_have_a_key(body: Vec<u8>) {
        prop_assert_eq!(DedupeKey::of_content(&body).as_bytes().len(), 33);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
