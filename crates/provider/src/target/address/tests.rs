use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;

use super::{metadata, not_public};

/// Written out again rather than taken from the code, so that a slip in one of them shows.
const V4_FORBIDDEN: [&str; 19] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

const V6_FORBIDDEN: [&str; 17] = [
    "::/8",
    "::/96",
    "::ffff:0:0:0/96",
    "::5efe:0:0/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "2002::/16",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
    "4000::/2",
];

fn v4_blocks() -> Vec<Ipv4Net> {
    V4_FORBIDDEN.iter().map(|text| text.parse().unwrap()).collect()
}

fn v6_blocks() -> Vec<Ipv6Net> {
    V6_FORBIDDEN.iter().map(|text| text.parse().unwrap()).collect()
}

fn forbidden_v4() -> impl Strategy<Value = Ipv4Addr> {
    (prop::sample::select(v4_blocks()), any::<u32>())
        .prop_map(|(block, bits)| Ipv4Addr::from_bits(block.network().to_bits() | (bits & block.hostmask().to_bits())))
}

fn forbidden_v6() -> impl Strategy<Value = Ipv6Addr> {
    (prop::sample::select(v6_blocks()), any::<u128>())
        .prop_map(|(block, bits)| Ipv6Addr::from_bits(block.network().to_bits() | (bits & block.hostmask().to_bits())))
}

/// Every IPv6 spelling of an IPv4 address; the flag tells whether the spelling is refused whatever it holds.
fn spellings(address: Ipv4Addr, noise: u128) -> Vec<(Ipv6Addr, bool)> {
    let low = u128::from(address.to_bits());
    let at = |prefix: &str| prefix.parse::<Ipv6Addr>().unwrap().to_bits();
    let [a, b, c, d] = address.octets().map(u128::from);
    let local_48 = (a << 72) | (b << 64) | (c << 48) | (d << 40);
    let isatap_prefix = at("2600::") | ((noise << 64) & at("0:ffff:ffff:ffff::"));
    vec![
        (Ipv6Addr::from_bits(low), true),
        (Ipv6Addr::from_bits(at("::ffff:0:0:0") | low), true),
        (Ipv6Addr::from_bits(at("64:ff9b::") | low), false),
        (Ipv6Addr::from_bits(at("64:ff9b:1::") | low), true),
        (Ipv6Addr::from_bits(at("64:ff9b:1::") | local_48), true),
        (Ipv6Addr::from_bits(at("2002::") | (low << 80) | (noise & ((1 << 80) - 1))), true),
        (Ipv6Addr::from_bits(at("2001::") | (u128::from(!address.to_bits()))), true),
        (Ipv6Addr::from_bits(at("::5efe:0:0") | low), true),
        (Ipv6Addr::from_bits(at("::200:5efe:0:0") | isatap_prefix | low), false),
    ]
}

proptest! {
    #[test]
    fn no_forbidden_ipv4_address_is_public(address in forbidden_v4()) {
        prop_assert!(not_public(address.into()).is_some());
    }

    #[test]
    fn no_ipv6_spelling_of_a_forbidden_ipv4_address_is_public(address in forbidden_v4(), noise: u128) {
        for (spelling, _) in spellings(address, noise) {
            prop_assert!(not_public(spelling.into()).is_some(), "{spelling}");
        }
        prop_assert!(not_public(IpAddr::V6(address.to_ipv6_mapped()).to_canonical()).is_some());
    }

    #[test]
    fn no_forbidden_ipv6_address_is_public(address in forbidden_v6()) {
        prop_assert!(not_public(address.into()).is_some(), "{address}");
    }

    #[test]
    fn outside_2000_slash_3_only_nat64_is_public(bits: u128) {
        let address = Ipv6Addr::from_bits(bits);
        if bits >> 125 != 1 && !address.to_string().starts_with("64:ff9b::") {
            prop_assert!(not_public(address.into()).is_some(), "{address}");
        }
    }

    #[test]
    fn any_other_ipv4_address_is_public(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let expected = !v4_blocks().iter().any(|block| block.contains(&address));
        prop_assert_eq!(not_public(address.into()).is_none(), expected, "{}", address);
    }

    #[test]
    fn nat64_and_isatap_spellings_follow_the_address_they_hold(bits: u32, noise: u128) {
        let address = Ipv4Addr::from_bits(bits);
        for (spelling, always_refused) in spellings(address, noise) {
            let expected = always_refused || not_public(address.into()).is_some();
            prop_assert_eq!(not_public(spelling.into()).is_some(), expected, "{}", spelling);
        }
    }

    #[test]
    fn a_metadata_address_is_recognised_in_every_spelling(last: [u8; 2], noise: u128) {
        let address = Ipv4Addr::new(169, 254, last[0], last[1]);
        for (spelling, _) in spellings(address, noise) {
            prop_assert!(metadata(spelling.into()).is_some(), "{spelling}");
        }
    }
}

#[test]
fn ipv4_blocks_end_exactly_where_they_should() {
    let blocks = v4_blocks();
    for block in &blocks {
        assert!(not_public(block.network().into()).is_some(), "first of {block}");
        assert!(not_public(block.broadcast().into()).is_some(), "last of {block}");
        let before = block.network().to_bits().checked_sub(1);
        let after = block.broadcast().to_bits().checked_add(1);
        for neighbour in [before, after].into_iter().flatten().map(Ipv4Addr::from_bits) {
            let in_another = blocks.iter().any(|other| other.contains(&neighbour));
            assert_eq!(not_public(neighbour.into()).is_some(), in_another, "{neighbour}, beside {block}");
        }
    }
}

#[test]
fn every_spelling_of_a_blocks_ends_and_neighbours_is_judged_as_the_address_itself() {
    for block in v4_blocks() {
        let (first, last) = (block.network().to_bits(), block.broadcast().to_bits());
        let edges = [Some(first), Some(last), first.checked_sub(1), last.checked_add(1)];
        for address in edges.into_iter().flatten().map(Ipv4Addr::from_bits) {
            for noise in [0, u128::MAX] {
                for (spelling, always_refused) in spellings(address, noise) {
                    let expected = always_refused || not_public(address.into()).is_some();
                    assert_eq!(not_public(spelling.into()).is_some(), expected, "{spelling} for {address}");
                }
            }
        }
    }
}

#[test]
fn ipv6_blocks_end_exactly_where_they_should() {
    for (address, public) in [
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2000::", true),
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("2001::", false),
        ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:200::", true),
        ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("2001:db8::", false),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2001:db9::", true),
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("2002::", false),
        ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("2003::", true),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("3fff::", false),
        ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false),
        ("3fff:1000::", true),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("4000::", false),
        ("64:ff9b::8.8.8.8", true),
        ("64:ff9b::1:0:0", false),
        ("64:ff9a:ffff:ffff:ffff:ffff:808:808", false),
    ] {
        let parsed: IpAddr = address.parse().unwrap();
        assert_eq!(not_public(parsed).is_none(), public, "{address}");
    }
}

#[test]
fn metadata_addresses_of_the_clouds_are_known() {
    for address in [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd20:ce::254",
    ] {
        assert!(metadata(address.parse().unwrap()).is_some(), "{address}");
    }
    assert!(metadata("100.100.100.201".parse().unwrap()).is_none());
}
