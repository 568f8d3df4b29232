//! The lane supervisor: claims lanes that have something due and runs each in a task of its own until it has not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use store::{FailPoint, Lease, Room, StoreError, StoreResult};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use wire::{AccountId, EndpointId, NodeId};

use crate::lane::{Flight, Lane, Paces, Shared};
use crate::{Context, LEASE_FOR};

/// Lanes one node works on at a time: together with the window this bounds its memory and its open sockets.
const LANES_MAX: usize = 4_096;
/// Lanes claimed in one transaction; no account gets more beyond its share.
const CLAIMED_AT_ONCE: usize = 256;
/// Lanes of one account among them: endpoints of one that hang leave places for those of the others.
const LANES_OF_ACCOUNT_MAX: usize = LANES_MAX / 2;
/// Hints are lost when a process dies, so we also poll; a delivery waits at most this long.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Claims lanes and runs them.
pub struct LaneSupervisor {
    context: Context,
    node: NodeId,
    shared: Shared,
    running: JoinSet<()>,
    /// Which lane each task works on.
    lanes: HashMap<Id, Key>,
    /// The same lanes, and how many each account has.
    worked_on: HashSet<Key>,
    of_account: HashMap<AccountId, usize>,
    /// Lanes of ours that we have claimed again, after a clock went forward or the machine slept: they wait for the
    /// task that still works on them, which will find its lease over.
    held_back: Vec<Lease>,
}

type Key = (AccountId, EndpointId);

fn key(lease: &Lease) -> Key {
    (lease.account, lease.endpoint)
}

impl LaneSupervisor {
    /// A supervisor for this process, `node` being new at each start. It claims nothing more once `stop` holds `true`,
    /// or nobody is left to say so.
    pub fn new(context: Context, node: NodeId, stop: watch::Receiver<bool>) -> LaneSupervisor {
        let flight = Arc::new(Flight::of(context.bounds.requests_max));
        let shared = Shared { stop, is_crowded: Arc::default(), flight, paces: Arc::new(Paces::new()) };
        LaneSupervisor {
            context,
            node,
            shared,
            running: JoinSet::new(),
            lanes: HashMap::new(),
            worked_on: HashSet::new(),
            of_account: HashMap::new(),
            held_back: Vec::new(),
        }
    }

    /// Runs until told to stop; then waits for what is in flight, at most `drain` long. What is not finished by then
    /// stays owed in the store.
    pub async fn run(mut self, drain: Duration) {
        while !self.is_stopped() {
            match self.turn().await {
                // There may be more at once.
                Ok(started) if started >= CLAIMED_AT_ONCE => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "lanes could not be claimed; trying again");
                    sleep(POLL_INTERVAL_MAX).await;
                }
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
        let mut is_any_account_full = false;
        let claimed = match room.min(CLAIMED_AT_ONCE) {
            0 => Vec::new(),
            lanes => {
                let full_accounts = self.of_account.iter().filter(|(_, lanes)| **lanes >= LANES_OF_ACCOUNT_MAX);
                let full_accounts: Vec<_> = full_accounts.map(|(account, _)| *account).collect();
                is_any_account_full = !full_accounts.is_empty();
                let room = Room { lanes, full_accounts };
                self.context.lanes.claim(self.node, self.context.clock.now(), LEASE_FOR, room).await?
            }
        };
        let mut leases = std::mem::take(&mut self.held_back);
        // One that was held back for so long that we have claimed its lane again is over.
        leases.retain(|held| !claimed.iter().any(|lease| key(lease) == key(held)));
        leases.extend(claimed);
        self.shared.is_crowded.store(leases.len() >= room || is_any_account_full, Ordering::Relaxed);
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
        *self.shared.stop.borrow() || self.shared.stop.has_changed().is_err()
    }

    fn works_on(&self, lease: &Lease) -> bool {
        self.worked_on.contains(&key(lease))
    }

    fn start(&mut self, lease: Lease) {
        let (context, shared) = (self.context.clone(), self.shared.clone());
        let task = self.running.spawn(async move {
            if let Err(error) = Lane::new(context.clone(), lease, shared).run().await {
                tracing::warn!(endpoint = %lease.endpoint, %error, "a lane was left; it is taken up again when it is due");
                if matches!(error, StoreError::Unwritable(_) | StoreError::Busy(_)) {
                    give_back(&context, lease).await;
                }
                // The lane is due again at once, and may fail again at once: not faster than we would look by ourselves.
                if !matches!(error, StoreError::Fenced) {
                    sleep(POLL_INTERVAL_MAX).await;
                }
            }
        });
        self.lanes.insert(task.id(), key(&lease));
        self.worked_on.insert(key(&lease));
        *self.of_account.entry(lease.account).or_default() += 1;
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a lane broke; it is taken up again when its lease ends");
                error.id()
            }
        };
        let Some(lane) = self.lanes.remove(&id) else { return };
        self.worked_on.remove(&lane);
        if let Some(lanes) = self.of_account.get_mut(&lane.0) {
            *lanes -= 1;
            if *lanes == 0 {
                self.of_account.remove(&lane.0);
            }
        }
    }

    /// Until something may have become due, a lane has ended, or it is time to look anyway.
    async fn wait(&mut self) {
        tokio::select! {
            // The order does not matter, but a simulation must be able to repeat it.
            biased;
            _ = self.shared.stop.changed() => {}
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

/// Gives back a lane that was left because the store could not write, as soon as it can: it would lie still for the
/// rest of its lease.
async fn give_back(context: &Context, lease: Lease) {
    loop {
        match context.lanes.release(lease, context.clock.now()).await {
            Err(StoreError::Unwritable(_) | StoreError::Busy(_)) => sleep(POLL_INTERVAL_MAX).await,
            Ok(()) | Err(_) => return,
        }
    }
}
