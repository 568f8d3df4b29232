//! When a message without an id repeats another: by what it says, whatever the spelling, and never when it says more.

use super::*;

const CREATED: &str = r#"{"name":"John Doe","email":"john@example.com","phone":1234567890,"timezone":"+05:30","callList":[{"webinar":"Introduction to Digital Marketing","webinarId":"634fc35ddaf58580e2418c40","webinarLink":"https://meet.google.com/abc-defg-hij","webinarFromTime":"2024-03-15T10:00:00.000Z","webinarToTime":"2024-03-15T11:00:00.000Z","webinarFromTimeInCreatorTimezone":"2024-03-15T15:30:00.000Z","webinarToTimeInCreatorTimezone":"2024-03-15T16:30:00.000Z","creatorTimezone":"+05:30"}],"mangoes":"mango1, mango2, mango3"}"#;
const EVENT: Option<&str> = Some("webinar.created.recurring");

fn identity(body: &str) -> Identity {
    identify(None, &KeptHeaders::default(), body.as_bytes(), EVENT)
}

/// The example with one text replaced that is in it.
fn with(from: &str, to: &str) -> String {
    assert!(CREATED.contains(from), "{from}");
    CREATED.replacen(from, to, 1)
}

/// A body of known JSON, member by member.
fn rewritten(change: impl Fn(&mut Value)) -> String {
    let mut body = serde_json::from_str(CREATED).unwrap();
    change(&mut body);
    body.to_string()
}

#[test]
fn a_stored_key_of_a_meaning_never_changes() {
    // Independently: lengths, texts and numbers as `meaning.rs` lists them, hashed elsewhere.
    let key = identity(CREATED).key;
    assert_eq!(hex(key.as_bytes()), concat!("6d", "f9bd090548fa368a33923fd87b5fb1ac38786dda2763febb567c93e8c937b3b5"));
}

#[test]
fn an_id_is_enough_and_the_body_is_not_looked_at() {
    let identity = |body: &[u8]| identify(Some("msg_1"), &KeptHeaders::default(), body, EVENT);
    assert_eq!(identity(CREATED.as_bytes()), identity(b"\xff"));
    let Identity { key, slot } = identity(b"");
    assert_eq!((key, slot), (DedupeKey::of_message_id("msg_1"), key.slot()));
}

#[test]
fn what_is_no_webinar_payload_is_recognised_by_its_content() {
    for body in [r#"{"orderId":1}"#, "hello", "", r#"{"event":"order.created.failed","callList":[]}"#] {
        let Identity { key, slot } = identify(None, &KeptHeaders::default(), body.as_bytes(), None);
        assert_eq!((key, slot), (DedupeKey::of_content(body.as_bytes()), key.slot()), "{body}");
    }
}

#[test]
fn every_way_of_writing_one_event_has_one_key() {
    let known = identity(CREATED);
    for body in [
        rewritten(|_| ()),
        with(":1234567890", r#":"1234567890""#),
        with(":1234567890", r#":"+1234567890""#),
        with(":1234567890", r#":"01234567890""#),
        with(":1234567890", ":1.23456789e9"),
        with("10:00:00.000Z", "10:00Z"),
        with("2024-03-15T10:00:00.000Z", "2024-03-15T15:30:00+05:30"),
        with("15:30:00.000Z", "15:30:00"),
        with("15:30:00.000Z", "15:30:00+05:30"),
        with("15:30:00.000Z", "10:00:00Z"),
        with("John Doe", " John Doe\\n"),
        with("john@", "John@"),
        with("+05:30", "+0530"),
        with("\"mango1, mango2, mango3\"", r#"["mango1","mango2","mango3"]"#),
        with("{", r#"{"sentAt":"now","attempt":2,"#),
        with(r#""creatorTimezone":"+05:30""#, r#""creatorTimezone":null"#),
        format!("\u{feff}\n{CREATED} "),
        format!(r#"{{"data":{CREATED}}}"#),
    ] {
        assert_eq!(identity(&body), known, "{body}");
    }
}

#[test]
fn every_change_of_what_is_said_has_another_key_in_the_same_slot() {
    let known = identity(CREATED);
    let mut keys = vec![known.key];
    for (from, to) in [
        ("John Doe", "John  Doe"),
        (":1234567890", ":1234567891"),
        (":1234567890", ":null"),
        (r#""timezone":"+05:30""#, r#""timezone":null"#),
        (r#""timezone":"+05:30""#, r#""timezone":"+05:00""#),
        (r#""timezone":"+05:30""#, r#""timezone":"Asia/Kolkata""#),
        ("Introduction to", "Introduction into"),
        ("abc-defg-hij", "abc-defg-hik"),
        ("T10:00:00.000Z", "T10:00:00.001Z"),
        ("T11:00:00.000Z", "T11:15:00.000Z"),
        (r#""webinarToTime":"2024-03-15T11:00:00.000Z""#, r#""webinarToTime":"soon""#),
        (r#""webinarToTime":"2024-03-15T11:00:00.000Z""#, r#""webinarToTime":"later""#),
        ("mango1, ", ""),
        ("mango1", "mango4"),
    ] {
        let Identity { key, slot } = identity(&with(from, to));
        assert!(!keys.contains(&key), "{from} became {to}");
        assert_eq!(slot, known.slot, "{from} became {to}");
        keys.push(key);
    }
}

#[test]
fn other_people_events_and_sessions_have_other_slots() {
    let known = identity(CREATED);
    let reminder = identify(None, &KeptHeaders::default(), CREATED.as_bytes(), Some("webinar.reminder.15min"));
    for other in [identity(&with("john@", "joan@")), identity(&with("634fc3", "634fc4")), reminder] {
        assert_ne!(other.key, known.key);
        assert_ne!(other.slot, known.slot);
    }
}

#[test]
fn a_session_more_or_less_or_elsewhere_in_the_list_is_news() {
    let session = |id: &str| serde_json::json!({"webinarId": id, "webinar": "A", "webinarLink": "https://x"});
    let list = |ids: &[&str]| {
        let sessions: Vec<_> = ids.iter().map(|id| session(id)).collect();
        identity(&rewritten(|body| body["callList"] = sessions.clone().into()))
    };
    let known = list(&["a", "b", "c"]);
    assert_eq!(list(&["a", "b", "b", "c"]), known);
    for other in [list(&["a", "b"]), list(&["a", "b", "c", "d"]), list(&["a", "c", "b"])] {
        assert_ne!(other.key, known.key);
        assert_eq!(other.slot, known.slot);
    }
}

#[test]
fn a_state_that_comes_back_meets_another_in_its_slot() {
    let (first, moved) = (identity(CREATED), identity(&with("T10:00:00.000Z", "T09:00:00.000Z")));
    // As a store does: the newest of a slot is compared by its key.
    let mut slots = std::collections::BTreeMap::new();
    let stored = [first, first, moved, first, first].map(|Identity { key, slot }| slots.insert(slot, key) != Some(key));
    assert_eq!(stored, [true, false, true, true, false]);
}

/// One change of the example that says something else: a member of the person or of the session, and its new value.
fn change() -> impl Strategy<Value = (&'static str, String)> {
    let text = "[a-zA-Zé🥭][a-zA-Zé🥭 ]{0,12}[a-z]";
    prop_oneof![
        text.prop_map(|text| ("/name", text)),
        "[a-z]{1,9}@[a-z]{1,9}".prop_map(|text| ("/email", text)),
        "[1-9][0-9]{6,14}".prop_map(|text| ("/phone", text)),
        (0..14).prop_map(|hour| ("/timezone", format!("+{hour:02}:15"))),
        text.prop_map(|text| ("/callList/0/webinar", text)),
        "[0-9a-f]{24}".prop_map(|text| ("/callList/0/webinarId", text)),
        text.prop_map(|text| ("/callList/0/webinarLink", text)),
        (0..24, 0..60).prop_map(|(h, m)| ("/callList/0/webinarFromTime", format!("2024-03-14T{h:02}:{m:02}:00.000Z"))),
        (0..24, 0..60).prop_map(|(h, m)| ("/callList/0/webinarToTime", format!("2024-03-16T{h:02}:{m:02}:00.000Z"))),
        text.prop_map(|text| ("/mangoes", text)),
    ]
}

proptest! {
    #[test]
    fn two_changes_have_one_key_only_if_they_are_one(one in change(), other in change()) {
        let changed = |(pointer, value): &(&str, String)| {
            identity(&rewritten(|body| *body.pointer_mut(pointer).unwrap() = value.as_str().into())).key
        };
        prop_assert_eq!(changed(&one) == changed(&other), one == other);
        prop_assert_ne!(changed(&one), identity(CREATED).key);
    }

    #[test]
    fn every_spelling_of_a_change_has_its_key(change in change(), extra in any::<String>()) {
        let mut body: Value = serde_json::from_str(CREATED).unwrap();
        *body.pointer_mut(change.0).unwrap() = change.1.as_str().into();
        // Against the instant that changed they would be a contradiction, of which every letter counts.
        body["callList"][0]["webinarFromTimeInCreatorTimezone"] = Value::Null;
        body["callList"][0]["webinarToTimeInCreatorTimezone"] = Value::Null;
        let plain = identity(&body.to_string());
        body[format!("x{extra}")] = extra.as_str().into();
        prop_assert_eq!(identity(&respelled(&body)), plain);
    }
}
