//! `bench inbox`: unique signed messages over real sockets into the real inbox, each on disk before its answer. What handles
//! them meanwhile is in `inbox/handling`.

mod handling;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use provider::target::TargetPolicy;
use receiver::Preset;
use serde::Serialize;
use store::{Account, Accounts, Chance, Clock, Inbox, SourceRecord};
use store_sqlite::SqliteStore;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use web::WebSettings;
use webinar::Zones;
use wire::{AccountId, SigningSecret, SourceId};

use super::Counterpart;
use super::load::Seen;
use super::meter::{Figures, Meter, print_rows};
use crate::clock::{SystemChance, SystemClock};
use crate::{output, secret_keys};
use handling::{HandlerFigures, HandlersKind, Handling};

/// How much to accept.
#[derive(Debug, Args)]
pub(crate) struct InboxArgs {
    /// Messages, each unique, signed, of 900 bytes.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    messages: u64,
    /// Connections of the sender.
    #[arg(long, default_value_t = 64, value_name = "N")]
    connections: usize,
    /// What handles them meanwhile; its CPU and memory are measured, too.
    #[arg(long, value_enum, default_value_t)]
    handlers: HandlersKind,
    /// The database of the sql handler, `postgres://USER:PASSWORD@HOST/DATABASE`; its tables are made and stay. Without it
    /// a temporary SQLite file.
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Where to put the temporary database; its disk is part of what is measured.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct InboxFigures {
    #[serde(flatten)]
    figures: Figures,
    #[serde(flatten)]
    seen: Seen,
    #[serde(skip_serializing_if = "Option::is_none")]
    handler: Option<HandlerFigures>,
}

/// What account and source are called.
const NAME: &str = "Bench";
const ACCOUNT: AccountId = AccountId::from_u32(1);
const SOURCE: SourceId = SourceId::from_bytes([1; 16]);

pub(super) async fn run(args: InboxArgs) -> anyhow::Result<()> {
    let directory = match &args.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .context("no temporary directory")?;
    let path = directory.path().join("bench.db");
    let store = SqliteStore::open(&path, Zones::bundled(), secret_keys::passing_vault()?)?;
    let secret = SigningSecret::from_random((&SystemChance as &dyn Chance).bytes()).reveal();
    prepare(&store, &secret).await?;
    store.checkpoint().await?;

    let hint = Arc::new(Notify::new());
    let handling =
        Handling::start(args.handlers, args.target.as_deref(), directory.path(), &store, hint.clone()).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(web::serve(listener, context(&store, hint), async move {
        let _ = stopped.await;
    }));
    let meter = Meter::start(&path, store.commit_stats());
    let mut load = Counterpart::start(&load_arguments(&args, &address.to_string(), &secret))?;
    let seen: Seen = serde_json::from_str(&load.next_line().await?)?;
    let mut reading = meter.stop();
    load.process.wait().await?;
    let _ = stop.send(());
    server.await??;
    let stored = store.message_counts(ACCOUNT).await?.stored;
    anyhow::ensure!(stored == seen.accepted, "{} answers of 200, but {stored} messages on disk", seen.accepted);
    let mut handler = None;
    if let Some(handling) = handling {
        let (figures, worked) = handling.finish(stored, &meter, &reading).await?;
        reading = reading.with_cost_until(&worked);
        handler = Some(figures);
    }
    store.checkpoint().await?;

    let figures = meter.figures("inbox", seen.accepted, &reading, &path, store.commit_stats());
    print(InboxFigures { figures, seen, handler }, args.json)
}

fn print(measured: InboxFigures, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::print_json(&measured);
    }
    let InboxFigures { figures, seen, handler } = measured;
    let [p50, p99, max] = [seen.answer_micros_p50, seen.answer_micros_p99, seen.answer_micros_max]
        .map(|micros| format!("{:.2} ms", f64::from(micros) / 1e3));
    let mut rows = figures.rows();
    rows.push(("answer", format!("{p50} median, {p99} p99, {max} at most, as the sender saw it")));
    rows.extend(handler.iter().flat_map(HandlerFigures::rows));
    print_rows(&rows);
    Ok(())
}

async fn prepare(store: &SqliteStore, secret: &str) -> anyhow::Result<()> {
    let created_at = SystemClock.now();
    let key = provider::api_key::ApiKey::from_chance([1; 8], [1; 32]).to_stored();
    let account = Account { id: ACCOUNT, name: NAME.into(), timezone: "Etc/UTC".into(), created_at };
    store.create_account(account, key).await?;
    let keys = vec![secret.to_owned().into()];
    let (name, preset) = (NAME.into(), Preset::StandardWebhooks.to_string());
    store.create_source(SourceRecord { id: SOURCE, account: ACCOUNT, name, preset, keys, created_at }).await?;
    Ok(())
}

fn context(store: &SqliteStore, runs_hint: Arc<Notify>) -> web::Context {
    let readiness = store.clone();
    web::Context {
        store: Arc::new(store.clone()),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        zones: Zones::bundled(),
        targets: Arc::new(TargetPolicy::default()),
        lanes_hint: Arc::new(Notify::new()),
        replays_hint: Arc::new(Notify::new()),
        runs_hint,
        test_send: None,
        configured_sources: web::ConfiguredSources::default(),
        calendar_feed: None,
        readiness: Arc::new(move || {
            let store = readiness.clone();
            Box::pin(async move { store.check_writable().await })
        }),
        settings: WebSettings::default(),
    }
}

fn load_arguments(args: &InboxArgs, address: &str, secret: &str) -> Vec<String> {
    let (messages, connections) = (args.messages.to_string(), args.connections.to_string());
    let path = format!("/in/{SOURCE}");
    [
        "load",
        "--address",
        address,
        "--path",
        &path,
        "--secret",
        secret,
        "--messages",
        &messages,
        "--connections",
        &connections,
        "--content",
        args.handlers.content().name(),
    ]
    .map(str::to_owned)
    .to_vec()
}
