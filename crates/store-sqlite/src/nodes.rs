//! Nodes in SQL. From one file only one process serves, so there is one at a time.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::spread::Load;
use rusqlite::{Connection, Row};
use store::{NodeRecord, Nodes, Presence, StoreResult};
use wire::NodeId;

use crate::SqliteStore;
use crate::columns::{Id, Millis, list, millis, run};

const NODES: &str = "select node, name, lanes, requests, started_at, seen_at from node order by node";
const FORGET: &str = "delete from node where seen_at <= ?1 and node <> ?2";
const BE_SEEN: &str =
    "insert into node (node, name, lanes, requests, started_at, seen_at) values (?1, ?2, ?3, ?4, ?5, ?5)
    on conflict (node) do update set name = ?2, lanes = ?3, requests = ?4, seen_at = ?5";

#[async_trait]
impl Nodes for SqliteStore {
    async fn be_seen(&self, presence: Presence, now: Timestamp, alive_for: Duration) -> StoreResult<Vec<NodeRecord>> {
        self.writer
            .write(move |connection| {
                let Presence { node, name, load } = &presence;
                run(connection, FORGET, (millis(now - alive_for), node.as_bytes()))?;
                let lanes = load.map(|load| load.lanes.cast_signed());
                let requests = load.unwrap_or_default().requests.cast_signed();
                run(connection, BE_SEEN, (node.as_bytes(), name, lanes, requests, millis(now)))?;
                nodes(connection)
            })
            .await
    }

    async fn be_gone(&self, node: NodeId) -> StoreResult<()> {
        self.writer
            .write(move |connection| run(connection, "delete from node where node = ?1", [node.as_bytes()]))
            .await
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>> {
        self.readers.read(nodes).await
    }
}

fn nodes(connection: &Connection) -> StoreResult<Vec<NodeRecord>> {
    list(connection, NODES, [], read_node)
}

fn read_node(row: &Row<'_>) -> rusqlite::Result<NodeRecord> {
    let (lanes, requests) = (row.get::<_, Option<i64>>(2)?, row.get::<_, i64>(3)?.unsigned_abs());
    let load = lanes.map(|lanes| Load { lanes: lanes.unsigned_abs(), requests });
    let presence = Presence { node: row.get::<_, Id<_>>(0)?.0, name: row.get(1)?, load };
    Ok(NodeRecord { presence, started_at: row.get::<_, Millis>(4)?.0, seen_at: row.get::<_, Millis>(5)?.0 })
}
