//! The addresses of this machine's interfaces, for [`provider::target::TargetPolicy::own_addresses`].

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

/// Every address of every interface, at this moment. Addresses that a router translates to this machine are not
/// among them; the operator has to name those.
///
/// # Errors
/// If the operating system refuses to list them.
pub fn own_addresses() -> io::Result<Vec<IpAddr>> {
    Ok(getifaddrs()?.filter_map(|interface| ip_of(&interface.address?)).collect())
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::own_addresses;

    #[test]
    fn loopback_is_among_the_addresses_of_this_machine() {
        assert!(own_addresses().unwrap().iter().any(std::net::IpAddr::is_loopback));
    }
}
