//! Which processes serve from the database, as they tell of themselves every few seconds. Nothing depends on it but how
//! lanes are spread: whose a lane is, its lease alone says.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::spread::Load;
use wire::NodeId;

use crate::StoreResult;

/// What a node tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// New at each start of the process.
    pub node: NodeId,
    /// For people: where it runs.
    pub name: String,
    /// How much it has to do; `None` where it takes no lanes, such as one that only receives.
    pub load: Option<Load>,
}

/// A node as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// What it told.
    pub presence: Presence,
    /// Since when it has been seen without a break.
    pub started_at: Timestamp,
    /// When it told so.
    pub seen_at: Timestamp,
}

/// The nodes. Their times are the database's own, as those of leases.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Notes that a node is alive, and forgets those that were not seen for `alive_for`. The living, this one too, in the
    /// order of their ids.
    async fn be_seen(&self, presence: Presence, now: Timestamp, alive_for: Duration) -> StoreResult<Vec<NodeRecord>>;

    /// A node goes: from now on nobody counts on it.
    async fn be_gone(&self, node: NodeId) -> StoreResult<()>;

    /// All that were noted and have neither left nor been forgotten, in the order of their ids. One that died is among them
    /// until another is seen.
    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>>;
}
