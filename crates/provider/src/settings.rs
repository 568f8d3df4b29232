//! What an owner may set of an endpoint.

use crate::concurrency::CONCURRENCY_MAX_DEFAULT;
use crate::pace::Rate;

/// How an endpoint is to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Requests a minute; `None` for as many as the receiver takes.
    pub rate: Option<Rate>,
    /// Requests in flight at most, 1 to [`CONCURRENCY_MAX`](crate::concurrency::CONCURRENCY_MAX).
    pub concurrency_max: u32,
    /// What becomes of a version of a series when a newer one is announced.
    pub older_versions: OlderVersions,
}

/// What becomes of deliveries of an older version that have not arrived when a newer one is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OlderVersions {
    /// They are delivered all the same, before the newer one.
    Deliver,
    /// They are not: the newer one says all. They end as superseded.
    Supersede,
}

impl Default for EndpointSettings {
    fn default() -> EndpointSettings {
        EndpointSettings {
            rate: None,
            concurrency_max: CONCURRENCY_MAX_DEFAULT,
            older_versions: OlderVersions::Deliver,
        }
    }
}
