//! Limits that the system sets and a server may raise.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Connections of senders and to receivers are open files, and the usual soft limit of 1,024 is soon reached.
pub(crate) fn raise_open_files_limit() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised; many connections may fail");
    }
}
