//! Which headers are kept, and that a value cannot pretend to be another header.

use super::*;

fn kept(headers: &[(&str, &[u8])]) -> KeptHeaders {
    let mut kept = KeptHeaders::default();
    for (name, value) in headers {
        kept.offer(name, value);
    }
    kept
}

#[test]
fn ours_are_kept_and_others_are_not() {
    let headers = kept(&[
        ("Fanfare-Event", b"webinar.created.recurring"),
        ("Authorization", b"Bearer secret"),
        ("fanfare-attempt", b"2"),
    ]);
    assert_eq!(headers.as_text(), "fanfare-event: webinar.created.recurring\nfanfare-attempt: 2\n");
    assert_eq!(headers.get("fanfare-event"), Some("webinar.created.recurring"));
    assert_eq!(headers.get("authorization"), None);
}

#[test]
fn they_come_back_from_their_text() {
    let headers = kept(&[("content-type", b"application/json"), ("fanfare-index", b"7")]);
    let read = KeptHeaders::from_text(headers.as_text().to_owned());
    assert_eq!(read, headers);
    let pairs: Vec<_> = read.iter().collect();
    assert_eq!(pairs, [("content-type", "application/json"), ("fanfare-index", "7")]);
}

#[test]
fn a_value_cannot_forge_another_header() {
    let headers = kept(&[("fanfare-event", b"a\nfanfare-attempt: 9"), ("fanfare-series", b"\xff")]);
    assert_eq!(headers.as_text(), "");
}

#[test]
fn of_a_repeated_header_the_first_is_kept() {
    let headers = kept(&[("fanfare-event", b"first"), ("FANFARE-EVENT", b"second")]);
    assert_eq!(headers.iter().collect::<Vec<_>>(), [("fanfare-event", "first")]);
}

#[test]
fn an_endless_value_is_not_kept() {
    assert_eq!(kept(&[("fanfare-event", &[b'x'; 201])]).as_text(), "");
    assert_eq!(kept(&[("fanfare-event", &[b'x'; 200])]).iter().count(), 1);
}

#[test]
fn an_empty_value_is_kept_as_empty() {
    assert_eq!(kept(&[("fanfare-event", b"")]).get("fanfare-event"), Some(""));
}

#[test]
fn the_count_of_inboxes_behind_a_webhook_is_kept() {
    assert_eq!(kept(&[("Fanfare-Hops", b"3")]).get("fanfare-hops"), Some("3"));
}
