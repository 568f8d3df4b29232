use serde_json::{Value, json};

use super::Filter;

fn event() -> Value {
    json!({
        "event": "webinar.created.recurring", "trigger": "updated", "test": false,
        "person": { "name": "Ana", "email": "ana@x.org", "phone": null, "offset": "+05:30" },
        "series": null, "mangoes": ["Gold", "Silver"], "sessions": [{ "title": "Clinic" }, { "title": "Talk" }],
        "body": { "plan": { "price": 10 } },
    })
}

fn takes(expression: &str) -> bool {
    Filter::parse(expression).unwrap().takes(&event()).unwrap()
}

#[test]
fn a_filter_decides_by_what_the_event_says() {
    for taken in [
        "'Gold' in mangoes",
        "trigger == 'updated' and not test",
        "person.offset == '+05:30'",
        "sessions|length > 1",
        "body.plan.price >= 10",
        "person.email is not none",
        "'webinar.' in event",
    ] {
        assert!(takes(taken), "{taken}");
    }
    for left in ["'Bronze' in mangoes", "test", "person.phone", "series.version > 1", "sessions[0].title == 'Talk'"] {
        assert!(!takes(left), "{left}");
    }
}

#[test]
fn what_an_event_lacks_is_false_and_no_failure() {
    for left in ["body.nothing", "body.nothing == 'x'", "series.id", "'x' in body.nothing", "sessions[7].title"] {
        let taken = Filter::parse(left).unwrap().takes(&event());
        assert_ne!(taken, Ok(true), "{left}");
    }
}

#[test]
fn a_misspelt_name_is_told_and_does_not_become_a_filter_that_takes_nothing() {
    let error = Filter::parse("'Gold' in mangos").unwrap_err().to_string();

    assert!(error.contains("\"mangos\" is no part of an event") && error.contains("mangoes"), "{error}");
}

#[test]
fn what_is_no_expression_is_refused_in_words() {
    for text in ["", "mangoes ==", "'Gold in mangoes", "{{ test }}", "a b c", "mangoes | nosuchfilter"] {
        assert!(Filter::parse(text).is_err_and(|error| error.to_string().len() > 5), "{text}");
    }
}

#[test]
fn a_filter_that_works_for_ever_is_stopped() {
    let filter =
        Filter::parse("range(9999)|map('string')|join|length * (range(9999)|sum) and mangoes|length > 9").unwrap();
    assert_ne!(filter.takes(&event()), Ok(true));

    let many: Vec<u64> = (0..400_000).collect();
    let slow = Filter::parse("body|select('odd')|map('string')|select('in', ['x'])|list").unwrap();
    assert_ne!(slow.takes(&json!({ "body": many })), Ok(true));
}
