//! Looks names up, as fully qualified and never in the hosts file or search domains. Judges no answer.

use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use provider::target::ANSWERS_MAX;

use crate::StartError;

/// A failed lookup, with its cause.
pub type LookupError = Box<dyn Error + Send + Sync>;

/// A lookup under way.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, LookupError>> + Send + 'a>>;

/// Turns a name into addresses; a trait so that tests can script the answers.
pub trait Resolve: Send + Sync {
    /// All addresses of both families. `name` is absolute, without its trailing dot. The caller bounds the time.
    fn resolve<'a>(&'a self, name: &'a str) -> Addresses<'a>;
}

/// One try; two of them fit into [`crate::Limits::dns`].
const TRY_MAX: Duration = Duration::from_secs(2);
const TRIES: usize = 2;

/// An answer is used this long at most, whatever its TTL says, like a connection.
const ANSWER_AGE_MAX: Duration = Duration::from_secs(60);

/// A missing name may appear any moment: its owner has just made a typing error good.
const MISSING_AGE_MAX: Duration = Duration::from_secs(5);

/// Names remembered: those of the busiest endpoints.
const NAMES_REMEMBERED_MAX: u64 = 4096;

/// The name servers of the operating system.
pub struct SystemResolver {
    resolver: TokioResolver,
}

impl SystemResolver {
    /// Reads the system's settings once (`/etc/resolv.conf`).
    ///
    /// # Errors
    /// [`StartError::Resolver`] if there are none.
    pub fn from_system() -> Result<Self, StartError> {
        let builder = TokioResolver::builder_tokio().map_err(|error| StartError::Resolver(error.into()))?;
        Self::build(builder)
    }

    fn build(mut builder: hickory_resolver::ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, StartError> {
        let options = builder.options_mut();
        options.timeout = TRY_MAX;
        options.attempts = TRIES;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = NAMES_REMEMBERED_MAX;
        options.positive_max_ttl = Some(ANSWER_AGE_MAX);
        options.negative_max_ttl = Some(MISSING_AGE_MAX);
        let resolver = builder.build().map_err(|error| StartError::Resolver(error.into()))?;
        Ok(Self { resolver })
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Addresses<'a> {
        Box::pin(async move {
            let mut name = Name::from_ascii(name)?;
            // A fully qualified name is looked up as it stands; others also below the search domains.
            name.set_fqdn(true);
            let found = self.resolver.lookup_ip(name).await?;
            // One more than allowed, so that the policy sees there were too many.
            Ok(found.iter().take(ANSWERS_MAX + 1).collect())
        })
    }
}

#[cfg(test)]
mod tests;
