//! The one way out: resolve, vet, dial exactly the vetted address, TLS, request, time each phase. Knows HTTP and nothing
//! of webinars. No redirects, no proxy, no decompression, no cookies; which targets are allowed is decided in
//! `provider::target`.

mod call;
mod dial;
mod exchange;
mod failure;
mod idle;
mod limits;
mod link;
mod origin;
mod own_addresses;
mod resolver;
mod stream;
mod tls;

use std::sync::{Arc, PoisonError, RwLock};

use provider::target::{TargetPolicy, TargetUrl};
use tokio_rustls::TlsConnector;

pub use call::{Call, Method, MethodError};
pub use exchange::{Answer, Exchange};
pub use failure::{Failure, FailureKind, Phase};
pub use limits::Limits;
pub use origin::Origin;
pub use own_addresses::own_addresses;
pub use resolver::{Addresses, LookupError, Resolve, SystemResolver};
pub use tls::{client_config, client_config_of_pem, system_client_config};

/// Why the way out cannot be built; the process should not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system's certificate authorities cannot be read.
    #[error("the system's trusted certificates cannot be read; install ca-certificates")]
    Tls(#[from] rustls::Error),
    /// The system's DNS settings cannot be read.
    #[error("the system's DNS settings cannot be read; check /etc/resolv.conf")]
    Resolver(#[source] LookupError),
}

/// Makes [`Origin`]s. Cheap to clone; one per process.
#[derive(Clone)]
pub struct Egress(Arc<Shared>);

struct Shared {
    policy: RwLock<Arc<TargetPolicy>>,
    limits: Limits,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

impl Egress {
    /// Trusts the certificate authorities of the operating system.
    ///
    /// # Errors
    /// [`StartError::Tls`] if there are none.
    pub fn new(policy: TargetPolicy, limits: Limits, resolver: Arc<dyn Resolve>) -> Result<Self, StartError> {
        let config = system_client_config()?;
        Ok(Self::with_tls(policy, limits, resolver, config))
    }

    /// Trusts whom `config` trusts: for tests, and for operators with a certificate authority of their own.
    /// Make it with [`client_config`].
    #[must_use]
    pub fn with_tls(
        policy: TargetPolicy,
        limits: Limits,
        resolver: Arc<dyn Resolve>,
        config: rustls::ClientConfig,
    ) -> Self {
        let tls = TlsConnector::from(Arc::new(config));
        Self(Arc::new(Shared { policy: RwLock::new(Arc::new(policy)), limits, resolver, tls }))
    }

    /// The way to one endpoint, with its kept-alive connections. Keep it as long as the endpoint is in use:
    /// dropping the last clone closes them.
    ///
    /// # Errors
    /// [`FailureKind::InvalidTarget`] if the URL cannot be put into a request or a certificate check.
    pub fn origin(&self, url: &TargetUrl) -> Result<Origin, Failure> {
        Origin::new(self.clone(), url.clone())
    }

    /// Replaces the rules, for instance after this machine's addresses changed. New connections follow the new rules
    /// at once; old ones are used for at most [`Limits::connection_age`].
    pub fn replace_policy(&self, policy: TargetPolicy) {
        *self.0.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// The rules in force, for reading URLs: `egress.policy().parse(text)`.
    #[must_use]
    pub fn policy(&self) -> Arc<TargetPolicy> {
        self.0.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn limits(&self) -> &Limits {
        &self.0.limits
    }
}

#[cfg(test)]
mod tests;
