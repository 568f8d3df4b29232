use std::net::{IpAddr, SocketAddr};

use super::{ANSWERS_MAX, Host, PortRule, TargetError, TargetPolicy, TargetUrl};

mod corpus;
mod shape;

fn allowing(rules: &[&str]) -> TargetPolicy {
    TargetPolicy { allow: rules.iter().map(|rule| rule.parse().unwrap()).collect(), ..TargetPolicy::default() }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn vet(policy: &TargetPolicy, texts: &[&str], port: u16) -> Result<Vec<SocketAddr>, TargetError> {
    policy.vet(&addresses(texts), port)
}

#[test]
fn public_answers_are_dialled_in_their_order() {
    let vetted = vet(&TargetPolicy::default(), &["2606:4700::1", "1.1.1.1"], 443).unwrap();

    assert_eq!(vetted, ["[2606:4700::1]:443".parse().unwrap(), "1.1.1.1:443".parse().unwrap()]);
}

#[test]
fn one_private_answer_refuses_all_of_them() {
    for answers in [&["1.1.1.1", "10.0.0.1"][..], &["10.0.0.1", "1.1.1.1"], &["1.1.1.1", "fd00::1"], &["::1"]] {
        let refusal = vet(&TargetPolicy::default(), answers, 443).unwrap_err();
        assert!(matches!(refusal, TargetError::Address { .. }), "{answers:?}");
    }
}

#[test]
fn a_lookup_without_or_with_too_many_answers_is_refused() {
    let policy = TargetPolicy::default();
    let many = vec!["1.1.1.1"; ANSWERS_MAX + 1];

    assert_eq!(vet(&policy, &[], 443), Err(TargetError::NoAddress));
    assert_eq!(vet(&policy, &many, 443), Err(TargetError::TooManyAddresses));
    assert!(vet(&policy, &many[1..], 443).is_ok());
}

#[test]
fn mapped_ipv4_is_dialled_as_ipv4() {
    let vetted = vet(&TargetPolicy::default(), &["::ffff:1.1.1.1"], 443).unwrap();

    assert_eq!(vetted, ["1.1.1.1:443".parse().unwrap()]);
}

#[test]
fn an_allowed_network_opens_its_ports_and_nothing_beside() {
    let policy = allowing(&["10.1.0.0/16:8080", "127.0.0.0/8"]);

    assert!(vet(&policy, &["10.1.2.3"], 8080).is_ok());
    assert!(vet(&policy, &["::ffff:10.1.2.3"], 8080).is_ok());
    assert!(vet(&policy, &["127.0.0.1"], 9999).is_ok());
    assert!(vet(&policy, &["10.1.2.3"], 8081).is_err());
    assert!(vet(&policy, &["127.0.0.1"], 25).is_err(), "without ports of its own a rule keeps the general ones");
    assert!(vet(&policy, &["10.2.0.1"], 8080).is_err());
    assert!(vet(&policy, &["64:ff9b::7f00:1"], 8080).is_err());
}

#[test]
fn metadata_services_stay_refused_inside_an_allowed_network() {
    let policy =
        allowing(&["169.254.0.0/16", "100.64.0.0/10", "fd00::/8", "64:ff9b::/96", "2002::/16", "168.63.129.16"]);

    for address in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "fd00:ec2::254",
        "fd20:ce::254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "168.63.129.16",
        "::ffff:169.254.169.254",
    ] {
        assert!(vet(&policy, &[address], 8080).is_err(), "{address}");
    }
    assert!(vet(&policy, &["100.64.0.1"], 8080).is_ok());
}

#[test]
fn the_machines_own_addresses_are_refused_in_every_spelling() {
    let policy = TargetPolicy { own_addresses: addresses(&["8.8.4.4", "2600::7"]), ..TargetPolicy::default() };

    for address in ["8.8.4.4", "::ffff:8.8.4.4", "64:ff9b::808:404", "2600::7"] {
        assert!(vet(&policy, &[address], 443).is_err(), "{address}");
    }
    assert!(vet(&policy, &["8.8.8.8"], 443).is_ok());
}

#[test]
fn only_a_rule_for_that_very_address_or_loopback_opens_this_machine() {
    let own_addresses = addresses(&["10.0.0.5", "127.0.0.1"]);
    let wide = TargetPolicy { own_addresses: own_addresses.clone(), ..allowing(&["10.0.0.0/8", "127.0.0.0/8"]) };
    let exact = TargetPolicy { own_addresses, ..allowing(&["10.0.0.5:8080"]) };

    assert!(vet(&wide, &["10.0.0.5"], 8080).is_err());
    assert!(vet(&wide, &["10.0.0.6"], 8080).is_ok());
    assert!(vet(&wide, &["127.0.0.1"], 8080).is_ok());
    assert!(vet(&exact, &["10.0.0.5"], 8080).is_ok());
}

#[test]
fn localhost_stands_for_the_loopback_addresses_that_are_allowed() {
    let policy = allowing(&["127.0.0.1:8080", "::1:9000"]);

    let url = policy.parse("http://LOCALHOST:8080/hook").unwrap();

    assert_eq!(url.host(), Host::Localhost);
    assert_eq!(policy.loopback(8080), addresses(&["127.0.0.1"]));
    assert!(policy.parse("http://app.localhost:8080/").is_ok());
    assert_eq!(policy.parse("http://localhost:8081/"), Err(TargetError::PrivateName));
    assert_eq!(TargetPolicy::default().parse("http://localhost:8080/"), Err(TargetError::PrivateName));
}

#[test]
fn ports_follow_the_rule_of_the_policy() {
    let usual = TargetPolicy::default();
    let only = TargetPolicy { ports: PortRule::Only(vec![443..=443, 8000..=8999]), ..TargetPolicy::default() };

    for (port, by_usual, by_only) in [
        (22, false, false),
        (25, false, false),
        (80, true, false),
        (443, true, true),
        (8080, true, true),
        (65535, true, false),
    ] {
        let url = format!("http://example.com:{port}/");
        assert_eq!(usual.parse(&url).is_ok(), by_usual, "{port}");
        assert_eq!(only.parse(&url).is_ok(), by_only, "{port}");
        assert_eq!(vet(&only, &["1.1.1.1"], port).is_ok(), by_only, "{port}");
    }
    assert!(allowing(&["10.1.2.3:25"]).parse("http://mail.example.com:25/").is_ok(), "its address is vetted later");
    assert!(vet(&allowing(&["10.1.2.3:25"]), &["1.1.1.1"], 25).is_err());
}

#[test]
fn http_is_refused_where_tls_is_required() {
    let policy = TargetPolicy { https_only: true, ..TargetPolicy::default() };

    assert_eq!(policy.parse("http://example.com/"), Err(TargetError::HttpsOnly));
    assert!(policy.parse("https://example.com/").is_ok());
}

#[test]
fn a_refusal_tells_the_tenant_no_address() {
    let refusal = vet(&TargetPolicy::default(), &["10.20.30.40"], 443).unwrap_err();

    assert_eq!(refusal.code(), "E_INVALID_TARGET");
    assert!(!refusal.to_string().contains("10.20"));
    assert_eq!(refusal.operator_detail(), "10.20.30.40 is private (RFC 1918)");
}

#[test]
fn a_url_shows_its_path_to_nobody_who_only_logs_it() {
    let url = TargetPolicy::default().parse("https://example.com/in/secret?token=7").unwrap();

    assert_eq!(format!("{url:?}"), "TargetUrl(https://example.com…)");
}

#[test]
fn the_parts_of_a_url_are_those_of_its_canonical_text() {
    let url = TargetPolicy::default().parse("https://Example.com.:8443/a b?c=d".replace(' ', "%20").as_str()).unwrap();

    assert_eq!(url.as_str(), "https://example.com:8443/a%20b?c=d");
    assert_eq!(url.host(), Host::Name("example.com"));
    assert_eq!((url.authority(), url.host_text(), url.port()), ("example.com:8443", "example.com", 8443));
    assert_eq!(url.path_and_query(), "/a%20b?c=d");
    assert!(url.is_tls());
}

#[test]
fn a_literal_ipv6_host_keeps_its_brackets() {
    let url: TargetUrl = TargetPolicy::default().parse("http://[2606:4700:0::1]:80").unwrap();

    assert_eq!((url.authority(), url.host_text(), url.port()), ("[2606:4700::1]", "[2606:4700::1]", 80));
    assert_eq!(url.host(), Host::Address("2606:4700::1".parse().unwrap()));
    assert_eq!(url.path_and_query(), "/");
}
