//! One node of `bench deliver`: lanes on a PostgreSQL database, until the process that started it says that all is done.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use store::{Chance, Clock, SealingKey, Vault};
use store_postgres::{Address, PostgresStore};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;
use webinar::Zones;
use wire::{AccountId, NodeId};
use workers::LaneSupervisor;

use crate::clock::{SystemChance, SystemClock};
use crate::commands::bench::meter::Cost;
use crate::commands::bench::stage::Stage;
use crate::output;

/// Where the database is.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// With the password, so never among the arguments.
    #[arg(long, env = "FANFARE_BENCH_DATABASE", hide_env_values = true)]
    database: Address,
}

/// What a node has used.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NodeFigures {
    pub(super) cpu_micros: u64,
    pub(super) peak_memory_bytes: u64,
    pub(super) statements: u64,
}

/// Secrets in the database of a benchmark need no secrecy, only the same key in all its processes.
pub(super) fn vault() -> anyhow::Result<Vault> {
    Ok(Vault::new([SealingKey::from_bytes([7; 32])], Arc::new(SystemChance))?)
}

pub(crate) async fn run(args: NodeArgs) -> anyhow::Result<()> {
    let store = PostgresStore::open(&args.database, Zones::bundled(), vault()?).await?;
    let stage = Stage { store: Arc::new(store.clone()), account: AccountId::from_u32(1) };
    let (stop, stopped) = watch::channel(false);
    let chance: &dyn Chance = &SystemChance;
    let node = NodeId::from_bytes(chance.id_bytes(SystemClock.now()));
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    let context = stage.context()?;
    let hint = context.hint.clone();
    let supervisor = LaneSupervisor::new(context, node, stopped).among(Arc::new(store.clone()), node.to_string());
    // It finds nothing to do yet, and is seen by the others.
    let lanes = tokio::spawn(supervisor.run(Duration::from_secs(35)));
    output::print_line("ready");
    // The work begins with the first line and ends with the second.
    told.next_line().await?;
    let (cost, statements) = (Cost::start(), store.statements());
    hint.notify_one();
    told.next_line().await?;
    let (cpu, peak_memory_bytes) = cost.stop();
    let figures = NodeFigures {
        cpu_micros: cpu.as_micros() as u64,
        peak_memory_bytes,
        statements: store.statements() - statements,
    };
    stop.send(true)?;
    lanes.await?;
    output::print_line(&serde_json::to_string(&figures)?);
    Ok(())
}
