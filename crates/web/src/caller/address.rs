//! Where a request comes from.

use std::net::{IpAddr, Ipv6Addr};

use http::Extensions;

/// The address at the other end of a connection; the accept loop puts it beside each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl ClientAddress {
    /// The address a request came from; `None` where it came without a connection, as in tests.
    pub(crate) fn of(extensions: &Extensions) -> Option<IpAddr> {
        extensions.get::<ClientAddress>().map(|ClientAddress(address)| address.to_canonical())
    }
}

/// Whom one address stands for: an IPv6 customer has at least a /64, in which every address is theirs to use.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}
