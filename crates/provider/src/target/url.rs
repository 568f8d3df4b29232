//! The shape of a target URL and the names it may not use. Parsed once, by the WHATWG rules; only the canonical
//! form leaves this file, so that no second parser reads the raw text differently.

use std::fmt;
use std::net::IpAddr;

use url::{Position, Url};

use super::error::TargetError;

/// Longest URL, in bytes. The usual limit of proxies and databases; real webhook URLs are far shorter.
pub const URL_BYTES_MAX: usize = 2048;

/// Longest host name and longest part of one, in bytes (RFC 1035, section 2.3.4, without the root).
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Endings of names that private networks resolve among themselves (RFC 6762, RFC 8375, ICANN's `internal`).
const PRIVATE_SUFFIXES: [&str; 3] = [".local", ".internal", ".home.arpa"];

/// A URL that may be called as far as its text tells. Canonical: `https` or `http`, a host, no user, no fragment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUrl(Url);

/// Whom a [`TargetUrl`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'a> {
    /// A public name in lower-case ASCII without the trailing dot; to be looked up as fully qualified.
    Name(&'a str),
    /// `localhost` or a name below it; stands for [`super::TargetPolicy::loopback`], never looked up.
    Localhost,
    /// An address.
    Address(IpAddr),
}

impl TargetUrl {
    pub(super) fn from_text(text: &str) -> Result<Self, TargetError> {
        if text.len() > URL_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        // The parser drops tabs and line feeds, trims spaces and reads a backslash as a slash; others do not.
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'\\') {
            return Err(TargetError::Character);
        }
        let mut url = Url::parse(text).map_err(TargetError::Unreadable)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(TargetError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(TargetError::Fragment);
        }
        if url.port() == Some(0) {
            return Err(TargetError::Port(0));
        }
        settle_name(&mut url)?;
        // Percent-encoding may have made it longer.
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(TargetError::TooLong);
        }
        Ok(Self(url))
    }

    /// The canonical text: the only one to store, compare and use.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whom it names.
    #[must_use]
    pub fn host(&self) -> Host<'_> {
        match self.0.host() {
            Some(url::Host::Ipv4(address)) => Host::Address(address.into()),
            Some(url::Host::Ipv6(address)) => Host::Address(address.into()),
            Some(url::Host::Domain(name)) if !is_localhost(name) => Host::Name(name),
            // `http` and `https` URLs always have a host.
            Some(url::Host::Domain(_)) | None => Host::Localhost,
        }
    }

    /// The host as text for certificate checks: a name, or an address (IPv6 in brackets).
    #[must_use]
    pub fn host_text(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterHost]
    }

    /// 1 to 65535, the scheme's own where none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Whether the scheme is `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The value of the `Host` header: host, and port unless it is the scheme's own (RFC 9110, section 7.2).
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterPort]
    }

    /// The request target in origin form (RFC 9112, section 3.2.1); starts with `/`.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.0[Position::BeforePath..Position::AfterQuery]
    }
}

/// Names the origin only: path and query are often the receiver's only secret.
impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetUrl({}…)", &self.0[..Position::BeforePath])
    }
}

/// Checks a host name and drops its trailing dot, which certificates and many servers do not expect.
fn settle_name(url: &mut Url) -> Result<(), TargetError> {
    let Some(url::Host::Domain(written)) = url.host() else {
        return Ok(());
    };
    let name = written.strip_suffix('.').unwrap_or(written);
    check_name(name)?;
    if name.len() < written.len() {
        let name = name.to_owned();
        url.set_host(Some(&name)).map_err(TargetError::Unreadable)?;
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), TargetError> {
    if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
        return Err(TargetError::MalformedName);
    }
    if is_localhost(name) {
        return Ok(());
    }
    // Some resolvers read `10.1` or `0x7f.1` as an address. The parser refuses these already; it may change.
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(TargetError::MalformedName);
    }
    let is_single_label = !name.contains('.');
    if is_single_label || PRIVATE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
        return Err(TargetError::PrivateName);
    }
    Ok(())
}

/// Letters, digits, underscores (in use, though not in RFC 1123) and inner hyphens.
fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}
