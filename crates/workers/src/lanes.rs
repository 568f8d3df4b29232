//! The lane supervisor: claims lanes that have something due and runs each in a task of its own until it has not.

use std::time::Duration;

use store::{FailPoint, Lease, StoreResult};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::NodeId;

use crate::lane::Lane;
use crate::{Context, LEASE_FOR};

/// Lanes one node works on at a time: together with the window this bounds its memory and its open sockets.
const LANES_MAX: usize = 1_024;
/// Hints are lost when a process dies, so we also poll; a delivery waits at most this long.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Claims lanes and runs them.
pub struct LaneSupervisor {
    context: Context,
    node: NodeId,
    running: JoinSet<()>,
    stop: watch::Receiver<bool>,
}

impl LaneSupervisor {
    /// A supervisor for this process, `node` being new at each start. It claims nothing more once `stop` holds `true`.
    pub fn new(context: Context, node: NodeId, stop: watch::Receiver<bool>) -> LaneSupervisor {
        LaneSupervisor { context, node, running: JoinSet::new(), stop }
    }

    /// Runs until told to stop; then waits for what is in flight, at most `drain` long. What is not finished by then
    /// stays owed in the store.
    pub async fn run(mut self, drain: Duration) {
        while !*self.stop.borrow() {
            if let Err(error) = self.turn().await {
                tracing::error!(%error, "lanes could not be claimed; trying again");
                sleep(POLL_INTERVAL_MAX).await;
            }
            self.wait().await;
        }
        let drained = timeout(drain, async { while self.running.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::warn!(
                lanes = self.running.len(),
                "stopped before all requests had ended; they will be sent again"
            );
        }
    }

    /// One turn: claims what is due, as far as there is room, and starts it. How many lanes were started.
    pub async fn turn(&mut self) -> StoreResult<usize> {
        let room = LANES_MAX.saturating_sub(self.running.len());
        if room == 0 || *self.stop.borrow() {
            return Ok(0);
        }
        let leases = self.context.lanes.claim(self.node, self.context.clock.now(), LEASE_FOR, room).await?;
        let claimed = leases.len();
        if claimed > 0 {
            FailPoint::LaneAfterClaim.pass();
        }
        for lease in leases {
            self.start(lease);
        }
        Ok(claimed)
    }

    /// Waits until every lane started so far has nothing more to do.
    pub async fn settled(&mut self) {
        while self.running.join_next().await.is_some() {}
    }

    fn start(&mut self, lease: Lease) {
        let (context, stop) = (self.context.clone(), self.stop.clone());
        self.running.spawn(async move {
            if let Err(error) = Lane::new(context, lease, stop).run().await {
                tracing::warn!(endpoint = %lease.endpoint, %error, "a lane was left; it is taken up again when its lease ends");
            }
        });
    }

    /// Until something may have become due, a lane has ended, or it is time to look anyway.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.stop.changed() => {}
            () = self.context.hint.notified() => {}
            // A lane that ends may have left work that came meanwhile.
            Some(_) = self.running.join_next() => {}
            () = sleep(POLL_INTERVAL_MAX) => {}
        }
        while self.running.try_join_next().is_some() {}
    }
}
