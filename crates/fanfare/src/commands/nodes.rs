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
    /// Nothing where it takes no lanes.
    lanes: Option<u64>,
    requests: Option<u64>,
    started_at: String,
    seen_at: String,
}

impl From<NodeRecord> for NodeRow {
    fn from(record: NodeRecord) -> NodeRow {
        NodeRow {
            id: record.presence.node.to_string(),
            name: record.presence.name,
            lanes: record.presence.load.map(|load| load.lanes),
            requests: record.presence.load.map(|load| load.requests),
            started_at: instant(record.started_at),
            seen_at: instant(record.seen_at),
        }
    }
}

impl Row for NodeRow {
    const COLUMNS: &'static [&'static str] = &["node", "name", "lanes", "requests", "started", "seen"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            self.lanes.map(grouped).unwrap_or_default(),
            self.requests.map(grouped).unwrap_or_default(),
            self.started_at.clone(),
            self.seen_at.clone(),
        ]
    }
}
