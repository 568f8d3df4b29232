//! The lane supervisor: claims lanes that have something due and runs each in a task of its own until it has not. Beside
//! other nodes it takes its share, and gives back what is more.

mod peers;
mod places;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::OptionFuture;
use provider::spread::Eagerness;
use store::{FailPoint, LANES_OF_NODE_MAX, Lease, Nodes, Room, StoreError, StoreResult};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wire::NodeId;

use crate::lane::hold::Moment;
use crate::lane::{Flight, Lane, Paces, Shared};
use crate::trouble::Trouble;
use crate::{Context, LEASE_FOR, Turn};
use peers::{Now, Peers};
use places::Places;

pub use peers::{ALIVE_FOR, BEAT_INTERVAL};

/// Lanes claimed in one transaction; no account gets more beyond its share.
const CLAIMED_AT_ONCE: usize = 256;
/// Lanes of one account among them: endpoints of one that hang leave places for those of the others.
const LANES_OF_ACCOUNT_MAX: usize = LANES_OF_NODE_MAX / 2;
/// Hints are lost when a process dies, so we also poll; a delivery waits at most this long.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// A node that starts hears of the others before it claims anything; a store that does not answer does not hold it up.
const HEARING_TIME: Duration = Duration::from_secs(2);

/// Claims lanes and runs them.
pub struct LaneSupervisor {
    context: Context,
    node: NodeId,
    /// Others that share the lanes, if there may be any.
    peers: Option<Peers>,
    shared: Shared,
    running: JoinSet<Turn>,
    places: Places,
    /// Lanes of ours that we have claimed again, after a clock went forward or the machine slept: they wait for the
    /// task that still works on them, which will find its lease over.
    held_back: Vec<Claimed>,
    /// The last claim brought as many lanes as it asked for.
    has_more: bool,
}

/// A lane that was leased by what was asked at a moment.
#[derive(Clone, Copy)]
struct Claimed {
    lease: Lease,
    asked: Moment,
}

impl LaneSupervisor {
    /// A supervisor for this process, `node` being new at each start. It claims nothing more once `stop` holds `true`,
    /// or nobody is left to say so.
    pub fn new(context: Context, node: NodeId, stop: watch::Receiver<bool>) -> LaneSupervisor {
        let shared = Shared {
            stop,
            is_crowded: Arc::default(),
            is_given_back: Arc::default(),
            flight: Arc::new(Flight::of(context.bounds.requests_max)),
            paces: Arc::new(Paces::new()),
        };
        LaneSupervisor {
            context,
            node,
            peers: None,
            shared,
            running: JoinSet::new(),
            places: Places::default(),
            held_back: Vec::new(),
            has_more: false,
        }
    }

    /// The same, that shares the lanes with the other nodes of the database and tells them of itself by this name.
    #[must_use]
    pub fn among(self, nodes: Arc<dyn Nodes>, name: String) -> LaneSupervisor {
        let peers = Some(Peers::new(nodes, self.context.clock.clone(), self.node, name));
        LaneSupervisor { peers, ..self }
    }

    /// Runs until told to stop; then waits for what is in flight, at most `drain` long. What is not finished by then
    /// stays owed in the store.
    pub async fn run(mut self, drain: Duration) {
        let now = self.now();
        if let Some(peers) = &mut self.peers {
            let _ = timeout(HEARING_TIME, peers.beat(now)).await;
        }
        let mut trouble = Trouble::with("lanes could not be claimed");
        while !self.is_stopped() {
            match trouble.heed(self.turn().await) {
                Some(_) if self.has_more => continue,
                Some(_) => {}
                None => sleep(POLL_INTERVAL_MAX).await,
            }
            self.wait().await;
        }
        if timeout(drain, self.leave()).await.is_err() {
            let lanes = self.running.len();
            tracing::warn!(lanes, "stopped before all requests had ended; they will be sent again");
        }
    }

    /// One turn: claims what is due, as far as there is room, and starts it. How many lanes were started.
    pub async fn turn(&mut self) -> StoreResult<usize> {
        self.has_more = false;
        let places = LANES_OF_NODE_MAX.saturating_sub(self.running.len() + self.held_back.len());
        if self.is_stopped() {
            return Ok(0);
        }
        let full_accounts = self.places.accounts_with(LANES_OF_ACCOUNT_MAX);
        let is_any_account_full = !full_accounts.is_empty();
        let room = Room { full_accounts, ..self.room(places) };
        let (lanes, asked) = (room.lanes, Moment::now(&*self.context.clock));
        let claimed = match lanes {
            0 => Vec::new(),
            _ => self.context.lanes.claim(self.node, self.context.clock.now(), LEASE_FOR, room).await?,
        };
        self.has_more = lanes > 0 && claimed.len() >= lanes;
        let mut leases = std::mem::take(&mut self.held_back);
        // One that was held back for so long that we have claimed its lane again is over.
        leases.retain(|held| !claimed.iter().any(|lease| is_of_one_lane(lease, &held.lease)));
        leases.extend(claimed.into_iter().map(|lease| Claimed { lease, asked }));
        self.shared.is_crowded.store(leases.len() >= places || is_any_account_full, Ordering::Relaxed);
        if !leases.is_empty() {
            FailPoint::LaneAfterClaim.pass();
        }
        let (held_back, free): (Vec<_>, Vec<_>) =
            leases.into_iter().partition(|claimed| self.places.works_on(&claimed.lease));
        self.held_back = held_back;
        let started = free.len();
        free.into_iter().for_each(|claimed| self.start(claimed));
        Ok(started)
    }

    /// Waits until every lane started so far has nothing more to do.
    pub async fn settled(&mut self) {
        while let Some(ended) = self.running.join_next_with_id().await {
            self.forget(ended);
        }
    }

    /// Gives everything back, and says so to the others first: they take it up at once.
    async fn leave(&mut self) {
        if let Some(peers) = self.peers.take() {
            self.running.spawn(async move {
                peers.be_gone().await;
                Turn::Idle
            });
        }
        for Claimed { lease, .. } in std::mem::take(&mut self.held_back) {
            let context = self.context.clone();
            self.running.spawn(async move {
                give_back(&context, lease).await;
                Turn::Idle
            });
        }
        self.settled().await;
    }

    fn is_stopped(&self) -> bool {
        *self.shared.stop.borrow() || self.shared.stop.has_changed().is_err()
    }

    /// What to claim where so many places are free.
    fn room(&mut self, places: usize) -> Room {
        let lanes = places.min(CLAIMED_AT_ONCE);
        let now = self.now();
        match self.peers.as_mut().map(|peers| peers.eagerness(now)) {
            None => Room::of(lanes),
            Some(Eagerness::AtOnce { lanes: eager }) => Room::of(lanes.min(usize::try_from(eager).unwrap_or(lanes))),
            Some(Eagerness::After(overdue_by)) => Room { overdue_by, ..Room::of(lanes) },
        }
    }

    fn now(&self) -> Now {
        Now { lanes: self.places.len(), leaving: self.places.leaving(), requests: self.shared.flight.requests() }
    }

    fn start(&mut self, Claimed { lease, asked }: Claimed) {
        let (context, is_given_back) = (self.context.clone(), Arc::default());
        let shared = Shared { is_given_back: Arc::clone(&is_given_back), ..self.shared.clone() };
        let task = self.running.spawn(async move {
            let error = match Lane::new(context.clone(), lease, asked, shared).run().await {
                Ok(turn) => return turn,
                Err(error) => error,
            };
            if matches!(error, StoreError::Unwritable(_) | StoreError::Busy(_) | StoreError::Unconfirmed(_)) {
                give_back(&context, lease).await;
            }
            // The lane is due again at once, and may fail again at once: not faster than we would look by ourselves.
            if !matches!(error, StoreError::Fenced) {
                sleep(POLL_INTERVAL_MAX).await;
            }
            Turn::Worked
        });
        self.places.take(task.id(), &lease, is_given_back);
    }

    fn forget(&mut self, ended: Result<(Id, Turn), JoinError>) -> Turn {
        let (id, turn) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a lane broke; it is taken up again when its lease ends");
                (error.id(), Turn::Worked)
            }
        };
        self.places.free(id);
        turn
    }

    /// Until something may have become due, a lane has ended, or it is time to look anyway.
    async fn wait(&mut self) {
        let look_at = Instant::now() + POLL_INTERVAL_MAX;
        let mut has_ended = false;
        while !has_ended {
            let now = self.now();
            tokio::select! {
                // The order does not matter, but a simulation must be able to repeat it.
                biased;
                _ = self.shared.stop.changed() => return,
                // A lane that ends may have left work that came meanwhile. One that found nothing to do would find nothing
                // again: to this machine's clock it is not due yet.
                Some(ended) = self.running.join_next_with_id() => has_ended = self.forget(ended) == Turn::Worked,
                Some(lanes) = OptionFuture::from(self.peers.as_mut().map(|peers| peers.beat(now))) => self.part_with(lanes),
                () = self.context.hint.notified() => break,
                () = sleep_until(look_at) => break,
            }
        }
        while let Some(ended) = self.running.try_join_next_with_id() {
            self.forget(ended);
        }
    }

    /// Gives so many lanes to other nodes: each finishes what is in flight, commits, and is due again at once.
    fn part_with(&self, lanes: usize) {
        if lanes > 0 {
            tracing::info!(lanes, "other nodes have less to do; lanes are given back to them");
            self.places.give_back(lanes);
        }
    }
}

fn is_of_one_lane(one: &Lease, other: &Lease) -> bool {
    (one.account, one.endpoint) == (other.account, other.endpoint)
}

/// Gives back a lane that was left because the store could not write, or did not say what it kept, as soon as it can: it
/// would lie still for the rest of its lease.
async fn give_back(context: &Context, lease: Lease) {
    loop {
        match context.lanes.release(lease, context.clock.now()).await {
            Err(StoreError::Unwritable(_) | StoreError::Busy(_) | StoreError::Unconfirmed(_)) => {
                sleep(POLL_INTERVAL_MAX).await;
            }
            Ok(()) | Err(_) => return,
        }
    }
}
