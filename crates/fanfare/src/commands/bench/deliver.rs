//! `bench deliver`: one series, N participants, one endpoint: from the save to the last outcome on disk.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use provider::concurrency::{CONCURRENCY_MAX, CONCURRENCY_MAX_DEFAULT};
use provider::settings::EndpointSettings;
use store::{Catalog, Clock, EndpointChange, FanOutState, Subscriptions};
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
    /// Requests in flight at most.
    #[arg(long, default_value_t = CONCURRENCY_MAX_DEFAULT, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(CONCURRENCY_MAX)))]
    window: u32,
    /// Where to put the temporary database; its disk is part of what is measured.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

pub(super) async fn run(args: DeliverArgs) -> anyhow::Result<()> {
    let mut sink = Counterpart::start(&["sink".to_owned()])?;
    let address = sink.next_line().await?;
    let directory = match &args.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .context("no temporary directory")?;
    let path = directory.path().join("bench.db");
    let store = SqliteStore::open(&path, Zones::bundled(), secret_keys::passing_vault()?)?;
    let stage = Stage { store: &store, account: AccountId::from_u32(1) };
    stage.people(args.participants).await?;
    let endpoint = stage.subscribe(&format!("http://{address}/hook")).await?;
    let settings = EndpointSettings { concurrency_max: args.window, ..EndpointSettings::default() };
    store.change_endpoint(stage.account, endpoint, EndpointChange::Serve(settings), SystemClock.now()).await?;
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
    wait_until_delivered(&stage, event, args.participants).await?;
    let reading = meter.stop();
    stop.send(true)?;
    lanes.await?;
    store.checkpoint().await?;

    let mut figures = meter.figures("deliver", args.participants, &reading, &path, store.commit_stats());
    figures.publish_millis = Some(publish_millis);
    figures.print(args.json)
}

async fn wait_until_delivered(stage: &Stage<'_>, event: EventId, participants: u64) -> anyhow::Result<()> {
    let progress = Progress::start("deliveries", participants);
    loop {
        let detail =
            stage.store.event(stage.account, event).await?.context("the event that was just saved is missing")?;
        let fan_out = detail.summary.fan_outs.first().context("nobody was subscribed")?;
        progress.set(fan_out.delivered);
        anyhow::ensure!(fan_out.abandoned == 0, "{} deliveries were refused by the sink", fan_out.abandoned);
        if fan_out.state == FanOutState::Swept && fan_out.delivered == participants {
            progress.finish();
            return Ok(());
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}
