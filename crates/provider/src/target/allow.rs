//! One network, and maybe ports, that the operator opens: `127.0.0.0/8`, `10.1.2.3:8080`, `[fd00::/8]:9000-9010`.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;

/// A network that may be called although it is not public. Metadata services stay refused even inside one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowRule {
    net: IpNet,
    ports: Option<RangeInclusive<u16>>,
}

/// Why the text of an [`AllowRule`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AllowRuleError {
    /// Not an address or network.
    #[error("allow-target {0:?} is not a network; write it like 127.0.0.0/8, 10.1.2.3:8080 or [fd00::/8]:9000-9010")]
    Network(String),
    /// Not a port or port range.
    #[error("allow-target {0:?} has a wrong port; write one from 1 to 65535, or a range like 9000-9010")]
    Ports(String),
    /// More address than prefix, usually a slip.
    #[error("allow-target {0:?} has bits beyond its prefix; did you mean {1}")]
    HostBits(String, IpNet),
    /// `/0` would switch the whole check off.
    #[error("allow-target {0:?} covers every address; list the networks you need")]
    Everything(String),
    /// `::ffff:…` is compared as IPv4.
    #[error("allow-target {0:?} is IPv4 written as IPv6; write it as IPv4")]
    MappedIpv4(String),
}

impl AllowRule {
    /// The ports it opens; none means those of the general port rule.
    #[must_use]
    pub fn ports(&self) -> Option<&RangeInclusive<u16>> {
        self.ports.as_ref()
    }

    /// Whether the address, in canonical form, lies in the network.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        self.net.contains(&address)
    }

    pub(super) fn is_single_address(&self) -> bool {
        self.net.prefix_len() == self.net.max_prefix_len()
    }
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (net_text, ports_text) = split_ports(text);
        let net = read_net(net_text).ok_or_else(|| AllowRuleError::Network(text.to_owned()))?;
        if net.prefix_len() == 0 {
            return Err(AllowRuleError::Everything(text.to_owned()));
        }
        if net.trunc() != net {
            return Err(AllowRuleError::HostBits(text.to_owned(), net.trunc()));
        }
        if let IpAddr::V6(address) = net.addr()
            && address.to_ipv4_mapped().is_some()
        {
            return Err(AllowRuleError::MappedIpv4(text.to_owned()));
        }
        let ports = ports_text
            .map(|ports| read_ports(ports).ok_or_else(|| AllowRuleError::Ports(text.to_owned())))
            .transpose()?;
        Ok(Self { net, ports })
    }
}

/// Splits `NET`, `NET:PORTS`, `[NET]:PORTS` and `[ADDRESS]/PREFIX:PORTS`.
/// A bare IPv6 network is full of colons, so its ports need the brackets.
fn split_ports(text: &str) -> (&str, Option<&str>) {
    let colon_is_port = match text.rfind(']') {
        Some(bracket) => text[bracket..].contains(':'),
        None => text.matches(':').count() == 1,
    };
    match text.rsplit_once(':') {
        Some((net, ports)) if colon_is_port => (net, Some(ports)),
        _ => (text, None),
    }
}

fn read_net(text: &str) -> Option<IpNet> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, prefix) = rest.split_once(']')?;
            format!("{address}{prefix}")
        }
        None => text.to_owned(),
    };
    bare.parse().ok().or_else(|| bare.parse::<IpAddr>().ok().map(IpNet::from))
}

fn read_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    (first != 0 && first <= last).then_some(first..=last)
}

impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.net, &self.ports) {
            (net, None) => write!(f, "{net}"),
            (IpNet::V4(net), Some(ports)) => write!(f, "{net}:{}-{}", ports.start(), ports.end()),
            (IpNet::V6(net), Some(ports)) => write!(f, "[{net}]:{}-{}", ports.start(), ports.end()),
        }
    }
}

#[cfg(test)]
mod tests;
