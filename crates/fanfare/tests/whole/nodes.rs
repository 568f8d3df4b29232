//! Several nodes of the real binary on real PostgreSQL servers that are stopped, cut off, promoted and held up: nothing
//! acknowledged is lost, everyone is told, a duplicate bears the id of what it repeats, each effect stands once.

mod cluster;
mod drain;
mod estate;
mod failover;
mod fleet;
mod frozen;
mod hints;
mod kills;
mod load;
mod outage;
mod partitions;
mod pooler;
mod programs;
mod proxy;
mod snapshots;
mod tools;
mod unconfirmed;
mod verdict;
mod wire;

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// A lane whose owner has died is free after this time (`LEASE_FOR` of the workers): what others wait at most.
const LEASE: Duration = Duration::from_secs(15);
/// For a look, a poll, a commit, on a machine that does much else.
const SLACK: Duration = Duration::from_secs(5);
/// Far more than anything takes that goes on by itself: leases end within it, and attempts are tried again.
const PATIENCE: Duration = Duration::from_secs(150);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Waits for a condition; one that does not come is named.
async fn wait_for(what: &str, mut is_there: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_there().await {
            sleep(LOOK_AGAIN_AFTER).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}: waited for in vain"));
}
