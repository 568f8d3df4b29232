//! Nodes, in SQL: who serves from this database, by its own clock.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::spread::Load;
use store::{NodeRecord, Nodes, Presence, StoreResult};
use tokio_postgres::Row;
use wire::NodeId;

use crate::PostgresStore;
use crate::columns::{Columns, Id, LEASE_NOW, list, run, values};

const NODES: &str = "select node, name, lanes, requests, started_at, seen_at from node order by node";

/// One statement, so that a beat costs one round trip. Those who look at the same moment do not wait for each other.
fn be_seen_sql() -> String {
    format!(
        "with clock as (select {LEASE_NOW} as now),
         forgotten as (
             delete from node where node in (
                 select n.node from node as n, clock where n.node <> $2 and n.seen_at <= clock.now - $6
                 for update of n skip locked)),
         own as (
             insert into node as n (node, name, lanes, requests, started_at, seen_at)
             select $2, $3, $4, $5, now, now from clock
             on conflict (node) do update set name = excluded.name, lanes = excluded.lanes,
                 requests = excluded.requests, seen_at = excluded.seen_at
             returning n.node, n.name, n.lanes, n.requests, n.started_at, n.seen_at)
         select node, name, lanes, requests, started_at, seen_at from own
         union all
         select n.node, n.name, n.lanes, n.requests, n.started_at, n.seen_at from node as n, clock
         where n.node <> $2 and n.seen_at > clock.now - $6
         order by node"
    )
}

#[async_trait]
impl Nodes for PostgresStore {
    async fn be_seen(&self, presence: Presence, now: Timestamp, alive_for: Duration) -> StoreResult<Vec<NodeRecord>> {
        let Presence { node, name, load } = presence;
        let lanes = load.map(|load| load.lanes.cast_signed());
        let requests = load.unwrap_or_default().requests.cast_signed();
        let alive_for_ms = i64::try_from(alive_for.as_millis()).unwrap_or(i64::MAX);
        let session = self.session().await?;
        let sql = be_seen_sql();
        list(&session, &sql, values![self.lease_now(now), node.bytes(), name, lanes, requests, alive_for_ms], read_node)
            .await
    }

    async fn be_gone(&self, node: NodeId) -> StoreResult<()> {
        run(&self.session().await?, "delete from node where node = $1", values![node.bytes()]).await
    }

    async fn nodes(&self) -> StoreResult<Vec<NodeRecord>> {
        list(&self.session().await?, NODES, values![], read_node).await
    }
}

fn read_node(row: &Row) -> StoreResult<NodeRecord> {
    let (lanes, requests) = (row.value::<Option<i64>>(2)?, row.count(3)?);
    let load = lanes.map(|lanes| Load { lanes: lanes.unsigned_abs(), requests });
    let presence = Presence { node: row.id(0)?, name: row.value(1)?, load };
    Ok(NodeRecord { presence, started_at: row.moment(4)?, seen_at: row.moment(5)? })
}
