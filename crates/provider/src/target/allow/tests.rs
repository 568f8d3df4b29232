use super::{AllowRule, AllowRuleError};

fn rule(text: &str) -> Result<AllowRule, AllowRuleError> {
    text.parse()
}

#[test]
fn networks_and_ports_are_read_in_every_usual_spelling() {
    for (text, address, ports) in [
        ("127.0.0.0/8", "127.9.9.9", None),
        ("127.0.0.0/8:8080", "127.0.0.1", Some(8080..=8080)),
        ("10.1.2.3", "10.1.2.3", None),
        ("10.1.2.3:9000-9010", "10.1.2.3", Some(9000..=9010)),
        ("::1", "::1", None),
        ("::1/128", "::1", None),
        ("[::1]:9000", "::1", Some(9000..=9000)),
        ("[::1]/128:9000", "::1", Some(9000..=9000)),
        ("[fd00::/8]:9000", "fd12::7", Some(9000..=9000)),
        ("fd00::/8", "fd12::7", None),
    ] {
        let rule = rule(text).unwrap();
        assert!(rule.covers(address.parse().unwrap()), "{text}");
        assert_eq!(rule.ports(), ports.as_ref(), "{text}");
    }
}

#[test]
fn a_rule_that_would_open_nothing_or_everything_is_refused_with_the_mend() {
    for (text, words) in [
        ("localhost:8080", "is not a network"),
        ("", "is not a network"),
        ("10.0.0.0/33", "is not a network"),
        ("[::1", "is not a network"),
        ("10.0.0.1/8", "did you mean 10.0.0.0/8"),
        ("0.0.0.0/0", "covers every address"),
        ("::/0", "covers every address"),
        ("::ffff:127.0.0.0/104", "write it as IPv4"),
        ("127.0.0.1:0", "wrong port"),
        ("127.0.0.1:65536", "wrong port"),
        ("127.0.0.1:9010-9000", "wrong port"),
        ("127.0.0.1:", "wrong port"),
    ] {
        let error = rule(text).map(|rule| rule.to_string()).unwrap_err();
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
}

#[test]
fn a_rule_is_written_as_it_is_read() {
    for text in ["127.0.0.0/8", "10.1.2.3/32:80-80", "[fd00::/8]:9000-9010", "fd00::/8"] {
        assert_eq!(rule(text).unwrap().to_string(), text);
    }
}
