//! The list of nodes as one process reaches it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use store::{NodeRecord, Nodes, Presence, StoreResult};
use wire::NodeId;

use crate::calls::Calls;
use crate::faulty_lanes::done;
use crate::machine::Run;
use crate::simulation::Simulation;

pub(crate) struct FaultyNodes {
    calls: Calls,
}

impl FaultyNodes {
    pub(crate) fn new(simulation: Arc<Simulation>, run: Arc<Run>) -> FaultyNodes {
        FaultyNodes { calls: Calls { simulation, run } }
    }
}

#[async_trait]
impl Nodes for FaultyNodes {
    async fn be_seen(&self, presence: Presence, now: Timestamp, alive_for: Duration) -> StoreResult<Vec<NodeRecord>> {
        let number = self.calls.run.number;
        let effect = move |simulation: &Simulation| {
            simulation.note("seen", &[number, presence.load.map_or(0, |load| load.lanes)], String::new);
            done(simulation.store.be_seen(presence, simulation.lease_now(now), alive_for))
        };
        self.calls.write(effect).await.1
    }

    async fn be_gone(&self, node: NodeId) -> StoreResult<()> {
        self.calls.write(move |simulation| done(simulation.store.be_gone(node))).await.1
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>> {
        self.calls.read(self.calls.simulation.store.nodes()).await
    }
}
