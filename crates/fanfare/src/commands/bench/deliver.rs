//! `bench deliver`: one series, N participants, some endpoints: from the save to the last outcome on disk. In a file by lanes
//! of this process, or on PostgreSQL by nodes that are processes of their own.

mod fleet;
pub(super) mod node;
mod server_load;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use provider::concurrency::{CONCURRENCY_MAX, CONCURRENCY_MAX_DEFAULT};
use provider::settings::EndpointSettings;
use store::{Catalog, Clock, EndpointChange, FanOutState};
use store_sqlite::SqliteStore;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use webinar::Zones;
use wire::{AccountId, EventId, NodeId};
use workers::LaneSupervisor;

use super::Counterpart;
use super::meter::Meter;
use super::stage::Stage;
use crate::clock::SystemClock;
use crate::progress::Progress;
use crate::secret_keys;

/// How much to deliver.
#[derive(Debug, Args)]
pub(crate) struct DeliverArgs {
    /// People to tell.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    participants: u64,
    /// Endpoints that are told of each of them.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    endpoints: u32,
    /// Requests in flight at most, to one endpoint.
    #[arg(long, default_value_t = CONCURRENCY_MAX_DEFAULT, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(CONCURRENCY_MAX)))]
    window: u32,
    /// Where to put the temporary database; its disk is part of what is measured.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "database")]
    directory: Option<PathBuf>,
    /// A PostgreSQL server, on which a database is made for the measuring and dropped again. The role must be allowed to.
    #[arg(long, value_name = "postgres://…")]
    database: Option<String>,
    /// Processes that deliver from it.
    #[arg(long, default_value_t = 1, value_name = "N", requires = "database")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16))]
    nodes: u32,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

pub(super) async fn run(args: DeliverArgs) -> anyhow::Result<()> {
    if let Some(database) = args.database.clone() {
        return fleet::run(args, &database).await;
    }
    let mut sink = Counterpart::start(&["sink".to_owned()])?;
    let address = sink.next_line().await?;
    let directory = match &args.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .context("no temporary directory")?;
    let path = directory.path().join("bench.db");
    let store = SqliteStore::open(&path, Zones::bundled(), secret_keys::passing_vault()?)?;
    let stage = Stage { store: Arc::new(store.clone()), account: AccountId::from_u32(1) };
    set(&stage, &args, &address).await?;
    store.checkpoint().await?;

    let meter = Meter::start(&path, store.commit_stats());
    let save = stage.version(1)?;
    let event = save.event.id;
    let publishing = Instant::now();
    store.save_series(stage.account, save).await?;
    let publish_millis = publishing.elapsed().as_secs_f64() * 1e3;

    let (stop, stopped) = watch::channel(false);
    let supervisor = LaneSupervisor::new(stage.context()?, NodeId::from_bytes([1; 16]), stopped);
    let lanes = tokio::spawn(supervisor.run(Duration::from_secs(35)));
    wait_until_delivered(&stage, event, args.deliveries()).await?;
    let reading = meter.stop();
    stop.send(true)?;
    lanes.await?;
    store.checkpoint().await?;

    let mut figures = meter.figures("deliver", args.deliveries(), &reading, &path, store.commit_stats());
    figures.publish_millis = Some(publish_millis);
    figures.print(args.json)
}

impl DeliverArgs {
    /// Whether it is measured on a server.
    pub(super) fn is_on_server(&self) -> bool {
        self.database.is_some()
    }

    fn deliveries(&self) -> u64 {
        self.participants * u64::from(self.endpoints)
    }
}

/// The people, and the endpoints at this address.
async fn set(stage: &Stage, args: &DeliverArgs, address: &str) -> anyhow::Result<()> {
    stage.people(args.participants).await?;
    let settings = EndpointSettings { concurrency_max: args.window, ..EndpointSettings::default() };
    for number in 0..args.endpoints {
        let endpoint = stage.subscribe(&format!("http://{address}/hook/{number}")).await?;
        let change = EndpointChange::Serve(settings);
        stage.store.change_endpoint(stage.account, endpoint, change, SystemClock.now()).await?;
    }
    Ok(())
}

async fn wait_until_delivered(stage: &Stage, event: EventId, deliveries: u64) -> anyhow::Result<()> {
    let progress = Progress::start("deliveries", deliveries);
    loop {
        let detail =
            stage.store.event(stage.account, event).await?.context("the event that was just saved is missing")?;
        let (mut delivered, mut swept) = (0, !detail.summary.fan_outs.is_empty());
        for fan_out in &detail.summary.fan_outs {
            anyhow::ensure!(fan_out.abandoned == 0, "{} deliveries were refused by the sink", fan_out.abandoned);
            delivered += fan_out.delivered;
            swept &= fan_out.state == FanOutState::Swept;
        }
        progress.set(delivered);
        if swept && delivered == deliveries {
            progress.finish();
            return Ok(());
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}
