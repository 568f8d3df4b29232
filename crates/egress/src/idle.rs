//! The kept-alive connections of one origin. The last used is taken first, so that the surplus grows old and goes.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::limits::Limits;
use crate::link::Link;

/// Idle connections, the longest idle first.
#[derive(Default)]
pub(crate) struct Idle {
    links: Mutex<Vec<Link>>,
}

impl Idle {
    /// Takes the connection used last, unless it is too old.
    pub(crate) fn take(&self, limits: &Limits, now: Instant) -> Option<Link> {
        let mut outworn = Vec::new();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = loop {
            match links.pop() {
                Some(link) if is_fresh(&link, limits, now) => break Some(link),
                Some(link) => outworn.push(link),
                None => break None,
            }
        };
        // Closing sockets takes system calls, which need not happen under the lock.
        drop(links);
        drop(outworn);
        taken
    }

    /// Keeps a connection for the next request, or closes it if there are enough.
    pub(crate) fn park(&self, mut link: Link, limits: &Limits, now: Instant) {
        link.used_at = now;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody polls idle connections, so the old ones are closed when a younger one arrives.
        let outworn_count = links.partition_point(|other| now.duration_since(other.used_at) > limits.idle_age);
        let outworn: Vec<_> = links.drain(..outworn_count).collect();
        let surplus = if links.len() < limits.idle_connections {
            links.push(link);
            None
        } else {
            Some(link)
        };
        drop(links);
        drop((outworn, surplus));
    }
}

fn is_fresh(link: &Link, limits: &Limits, now: Instant) -> bool {
    now.duration_since(link.used_at) <= limits.idle_age && now.duration_since(link.opened_at) <= limits.connection_age
}
