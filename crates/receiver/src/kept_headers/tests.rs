//! Which headers are kept, and that a value cannot pretend to be another header.

use super::*;

fn kept(headers: &[(&str, &[u8])]) -> KeptHeaders {
    let mut kept = Gathering::new();
    for (name, value) in headers {
        kept.offer(name, value);
    }
    kept.finish(Some("x-secret-of-this-scheme"))
}

#[test]
fn ours_come_first_and_others_as_they_came() {
    let headers = kept(&[
        ("X-GitHub-Event", b"push"),
        ("fanfare-attempt", b"2"),
        ("Authorization", b"Bearer secret"),
        ("user-agent", b"x: y"),
        ("Fanfare-Event", b"webinar.created.recurring"),
        ("Webhook-Id", b"msg_1"),
    ]);
    assert_eq!(
        headers.as_text(),
        "webhook-id: msg_1\nfanfare-event: webinar.created.recurring\nfanfare-attempt: 2\nx-github-event: push\n\
         user-agent: x: y\n"
    );
    assert_eq!(headers.get("user-agent"), Some("x: y"));
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
fn what_is_secret_or_of_the_connection_is_not_kept() {
    for name in [
        "authorization",
        "Proxy-Authorization",
        "cookie",
        "X-Api-Key",
        "x-secret-of-this-scheme",
        "webhook-signature",
        "webhook-timestamp",
        "X-Hub-Signature",
        "X-Hub-Signature-256",
        "stripe-signature",
        "x-goog-channel-token",
        "X-Shopify-Hmac-Sha256",
        "host",
        "content-length",
        "connection",
        "transfer-encoding",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "forwarded",
        "x-real-ip",
        "via",
        "",
        "a: b",
        "a\nb",
    ] {
        assert_eq!(kept(&[(name, b"x")]).as_text(), "", "{name}");
    }
    assert_eq!(kept(&[("idempotency-key", b"x")]).as_text(), "idempotency-key: x\n");
}

#[test]
fn a_repeated_header_of_others_is_joined() {
    let headers = kept(&[("X-Tag", b"a"), ("accept", b"*/*"), ("x-tag", b"b"), ("X-TAG", b"c")]);
    assert_eq!(headers.as_text(), "x-tag: a, b, c\naccept: */*\n");
}

#[test]
fn a_flood_of_headers_is_bounded_and_ours_stay() {
    let (names, value): (Vec<_>, _) = ((0..100).map(|number| format!("x-{number}")).collect(), [b'v'; 60]);
    let mut flood: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), value.as_slice())).collect();
    flood.push(("fanfare-event", b"webinar.created.recurring"));
    let headers = kept(&flood);
    assert_eq!(headers.iter().next(), Some(("fanfare-event", "webinar.created.recurring")));
    assert!(headers.as_text().len() <= 4 * 1_024 && headers.iter().count() > 40, "{}", headers.as_text().len());
    assert_eq!(kept(&[("x-long", &[b'x'; 1_025]), ("x-short", b"y")]).as_text(), "x-short: y\n");
    let joined: Vec<(&str, &[u8])> = vec![("x-long", &[b'x'; 400]); 3];
    assert_eq!(kept(&joined).as_text(), "");
}

#[test]
fn the_count_of_inboxes_behind_a_webhook_is_kept() {
    assert_eq!(kept(&[("Fanfare-Hops", b"3")]).get("fanfare-hops"), Some("3"));
}
