//! What holds for every accepted text, however it came about.

use proptest::prelude::*;

use super::super::{Host, TargetPolicy, TargetUrl, URL_BYTES_MAX};
use super::allowing;

/// Pieces that parsers are known to disagree on, in any order.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "http",
        "https",
        "HTTP",
        "ftp",
        ":",
        "//",
        "/",
        "\\",
        "@",
        "#",
        "?",
        "&",
        "=",
        "%",
        "%00",
        "%2e",
        "%40",
        "%25",
        ".",
        "..",
        "[",
        "]",
        "::",
        "::1",
        "::ffff:",
        "127.0.0.1",
        "0x7f",
        "0177",
        "1",
        "1.1.1.1",
        "8.8.8.8",
        "example",
        "com",
        "localhost",
        "xn--",
        "-",
        "_",
        "a",
        "\t",
        "\n",
        " ",
        "\u{ad}",
        "。",
        "ß",
        "80",
        ":443",
        ":0",
        ":65536",
        "{}",
        "\"",
        "|",
        "~",
        "+",
        "*",
        ";",
        "2606:4700::1",
        "é",
    ]);
    let scheme = prop::sample::select(vec!["http://", "https://", "http:", "https:/", "HTTP://", "", "gopher://"]);
    (scheme, prop::collection::vec(piece, 0..12)).prop_map(|(scheme, pieces)| scheme.to_owned() + &pieces.concat())
}

fn plausible_text() -> impl Strategy<Value = String> {
    ("https?", "[a-z0-9.-]{1,20}", prop::option::of(1u16..), "[!-~]{0,30}").prop_map(|(scheme, host, port, path)| {
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{scheme}://{host}.com{port}/{path}")
    })
}

/// The proof the other crates rely on.
fn check_accepted(text: &str) -> Result<(), TestCaseError> {
    let policy = allowing(&["127.0.0.1"]);
    let Ok(url) = policy.parse(text) else {
        return Ok(());
    };
    let canonical = url.as_str();
    prop_assert!(canonical.starts_with("https://") || canonical.starts_with("http://"));
    prop_assert!(canonical.len() <= URL_BYTES_MAX && canonical.bytes().all(|byte| byte.is_ascii_graphic()));
    let again = policy.parse(canonical);
    prop_assert_eq!(again.as_ref().map(TargetUrl::as_str), Ok(canonical), "not canonical");

    let other: http::Uri = canonical.parse().map_err(|error| TestCaseError::fail(format!("{canonical}: {error}")))?;
    prop_assert_eq!(other.host(), Some(url.host_text()));
    prop_assert_eq!(other.port_u16().unwrap_or(if url.is_tls() { 443 } else { 80 }), url.port());
    prop_assert_eq!(other.authority().map(http::uri::Authority::as_str), Some(url.authority()));
    prop_assert!(!url.authority().contains('@') && !canonical.contains('#'));
    prop_assert_eq!(other.path_and_query().map(http::uri::PathAndQuery::as_str), Some(url.path_and_query()));
    if let Host::Name(name) = url.host() {
        prop_assert!(name.contains('.') && !name.ends_with('.') && name.parse::<std::net::IpAddr>().is_err());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_accepted_hostile_text_is_canonical_and_read_alike_by_both_parsers(text in hostile_text()) {
        check_accepted(&text)?;
    }

    #[test]
    fn an_accepted_plausible_text_is_canonical_and_read_alike_by_both_parsers(text in plausible_text()) {
        check_accepted(&text)?;
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        check_accepted(&text)?;
    }
}

#[test]
fn a_url_of_the_greatest_length_is_accepted_and_one_more_is_not() {
    let of_length = |length: usize| format!("https://example.com/{}", "a".repeat(length - 20));
    let policy = TargetPolicy::default();

    assert!(policy.parse(&of_length(URL_BYTES_MAX)).is_ok());
    assert!(policy.parse(&of_length(URL_BYTES_MAX + 1)).is_err());
    assert!(policy.parse(&of_length(1900).replace("aaa", "\"\"\"")).is_err(), "too long once encoded");
}

#[test]
fn name_lengths_follow_dns() {
    let policy = TargetPolicy::default();
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));

    assert!(policy.parse(&format!("https://{longest}/")).is_ok());
    assert!(policy.parse(&format!("https://{longest}a/")).is_err());
    assert!(policy.parse(&format!("https://{label}a.com/")).is_err());
}
