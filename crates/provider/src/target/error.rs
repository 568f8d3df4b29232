//! Why a target is refused: words for the person who typed the URL, and detail for the operator's log only.

use std::net::IpAddr;

use super::ANSWERS_MAX;
use super::url::URL_BYTES_MAX;

/// A refused target. `Display` is for the person who typed the URL and names no looked-up address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Longer than [`URL_BYTES_MAX`], as typed or in canonical form.
    #[error("the URL is longer than {URL_BYTES_MAX} characters; shorten it")]
    TooLong,
    /// A byte that some parser drops or reads differently.
    #[error(
        "the URL holds a space, a control character, a backslash or a letter outside ASCII; \
         percent-encode it, or write the host in its xn-- form"
    )]
    Character,
    /// Not a URL.
    #[error("the URL cannot be read ({0}); write it like https://example.com/hook")]
    Unreadable(url::ParseError),
    /// Neither `https` nor `http`.
    #[error("the URL must start with https:// or http://")]
    Scheme,
    /// `http` where the operator requires TLS.
    #[error("the URL must start with https://")]
    HttpsOnly,
    /// `user:password@`.
    #[error("the URL holds a user name or password; remove the part before @")]
    UserInfo,
    /// `#…` is never sent.
    #[error("the URL holds a fragment; remove # and what follows")]
    Fragment,
    /// A port outside the rule.
    #[error("port {0} may not be called; use 443, or a port the operator allows")]
    Port(u16),
    /// Not a host name that DNS and HTTP agree on.
    #[error("the host name has an empty, overlong or malformed part; use letters, digits and inner hyphens")]
    MalformedName,
    /// A name of this machine or of a private network.
    #[error("the host is a name of this machine or of a private network; use a public host name")]
    PrivateName,
    /// A forbidden address, typed or looked up.
    #[error("the host is, or resolves to, an address that is not public; use a public host")]
    Address {
        /// The address, for the operator.
        address: IpAddr,
        /// What it is, for the operator.
        reason: &'static str,
    },
    /// A lookup without an address.
    #[error("the host name has no address; check its spelling")]
    NoAddress,
    /// A lookup with more than [`ANSWERS_MAX`] addresses.
    #[error("the host name has more than {ANSWERS_MAX} addresses; use one with fewer")]
    TooManyAddresses,
}

impl TargetError {
    /// The coarse code shown to tenants, the same for every reason: a finer one would map our network.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "E_INVALID_TARGET"
    }

    /// The full reason, for the operator's log only.
    #[must_use]
    pub fn operator_detail(&self) -> String {
        match self {
            Self::Address { address, reason } => format!("{address} is {reason}"),
            other => other.to_string(),
        }
    }
}
