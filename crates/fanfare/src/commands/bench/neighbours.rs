//! `bench neighbours`: how long a save takes to reach everyone at a healthy endpoint, alone and while many endpoints of
//! another account hang.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use provider::settings::EndpointSettings;
use serde::Serialize;
use store::{Clock, EndpointChange, FanOutState, Store};
use store_sqlite::SqliteStore;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use webinar::Zones;
use wire::{AccountId, NodeId};
use workers::LaneSupervisor;

use super::Counterpart;
use super::stage::Stage;
use crate::clock::SystemClock;
use crate::progress::Progress;
use crate::{output, secret_keys};

/// How much to measure.
#[derive(Debug, Args)]
pub(crate) struct NeighboursArgs {
    /// Endpoints of another account that take requests and never answer.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    hanging: u32,
    /// Saves measured alone, and as many beside the hanging ones. All must end within the 30 s of an attempt.
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000))]
    saves: u32,
    /// Where to put the temporary database.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What a save takes until everyone has got it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    hanging: u32,
    requests_hanging: u64,
    alone_millis_p50: f64,
    alone_millis_p99: f64,
    beside_millis_p50: f64,
    beside_millis_p99: f64,
    /// Beside over alone.
    p99_ratio: f64,
}

/// People told by each save.
const PEOPLE: u64 = 100;
const LOOK_AGAIN_AFTER: Duration = Duration::from_micros(500);
/// Until as many requests hang as ever will, for the time being.
const HANGING_SETTLES_IN: Duration = Duration::from_secs(3);

pub(super) async fn run(args: NeighboursArgs) -> anyhow::Result<()> {
    let mut sink = Counterpart::start(&["sink".to_owned()])?;
    let mut silent = Counterpart::start(&["sink".to_owned(), "--silent".to_owned()])?;
    let (quick, hung) = (sink.next_line().await?, silent.next_line().await?);
    let directory = match &args.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .context("no temporary directory")?;
    let store = SqliteStore::open(&directory.path().join("bench.db"), Zones::bundled(), secret_keys::passing_vault()?)?;
    let store: Arc<dyn Store> = Arc::new(store);
    let healthy = Stage { store: store.clone(), account: AccountId::from_u32(1) };
    healthy.people(PEOPLE).await?;
    let endpoint = healthy.subscribe(&format!("http://{quick}/hook")).await?;
    let neighbour = Stage { store: store.clone(), account: AccountId::from_u32(2) };
    neighbour.people(PEOPLE).await?;
    for number in 0..args.hanging {
        neighbour.subscribe(&format!("http://{hung}/hook/{number}")).await?;
    }

    let (stop, stopped) = watch::channel(false);
    let context = healthy.context()?;
    let hint = context.hint.clone();
    let lanes = tokio::spawn(LaneSupervisor::new(context, NodeId::from_bytes([1; 16]), stopped).run(Duration::ZERO));
    let progress = Progress::start("saves", u64::from(2 * args.saves));
    let mut versions = 1..;
    let mut alone = Vec::new();
    for version in versions.by_ref().take(args.saves as usize) {
        alone.push(save_and_wait(&healthy, version, &hint).await?);
        progress.set(u64::from(version));
    }
    store.save_series(neighbour.account, neighbour.version(1)?).await?;
    hint.notify_one();
    sleep(HANGING_SETTLES_IN).await;
    let mut beside = Vec::new();
    for version in versions.take(args.saves as usize) {
        beside.push(save_and_wait(&healthy, version, &hint).await?);
        progress.set(u64::from(version));
    }
    progress.finish();
    // Nothing of the hanging may have ended meanwhile, or it was not measured beside them.
    let settings = EndpointSettings::default();
    let change = EndpointChange::Serve(settings);
    let healthy_still = store.change_endpoint(healthy.account, endpoint, change, SystemClock.now()).await?;
    anyhow::ensure!(healthy_still.is_some_and(|endpoint| endpoint.health.name() == "healthy"), "the sink failed");
    let requests_hanging = silent.next_number().await?;
    stop.send(true)?;
    lanes.await?;
    print(&args, requests_hanging, alone, beside)
}

/// One save, and the time until it has reached everyone, in milliseconds.
async fn save_and_wait(stage: &Stage, version: u32, hint: &tokio::sync::Notify) -> anyhow::Result<f64> {
    let save = stage.version(version)?;
    let event = save.event.id;
    let started = Instant::now();
    stage.store.save_series(stage.account, save).await?;
    hint.notify_one();
    loop {
        let detail = stage.store.event(stage.account, event).await?.context("the event was just saved")?;
        let fan_out = detail.summary.fan_outs.first().context("nobody was subscribed")?;
        if fan_out.state == FanOutState::Swept && fan_out.delivered == PEOPLE {
            return Ok(started.elapsed().as_secs_f64() * 1e3);
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

fn print(args: &NeighboursArgs, requests_hanging: u64, alone: Vec<f64>, beside: Vec<f64>) -> anyhow::Result<()> {
    let (alone, beside) = (sorted(alone), sorted(beside));
    let figures = Figures {
        hanging: args.hanging,
        requests_hanging,
        alone_millis_p50: quantile(&alone, 0.5),
        alone_millis_p99: quantile(&alone, 0.99),
        beside_millis_p50: quantile(&beside, 0.5),
        beside_millis_p99: quantile(&beside, 0.99),
        p99_ratio: quantile(&beside, 0.99) / quantile(&alone, 0.99),
    };
    if args.json {
        output::print_line(&serde_json::to_string(&figures)?);
        return Ok(());
    }
    output::print_line(&format!(
        "{PEOPLE} people told, from the save to the last outcome on disk, {} times each:\n\
         alone                  median {:6.1} ms   p99 {:6.1} ms\n\
         beside {:5} hanging    median {:6.1} ms   p99 {:6.1} ms   ({requests_hanging} requests hung)\n\
         p99 beside / alone     {:.2}",
        args.saves,
        figures.alone_millis_p50,
        figures.alone_millis_p99,
        args.hanging,
        figures.beside_millis_p50,
        figures.beside_millis_p99,
        figures.p99_ratio,
    ));
    Ok(())
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}
