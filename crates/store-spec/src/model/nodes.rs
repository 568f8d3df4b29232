//! Nodes, in memory.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use store::{NodeRecord, Nodes, Presence, StoreResult};
use wire::NodeId;

use super::Model;

#[async_trait]
impl Nodes for Model {
    async fn be_seen(&self, presence: Presence, now: Timestamp, alive_for: Duration) -> StoreResult<Vec<NodeRecord>> {
        let mut tables = self.tables();
        tables.nodes.retain(|node, record| *node == presence.node || record.seen_at + alive_for > now);
        let started_at = tables.nodes.get(&presence.node).map_or(now, |record| record.started_at);
        tables.nodes.insert(presence.node, NodeRecord { presence, started_at, seen_at: now });
        Ok(tables.nodes.values().cloned().collect())
    }

    async fn be_gone(&self, node: NodeId) -> StoreResult<()> {
        self.tables().nodes.remove(&node);
        Ok(())
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>> {
        Ok(self.tables().nodes.values().cloned().collect())
    }
}
