//! Which addresses are public. IPv4 has a deny list; IPv6 an allow list, since only 2000::/3 is given out for
//! unicast and a deny list would go stale. IPv4 inside IPv6 is decoded, because the network decodes it too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Blocks of the IANA IPv4 special-purpose registry, and what else is no webhook receiver.
const V4_REFUSED: [(Ipv4Net, &str); 19] = [
    (v4(0, 0, 0, 0, 8), "in 0.0.0.0/8, which reaches this machine"),
    (v4(10, 0, 0, 0, 8), "private (RFC 1918)"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT (RFC 6598)"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private (RFC 1918)"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols (RFC 6890)"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 31, 196, 0, 24), "AS112"),
    (v4(192, 52, 193, 0, 24), "AMT relay"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private (RFC 1918)"),
    (v4(192, 175, 48, 0, 24), "AS112"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved or broadcast"),
    (v4(168, 63, 129, 16, 32), "a metadata service"),
];

/// All that is given out for global unicast (RFC 4291, section 2.4, and IANA's registry).
const V6_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Blocks inside 2000::/3 that are no ordinary hosts.
const V6_REFUSED: [(Ipv6Net, &str); 4] = [
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "reserved for protocols, such as Teredo and ORCHID"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
];

/// Where clouds hand out credentials. Refused even inside an allowed network: nobody means to post there.
const METADATA: [IpNet; 6] = [
    // AWS, Google, Azure, Oracle and most others, also the container variants 169.254.170.2 and .23.
    IpNet::V4(v4(169, 254, 0, 0, 16)),
    IpNet::V4(v4(100, 100, 100, 200, 32)),                // Alibaba
    IpNet::V4(v4(192, 0, 0, 192, 32)),                    // Oracle
    IpNet::V4(v4(168, 63, 129, 16, 32)),                  // Azure WireServer
    IpNet::V6(v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32)), // AWS
    IpNet::V6(v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0], 32)),  // Google
];

/// A DNS64 network answers with these for every IPv4 host (RFC 6052, section 2.1).
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const NAT64_LOCAL: Ipv6Net = v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
const COMPATIBLE: Ipv6Net = v6([0, 0, 0, 0, 0, 0, 0, 0], 96);
const SIIT: Ipv6Net = v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96);

/// Says what the address is if it is not public. Expects the canonical form (mapped IPv4 as IPv4).
pub(super) fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => v4_refused(address),
        IpAddr::V6(address) if NAT64.contains(&address) => v4_refused(last_32_bits(address)),
        IpAddr::V6(address) if !V6_UNICAST.contains(&address) => Some("outside 2000::/3, the public IPv6 addresses"),
        IpAddr::V6(address) => V6_REFUSED
            .iter()
            .find(|(block, _)| block.contains(&address))
            .map(|(_, what)| *what)
            .or_else(|| isatap(address).and_then(v4_refused)),
    }
}

/// Says so if the address is, in any spelling, a cloud's metadata service.
pub(super) fn metadata(address: IpAddr) -> Option<&'static str> {
    meanings(address)
        .any(|meaning| METADATA.iter().any(|block| block.contains(&meaning)))
        .then_some("a metadata service")
}

/// The address itself and every IPv4 address that some translator or tunnel would make of it.
pub(super) fn meanings(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let embedded = match address {
        IpAddr::V4(_) => [None; 3],
        IpAddr::V6(address) => [by_prefix(address), nat64_local_48(address), isatap(address)],
    };
    std::iter::once(address).chain(embedded.into_iter().flatten().map(IpAddr::V4))
}

fn v4_refused(address: Ipv4Addr) -> Option<&'static str> {
    V4_REFUSED.iter().find(|(block, _)| block.contains(&address)).map(|(_, what)| *what)
}

fn by_prefix(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let holds_last = [COMPATIBLE, SIIT, NAT64, NAT64_LOCAL].iter().any(|block| block.contains(&address));
    if holds_last || address.to_ipv4_mapped().is_some() {
        return Some(last_32_bits(address));
    }
    if TEREDO.contains(&address) {
        // The client's address is stored inverted (RFC 4380, section 4).
        return Some(Ipv4Addr::from_bits(!last_32_bits(address).to_bits()));
    }
    let [_, _, a, b, c, d, ..] = address.octets();
    SIX_TO_FOUR.contains(&address).then_some(Ipv4Addr::new(a, b, c, d))
}

/// With a prefix of 48 bits, octet 8 lies between the halves (RFC 6052, section 2.2).
fn nat64_local_48(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    NAT64_LOCAL.contains(&address).then(|| Ipv4Addr::new(octets[6], octets[7], octets[9], octets[10]))
}

/// Under any prefix, told by its interface identifier (RFC 5214, section 6.1).
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    (matches!(segments[4], 0 | 0x200) && segments[5] == 0x5efe).then(|| last_32_bits(address))
}

fn last_32_bits(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

#[cfg(test)]
mod tests;
