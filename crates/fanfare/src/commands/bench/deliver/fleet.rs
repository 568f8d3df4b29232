//! `bench deliver` on PostgreSQL: a database of its own, nodes as processes of their own, and what nodes and server have used.

use std::time::Duration;

use serde::Serialize;
use std::sync::Arc;
use store::Catalog;
use store_postgres::{PostgresStore, ScratchDatabase, ServerFigures};
use tokio::time::{Instant, sleep};
use webinar::Zones;
use wire::AccountId;

use super::node::{NodeFigures, vault};
use super::server_load::cpu_of_server;
use super::{DeliverArgs, set, wait_until_delivered};
use crate::commands::bench::Counterpart;
use crate::commands::bench::meter::print_rows;
use crate::commands::bench::stage::Stage;
use crate::output;

/// Connections tell of the rows they have changed when they have been idle for a moment.
const COUNTS_ARE_TOLD_WITHIN: Duration = Duration::from_millis(1_500);

/// A node tells of itself, and hears of the others, every two seconds.
const NODES_HEAR_OF_EACH_OTHER_WITHIN: Duration = Duration::from_millis(4_500);

/// Figures of one run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    bench: &'static str,
    nodes: u32,
    endpoints: u32,
    deliveries: u64,
    seconds: f64,
    per_second: f64,
    publish_millis: f64,
    /// Of all nodes together.
    node_cpu_micros_per_delivery: f64,
    /// Of the server, where it runs on this machine.
    postgres_cpu_micros_per_delivery: Option<f64>,
    statements_per_thousand: f64,
    bytes_per_delivery: f64,
    log_bytes_per_delivery: f64,
    dead_rows: u64,
    /// Of the largest node.
    peak_memory_bytes: u64,
}

pub(super) async fn run(args: DeliverArgs, url: &str) -> anyhow::Result<()> {
    let scratch = ScratchDatabase::create(url, &format!("fanfare_bench_{}", std::process::id())).await?;
    let measured = measure(&args, scratch.url()).await;
    scratch.drop_it().await?;
    let figures = measured?;
    match args.json {
        true => output::print_json(&figures),
        false => {
            print_rows(&figures.rows());
            Ok(())
        }
    }
}

async fn measure(args: &DeliverArgs, url: &str) -> anyhow::Result<Figures> {
    let mut sink = Counterpart::start(&["sink".to_owned()])?;
    let address = sink.next_line().await?;
    let store = PostgresStore::open(&url.parse()?, Zones::bundled(), vault()?).await?;
    let stage = Stage { store: Arc::new(store.clone()), account: AccountId::from_u32(1) };
    set(&stage, args, &address).await?;
    store.settle_down().await?;
    let mut nodes = Vec::new();
    for _ in 0..args.nodes {
        let mut node = Counterpart::start_with(&["node".to_owned()], &[("FANFARE_BENCH_DATABASE", url)])?;
        anyhow::ensure!(node.next_line().await? == "ready", "a node did not start");
        nodes.push(node);
    }

    if args.nodes > 1 {
        sleep(NODES_HEAR_OF_EACH_OTHER_WITHIN).await;
    }

    let save = stage.version(1)?;
    let event = save.event.id;
    let (before, started) = (Standing::of(&store).await?, Instant::now());
    store.save_series(stage.account, save).await?;
    let publish_millis = started.elapsed().as_secs_f64() * 1e3;
    for node in &mut nodes {
        node.tell().await?;
    }
    wait_until_delivered(&stage, event, args.deliveries()).await?;
    let seconds = started.elapsed().as_secs_f64();
    let mut used = Vec::new();
    for node in &mut nodes {
        node.tell().await?;
        used.push(serde_json::from_str(&node.next_line().await?)?);
    }
    sleep(COUNTS_ARE_TOLD_WITHIN).await;
    let after = Standing::of(&store).await?;
    Ok(figures(args, (seconds, publish_millis), &used, (&before, &after)))
}

/// How the server stands.
struct Standing {
    figures: ServerFigures,
    cpu: Option<Duration>,
}

impl Standing {
    async fn of(store: &PostgresStore) -> anyhow::Result<Standing> {
        let figures = store.server_figures().await?;
        Ok(Standing { figures, cpu: cpu_of_server(figures.backend) })
    }
}

fn figures(
    args: &DeliverArgs,
    (seconds, publish_millis): (f64, f64),
    used: &[NodeFigures],
    (before, after): (&Standing, &Standing),
) -> Figures {
    let deliveries = args.deliveries();
    let each = |total: u64| total as f64 / deliveries as f64;
    let grown = |of: fn(&ServerFigures) -> u64| each(of(&after.figures).saturating_sub(of(&before.figures)));
    let postgres_cpu = after.cpu.zip(before.cpu).map(|(after, before)| after.saturating_sub(before));
    Figures {
        bench: "deliver",
        nodes: args.nodes,
        endpoints: args.endpoints,
        deliveries,
        seconds,
        per_second: deliveries as f64 / seconds,
        publish_millis,
        node_cpu_micros_per_delivery: each(used.iter().map(|node| node.cpu_micros).sum()),
        postgres_cpu_micros_per_delivery: postgres_cpu.map(|cpu| each(cpu.as_micros() as u64)),
        statements_per_thousand: 1e3 * each(used.iter().map(|node| node.statements).sum()),
        bytes_per_delivery: grown(|figures| figures.bytes),
        log_bytes_per_delivery: grown(|figures| figures.log_bytes),
        dead_rows: after.figures.dead_rows.saturating_sub(before.figures.dead_rows),
        peak_memory_bytes: used.iter().map(|node| node.peak_memory_bytes).max().unwrap_or(0),
    }
}

impl Figures {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let postgres = match self.postgres_cpu_micros_per_delivery {
            Some(micros) => format!("{micros:.1} µs each, of PostgreSQL"),
            None => "of PostgreSQL is not to be seen from this machine".to_owned(),
        };
        vec![
            ("publish", format!("{:.2} ms until it was on disk and answered", self.publish_millis)),
            ("rate", format!("{:.0} /s ({} in {:.1} s)", self.per_second, self.deliveries, self.seconds)),
            ("nodes", format!("{}, for {} endpoints", self.nodes, self.endpoints)),
            ("CPU", format!("{:.1} µs each, of all nodes; {postgres}", self.node_cpu_micros_per_delivery)),
            ("statements", format!("{:.1} for 1,000 deliveries", self.statements_per_thousand)),
            (
                "disk",
                format!("{:.1} bytes each, {:.1} in the log", self.bytes_per_delivery, self.log_bytes_per_delivery),
            ),
            ("dead rows", format!("{}", self.dead_rows)),
            ("peak memory", format!("{:.1} MB, of the largest node", self.peak_memory_bytes as f64 / 1e6)),
        ]
    }
}
