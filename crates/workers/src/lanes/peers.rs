//! The other nodes, as far as this one knows: it tells of itself every few seconds, and hears who lives and with how much.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use provider::spread::{Eagerness, Load, Own, Spread};
use store::{Clock, NodeRecord, Nodes, Presence, StoreResult};
use tokio::time::{Instant, sleep_until};
use wire::NodeId;

use crate::trouble::Trouble;

/// A node tells of itself this often.
pub const BEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Who has not told of itself for so long is taken for gone: four beats in a row may be lost.
pub const ALIVE_FOR: Duration = Duration::from_secs(10);

type Beating = Pin<Box<dyn Future<Output = StoreResult<Vec<NodeRecord>>> + Send>>;

/// What a node knows of the others.
pub(super) struct Peers {
    nodes: Arc<dyn Nodes>,
    clock: Arc<dyn Clock>,
    presence: Presence,
    /// In flight, averaged over the last few beats.
    requests: u64,
    spread: Spread,
    beating: Option<Beating>,
    beat_at: Instant,
    heard_at: Instant,
    trouble: Trouble,
}

/// What this node has just now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) lanes: usize,
    /// Of them on their way to be given back.
    pub(super) leaving: usize,
    /// In flight.
    pub(super) requests: usize,
}

impl Peers {
    pub(super) fn new(nodes: Arc<dyn Nodes>, clock: Arc<dyn Clock>, node: NodeId, name: String) -> Peers {
        let now = Instant::now();
        Peers {
            nodes,
            clock,
            presence: Presence { node, name, load: None },
            requests: 0,
            spread: Spread::default(),
            beating: None,
            beat_at: now,
            heard_at: now,
            trouble: Trouble::with("the other nodes could not be heard of"),
        }
    }

    /// How soon this node takes what is due.
    pub(super) fn eagerness(&mut self, now: Now) -> Eagerness {
        // What was heard so long ago says nothing any more; and nobody's lane waits for those who may be gone.
        if self.heard_at.elapsed() >= ALIVE_FOR {
            self.spread.forget_others();
        }
        self.spread.eagerness(self.own(now))
    }

    /// Waits for the next beat and its answer; how many lanes are to be given back. Nothing is lost where it is dropped
    /// meanwhile and asked again.
    pub(super) async fn beat(&mut self, now: Now) -> usize {
        if self.beating.is_none() {
            sleep_until(self.beat_at).await;
        }
        let heard = self.beating.get_or_insert_with(|| {
            self.beat_at = Instant::now() + BEAT_INTERVAL;
            self.requests = (self.requests + now.requests as u64).div_ceil(2);
            self.presence.load = Some(Load { lanes: now.lanes as u64, requests: self.requests });
            let (nodes, presence, at) = (self.nodes.clone(), self.presence.clone(), self.clock.now());
            Box::pin(async move { nodes.be_seen(presence, at, ALIVE_FOR).await })
        });
        let heard = heard.await;
        self.beating = None;
        self.hear(heard, now)
    }

    fn hear(&mut self, heard: StoreResult<Vec<NodeRecord>>, now: Now) -> usize {
        // Without an answer it goes on with the lanes there are.
        let Some(living) = self.trouble.heed(heard) else { return 0 };
        self.heard_at = Instant::now();
        let others = living.into_iter().map(|record| record.presence);
        let others = others.filter(|other| other.node != self.presence.node);
        // Those that take no lanes have no part of them either.
        self.spread.beat(self.own(now), others.filter_map(|other| other.load).collect()) as usize
    }

    /// Tells the others that this node goes.
    pub(super) async fn be_gone(self) {
        // A beat that is on its way may come after it; then the others forget this node a little later.
        drop(self.beating);
        if let Err(error) = self.nodes.be_gone(self.presence.node).await {
            tracing::warn!(%error, "the other nodes could not be told that this one goes; they will notice");
        }
    }

    fn own(&self, now: Now) -> Own {
        let load = Load { lanes: now.lanes as u64, requests: self.requests };
        Own { load, leaving: now.leaving as u64 }
    }
}
