//! TLS settings: 1.2 and 1.3, always verified, HTTP/1.1 only.

use std::sync::Arc;

use provider::target::{Host, TargetUrl};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::failure::{Failure, FailureKind};

/// The settings that trust the operating system's certificate authorities; also for what is no HTTP, such as the
/// user's own database. Set `alpn_protocols` for that.
///
/// # Errors
/// If there are none.
pub fn system_client_config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(Verifier::new(provider.clone())?);
    build(provider, verifier)
}

/// The same settings, trusting exactly `roots`.
///
/// # Errors
/// If `roots` is empty.
pub fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    build(provider, verifier)
}

/// The same settings, trusting exactly the certificate authorities of this PEM text.
///
/// # Errors
/// If it holds none, or something that is none.
pub fn client_config_of_pem(pem: &str) -> Result<ClientConfig, rustls::Error> {
    let unreadable = |error: &dyn std::fmt::Display| rustls::Error::General(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.map_err(|error| unreadable(&error))?)?;
    }
    client_config(roots)
}

// The provider is passed on, never installed for the process: a library must not decide that for its caller.
fn build(provider: Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        // "Dangerous" is any verifier of one's own; both callers pass one that verifies fully.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Whom the certificate must name: the URL's host, whatever address it has.
pub(crate) fn server_name(url: &TargetUrl) -> Result<ServerName<'static>, Failure> {
    match url.host() {
        Host::Address(address) => Ok(ServerName::IpAddress(address.into())),
        Host::Name(_) | Host::Localhost => ServerName::try_from(url.host_text().to_owned())
            .map_err(|error| Failure::new(FailureKind::InvalidTarget, format!("no name for a certificate: {error}"))),
    }
}
