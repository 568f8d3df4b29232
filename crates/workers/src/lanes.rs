//! The lane supervisor: claims lanes that have something due and runs each in a task of its own until it has not.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use store::{FailPoint, Lease, StoreResult};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use wire::{AccountId, EndpointId, NodeId};

use crate::lane::{Lane, Signals};
use crate::{Context, LEASE_FOR};

/// Lanes one node works on at a time: together with the window this bounds its memory and its open sockets.
const LANES_MAX: usize = 1_024;
/// Hints are lost when a process dies, so we also poll; a delivery waits at most this long.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Claims lanes and runs them.
pub struct LaneSupervisor {
    context: Context,
    node: NodeId,
    signals: Signals,
    running: JoinSet<()>,
    /// Which lane each task works on.
    lanes: HashMap<Id, Key>,
    /// Lanes of ours that we have claimed again, after a clock went forward or the machine slept: they wait for the
    /// task that still works on them, which will find its lease over.
    held_back: Vec<Lease>,
}

type Key = (AccountId, EndpointId);

impl LaneSupervisor {
    /// A supervisor for this process, `node` being new at each start. It claims nothing more once `stop` holds `true`,
    /// or nobody is left to say so.
    pub fn new(context: Context, node: NodeId, stop: watch::Receiver<bool>) -> LaneSupervisor {
        let signals = Signals { stop, is_crowded: Arc::default() };
        let (running, lanes, held_back) = (JoinSet::new(), HashMap::new(), Vec::new());
        LaneSupervisor { context, node, signals, running, lanes, held_back }
    }

    /// Runs until told to stop; then waits for what is in flight, at most `drain` long. What is not finished by then
    /// stays owed in the store.
    pub async fn run(mut self, drain: Duration) {
        while !self.is_stopped() {
            if let Err(error) = self.turn().await {
                tracing::error!(%error, "lanes could not be claimed; trying again");
                sleep(POLL_INTERVAL_MAX).await;
            }
            self.wait().await;
        }
        if timeout(drain, self.settled()).await.is_err() {
            let lanes = self.running.len();
            tracing::warn!(lanes, "stopped before all requests had ended; they will be sent again");
        }
    }

    /// One turn: claims what is due, as far as there is room, and starts it. How many lanes were started.
    pub async fn turn(&mut self) -> StoreResult<usize> {
        let room = LANES_MAX.saturating_sub(self.running.len() + self.held_back.len());
        if self.is_stopped() {
            return Ok(0);
        }
        let mut leases = std::mem::take(&mut self.held_back);
        if room > 0 {
            leases.extend(self.context.lanes.claim(self.node, self.context.clock.now(), LEASE_FOR, room).await?);
        }
        self.signals.is_crowded.store(leases.len() >= room, Ordering::Relaxed);
        if !leases.is_empty() {
            FailPoint::LaneAfterClaim.pass();
        }
        let (held_back, free): (Vec<_>, Vec<_>) = leases.into_iter().partition(|lease| self.works_on(lease));
        self.held_back = held_back;
        let started = free.len();
        free.into_iter().for_each(|lease| self.start(lease));
        Ok(started)
    }

    /// Waits until every lane started so far has nothing more to do.
    pub async fn settled(&mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            self.forget(ended);
        }
    }

    fn is_stopped(&self) -> bool {
        *self.signals.stop.borrow() || self.signals.stop.has_changed().is_err()
    }

    fn works_on(&self, lease: &Lease) -> bool {
        self.lanes.values().any(|key| *key == (lease.account, lease.endpoint))
    }

    fn start(&mut self, lease: Lease) {
        let (context, signals) = (self.context.clone(), self.signals.clone());
        let task = self.running.spawn(async move {
            if let Err(error) = Lane::new(context, lease, signals).run().await {
                tracing::warn!(endpoint = %lease.endpoint, %error, "a lane was left; it is taken up again when it is due");
            }
        });
        self.lanes.insert(task.id(), (lease.account, lease.endpoint));
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a lane broke; it is taken up again when its lease ends");
                error.id()
            }
        };
        self.lanes.remove(&id);
    }

    /// Until something may have become due, a lane has ended, or it is time to look anyway.
    async fn wait(&mut self) {
        tokio::select! {
            // The order does not matter, but a simulation must be able to repeat it.
            biased;
            _ = self.signals.stop.changed() => {}
            // A lane that ends may have left work that came meanwhile.
            Some(ended) = self.running.join_next_with_id() => self.forget(ended),
            () = self.context.hint.notified() => {}
            () = sleep(POLL_INTERVAL_MAX) => {}
        }
        while let Some(ended) = self.running.try_join_next_with_id() {
            self.forget(ended);
        }
    }
}
