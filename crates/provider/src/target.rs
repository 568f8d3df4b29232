//! Decides which URLs and addresses may be called: never this machine, a private network or a cloud's metadata
//! service, unless the operator lists the network. Resolving and dialling are done elsewhere (`egress`).

mod address;
mod allow;
mod error;
mod url;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

pub use self::allow::{AllowRule, AllowRuleError};
pub use self::error::TargetError;
pub use self::url::{Host, TargetUrl, URL_BYTES_MAX};

/// More answers than this for one name are refused. Large delivery networks give about 16; a list far beyond that
/// only makes us work, or hides one bad address among many.
pub const ANSWERS_MAX: usize = 32;

/// The rules for every outgoing request, built once by the binary. The default allows public addresses only.
#[derive(Debug, Clone, Default)]
pub struct TargetPolicy {
    /// Refuse `http://` URLs.
    pub https_only: bool,
    /// Which ports of public addresses may be called.
    pub ports: PortRule,
    /// Networks the operator opens although they are not public.
    pub allow: Vec<AllowRule>,
    /// This machine's addresses, of its interfaces and those it is known by outside: a call to one of them would
    /// arrive over loopback, behind the firewall.
    pub own_addresses: Vec<IpAddr>,
}

/// Which ports of public addresses may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PortRule {
    /// 80, 443 and everything from 1024: what web applications listen on, and none of the old system services.
    #[default]
    WebAndHigh,
    /// These ports only.
    Only(Vec<RangeInclusive<u16>>),
}

impl PortRule {
    fn admits(&self, port: u16) -> bool {
        match self {
            Self::WebAndHigh => matches!(port, 80 | 443 | 1024..),
            Self::Only(ranges) => ranges.iter().any(|range| range.contains(&port)),
        }
    }
}

impl TargetPolicy {
    /// Reads a URL somebody typed. What it accepts is canonical and may be stored; a host given as an address is
    /// already vetted, a name is vetted again after each lookup.
    ///
    /// # Errors
    /// Says which part of the URL is refused and how to mend it.
    pub fn parse(&self, text: &str) -> Result<TargetUrl, TargetError> {
        let url = TargetUrl::from_text(text)?;
        if self.https_only && !url.is_tls() {
            return Err(TargetError::HttpsOnly);
        }
        match url.host() {
            Host::Name(_) if self.may_admit_port(url.port()) => Ok(url),
            Host::Name(_) => Err(TargetError::Port(url.port())),
            Host::Localhost if self.loopback(url.port()).is_empty() => Err(TargetError::PrivateName),
            Host::Localhost => Ok(url),
            Host::Address(address) => self.check(address, url.port()).map(|_| url),
        }
    }

    /// The addresses `localhost` stands for, of those the operator allows at this port. It is never looked up:
    /// a name server's answer for it would be an attack or a mistake.
    #[must_use]
    pub fn loopback(&self, port: u16) -> Vec<IpAddr> {
        [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            .into_iter()
            .filter(|address| self.check(*address, port).is_ok())
            .collect()
    }

    /// Vets all answers of a lookup and returns what may be dialled: exactly these, with mapped IPv4 as IPv4.
    ///
    /// # Errors
    /// One forbidden answer refuses them all, because public and private answers together are how a name is rebound.
    pub fn vet(&self, addresses: &[IpAddr], port: u16) -> Result<Vec<SocketAddr>, TargetError> {
        if addresses.is_empty() {
            return Err(TargetError::NoAddress);
        }
        if addresses.len() > ANSWERS_MAX {
            return Err(TargetError::TooManyAddresses);
        }
        addresses.iter().map(|address| self.check(*address, port)).collect()
    }

    fn check(&self, address: IpAddr, port: u16) -> Result<SocketAddr, TargetError> {
        let address = address.to_canonical();
        if let Some(reason) = address::metadata(address) {
            return Err(TargetError::Address { address, reason });
        }
        let is_own = address::meanings(address).any(|meaning| self.own_addresses.contains(&meaning));
        if self.allow.iter().any(|rule| self.opens(rule, address, port, is_own)) {
            return Ok(SocketAddr::new(address, port));
        }
        if is_own {
            return Err(TargetError::Address { address, reason: "an address of this machine" });
        }
        if let Some(reason) = address::not_public(address) {
            return Err(TargetError::Address { address, reason });
        }
        if !self.ports.admits(port) {
            return Err(TargetError::Port(port));
        }
        Ok(SocketAddr::new(address, port))
    }

    fn opens(&self, rule: &AllowRule, address: IpAddr, port: u16, is_own: bool) -> bool {
        // A rule for a whole private network is not meant to open this very machine: that takes its own rule.
        let may_be_meant = !is_own || address.is_loopback() || rule.is_single_address();
        let port_admitted = match rule.ports() {
            Some(ports) => ports.contains(&port),
            None => self.ports.admits(port),
        };
        may_be_meant && port_admitted && rule.covers(address)
    }

    fn may_admit_port(&self, port: u16) -> bool {
        let by_rule = |rule: &AllowRule| rule.ports().is_some_and(|ports| ports.contains(&port));
        self.ports.admits(port) || self.allow.iter().any(by_rule)
    }
}

#[cfg(test)]
mod tests;
