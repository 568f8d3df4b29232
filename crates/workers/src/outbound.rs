//! The network as lanes see it: a way to each endpoint, and request after request on it. `egress` is the real one;
//! the simulation brings its own.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use egress::{Egress, Exchange, Origin};
use http::HeaderMap;
use provider::target::TargetUrl;

/// A request on its way; it ends with what became of it.
pub type Posting = Pin<Box<dyn Future<Output = Exchange> + Send>>;

/// Where requests leave.
pub trait Outbound: Send + Sync {
    /// The way to one URL, with its kept connections. `None` where nothing can be sent there.
    fn way_to(&self, url: &TargetUrl) -> Option<Arc<dyn Way>>;
}

/// The way to one endpoint.
pub trait Way: Send + Sync {
    /// Sends one request and reads the answer within `total`. Dropping the future abandons the request, which may have
    /// arrived all the same.
    fn post(&self, headers: HeaderMap, body: Bytes, total: Duration) -> Posting;
}

impl Outbound for Egress {
    fn way_to(&self, url: &TargetUrl) -> Option<Arc<dyn Way>> {
        Some(Arc::new(self.origin(url).ok()?))
    }
}

impl Way for Origin {
    fn post(&self, headers: HeaderMap, body: Bytes, total: Duration) -> Posting {
        let origin = self.clone();
        Box::pin(async move { Origin::post(&origin, headers, body, total).await })
    }
}
