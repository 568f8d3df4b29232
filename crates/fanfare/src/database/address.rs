//! The URL of a PostgreSQL database as operators write it: whom the server must prove to be is read here, the rest by the
//! store; and what to do where it cannot be opened.

use std::sync::Arc;

use store_postgres::{Address, AddressError, OpenError};

/// Why a text is no address of a PostgreSQL database. Never repeats a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PostgresMistake {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(
        "the user or the password holds a character that a URL has another meaning for; write @ as %40, / as %2F, \
         ? as %3F and & as %26"
    )]
    Unescaped,
    #[error(
        "sslrootcert: cannot read {path}: {reason}; name a PEM file with the authorities that the server is checked by"
    )]
    Authorities { path: String, reason: String },
}

/// Reads a URL. Beyond what the store reads, it takes the `sslrootcert` of libpq, and `sslmode=verify-full` and
/// `verify-ca`: an encrypted connection is always verified here.
pub(super) fn read(text: &str) -> Result<Address, PostgresMistake> {
    // What stands before the first @ may hold anything.
    let after_credentials = text.find('@').map_or(0, |at| at + 1);
    let rest = &text[after_credentials..];
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    if place.contains('@') {
        return Err(PostgresMistake::Unescaped);
    }
    let mut authorities = None;
    let mut kept = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslrootcert", path)) => authorities = Some(path),
            Some(("sslmode", "verify-full" | "verify-ca")) => kept.push("sslmode=require"),
            _ => kept.push(parameter),
        }
    }
    let (mark, query) = (if kept.is_empty() { "" } else { "?" }, kept.join("&"));
    let address: Address = format!("{}{place}{mark}{query}", &text[..after_credentials]).parse()?;
    with_tls(address, authorities)
}

fn with_tls(address: Address, authorities: Option<&str>) -> Result<Address, PostgresMistake> {
    let config = match authorities.filter(|path| *path != "system") {
        Some(path) => {
            let told = |reason: String| PostgresMistake::Authorities { path: path.to_owned(), reason };
            let pem = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
            Some(egress::client_config_of_pem(&pem).map_err(|error| told(error.to_string()))?)
        }
        // A machine without any authorities can still be used where nothing is encrypted; elsewhere nobody is trusted.
        None => egress::system_client_config().ok(),
    };
    Ok(match config {
        Some(mut config) => {
            config.alpn_protocols = vec![b"postgresql".to_vec()];
            address.with_tls(Arc::new(config))
        }
        None => address,
    })
}

/// What to do where a server's refusal holds these words.
const MENDS: [(&str, &str); 3] = [
    (
        "certificate",
        "name the authority that has signed the server's certificate with ?sslrootcert=FILE, or, where nobody else \
         reaches the network between, connect in the clear with ?sslmode=disable",
    ),
    ("startup parameter", "behind PgBouncer, add ?pooler=transaction"),
    (
        "during recovery",
        "it is a standby; give the address of the primary, or name all servers and add ?target_session_attrs=read-write",
    ),
];

/// Why a database was not opened, with the mend that belongs to the reason.
pub(crate) fn told_with_mend(error: OpenError) -> anyhow::Error {
    let OpenError::Unreachable { database, reason } = error else { return error.into() };
    match MENDS.iter().find(|(words, _)| reason.contains(words)) {
        Some((_, mend)) => anyhow::anyhow!("{database} cannot be opened: {reason}; {mend}"),
        None => OpenError::Unreachable { database, reason }.into(),
    }
}
