//! `fanfare nodes`: which servers share a database, and with how much to do, in the terminal.

use clap::{Args, Subcommand};
use serde::Serialize;
use store::NodeRecord;

use crate::cli::ListArgs;
use crate::database::DatabaseArgs;
use crate::output::{self, Row, grouped, instant};

/// What to do with nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// List the servers that work on a PostgreSQL database.
    List(NodeListArgs),
}

/// How to list them.
#[derive(Debug, Args)]
pub(crate) struct NodeListArgs {
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: NodesCommand) -> anyhow::Result<()> {
    let NodesCommand::List(args) = command;
    let store = args.database.open_to_read().await?;
    let rows: Vec<_> = store.nodes().await?.into_iter().map(NodeRow::from).collect();
    output::print_list(args.output.format(), &rows, "no server tells of itself here; those on PostgreSQL do")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeRow {
    id: String,
    name: String,
    lanes: u64,
    requests: u64,
    since: String,
    seen_at: String,
}

impl From<NodeRecord> for NodeRow {
    fn from(record: NodeRecord) -> NodeRow {
        NodeRow {
            id: record.presence.node.to_string(),
            name: record.presence.name,
            lanes: record.presence.load.lanes,
            requests: record.presence.load.requests,
            since: instant(record.since),
            seen_at: instant(record.seen_at),
        }
    }
}

impl Row for NodeRow {
    const COLUMNS: &'static [&'static str] = &["node", "name", "lanes", "requests", "since", "seen"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            grouped(self.lanes),
            grouped(self.requests),
            self.since.clone(),
            self.seen_at.clone(),
        ]
    }
}
