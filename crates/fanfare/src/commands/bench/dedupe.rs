//! `bench dedupe`: what recognising repetitions costs beside very many earlier messages, against an empty database in the
//! same run. Messages are accepted without a network, so that the difference shows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use clap::Args;
use receiver::{RawRequest, Scheme, Source, Verified, verify};
use serde::Serialize;
use store::{Account, Accounts, Chance, Clock, Inbox};
use store_sqlite::SqliteStore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use webinar::Zones;
use wire::{AccountId, Signer, SigningSecret, SourceId, WebhookId};

use super::meter::{Figures, Meter};
use crate::clock::{SystemChance, SystemClock};
use crate::{output, secret_keys};

/// How much to compare.
#[derive(Debug, Args)]
pub(crate) struct DedupeArgs {
    /// Earlier messages whose repetitions would be recognised. 100,000,000 take some 3 GB and minutes to fill.
    #[arg(long, default_value_t = 10_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// New messages of 900 bytes in each of the rounds.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    messages: u64,
    /// Where to put the temporary databases; its disk is part of what is measured.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

const ACCOUNT: AccountId = AccountId::from_u32(1);
const SOURCE: SourceId = SourceId::from_bytes([1; 16]);
/// Rounds, with the empty and the full database in turn, so that both meet the same moods of the machine.
const ROUNDS: usize = 3;
/// Messages accepted at once, as from so many connections.
const AT_ONCE: usize = 64;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared {
    bench: &'static str,
    keys: u64,
    bytes_per_key: f64,
    fill_seconds: f64,
    series: Vec<Series>,
}

/// One kind of message into one of the databases.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    database: &'static str,
    ids: Ids,
    /// CPU in each round, the log moved into the file and all.
    cpu_micros: Vec<f64>,
    per_second: Vec<f64>,
}

/// What the ids of messages look like.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Ids {
    /// Each the one after the last, as a fan-out's are.
    Counted,
    /// None like another, as hashes are.
    Random,
}

pub(super) async fn run(args: DedupeArgs) -> anyhow::Result<()> {
    let directory = match &args.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .context("no temporary directory")?;
    let (empty, full) = (directory.path().join("empty.db"), directory.path().join("full.db"));
    let (empty_store, full_store) = (open(&empty).await?, open(&full).await?);
    let (bytes_before, started) = (file_size(&full)?, Instant::now());
    full_store
        .fill_keys_for_a_bench(args.keys, |filled| output::say(&format!("{filled} of {} keys", args.keys)))
        .await?;
    full_store.checkpoint().await?;
    let mut compared = Compared {
        bench: "dedupe",
        keys: args.keys,
        bytes_per_key: file_size(&full)?.saturating_sub(bytes_before) as f64 / args.keys as f64,
        fill_seconds: started.elapsed().as_secs_f64(),
        series: Vec::new(),
    };
    for ids in [Ids::Counted, Ids::Random] {
        compared.series.extend(["empty", "full"].map(|database| Series {
            database,
            ids,
            cpu_micros: Vec::new(),
            per_second: Vec::new(),
        }));
    }
    let mut sender = Sender::new()?;
    for _ in 0..ROUNDS {
        for series in &mut compared.series {
            let (store, path) = if series.database == "full" { (&full_store, &full) } else { (&empty_store, &empty) };
            let figures = accept_all(store, path, sender.messages(series.ids, args.messages)?).await?;
            series.cpu_micros.push(figures.cpu_micros_per_unit);
            series.per_second.push(figures.per_second);
        }
    }
    print(&compared, args.json)
}

fn print(compared: &Compared, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::print_json(compared);
    }
    let Compared { keys, bytes_per_key, fill_seconds, .. } = compared;
    output::print_line(&format!("{:<12} {keys}, {bytes_per_key:.1} bytes each, filled in {fill_seconds:.0} s", "keys"));
    for Series { database, ids, cpu_micros, per_second } in &compared.series {
        let told = |figures: &[f64]| figures.iter().map(|figure| format!("{figure:.1}")).collect::<Vec<_>>().join(", ");
        let (cpu, rates) = (told(cpu_micros), told(per_second));
        output::print_line(&format!("{database:<12} ids {ids:?}: {cpu} µs of CPU each; {rates} /s"));
    }
    Ok(())
}

async fn open(path: &Path) -> anyhow::Result<SqliteStore> {
    let store = SqliteStore::open(path, Zones::bundled(), secret_keys::passing_vault()?)?;
    let key = provider::api_key::ApiKey::from_chance([1; 8], [1; 32]).to_stored();
    let created_at = SystemClock.now();
    let account = Account { id: ACCOUNT, name: "Bench".into(), timezone: "Etc/UTC".into(), created_at };
    store.create_account(account, key).await?;
    store.checkpoint().await?;
    Ok(store)
}

/// Accepts new messages, and moves them into the file.
async fn accept_all(store: &SqliteStore, path: &Path, messages: Vec<Verified>) -> anyhow::Result<Figures> {
    let count = messages.len() as u64;
    let waiting = Arc::new(Mutex::new(messages.into_iter()));
    let meter = Meter::start(path, store.commit_stats());
    let mut accepting = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (store, waiting) = (store.clone(), waiting.clone());
        accepting.spawn(async move {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(message) = next else { return anyhow::Ok(()) };
                store.accept(message).await?;
            }
        });
    }
    while let Some(accepted) = accepting.join_next().await {
        accepted??;
    }
    store.checkpoint().await?;
    let reading = meter.stop();
    Ok(meter.figures("dedupe", count, &reading, path, store.commit_stats()))
}

/// Signs messages, none like another.
struct Sender {
    source: Source,
    signer: Signer,
    sent: u64,
}

impl Sender {
    fn new() -> anyhow::Result<Sender> {
        let secret = SigningSecret::from_random((&SystemChance as &dyn Chance).bytes());
        let scheme = Scheme::standard_webhooks([secret.reveal().as_str()])?;
        Ok(Sender { source: Source::new(SOURCE, ACCOUNT, "Bench", scheme)?, signer: Signer::new([secret])?, sent: 0 })
    }

    fn messages(&mut self, ids: Ids, count: u64) -> anyhow::Result<Vec<Verified>> {
        let now = SystemClock.now();
        let body = bytes::Bytes::from("x".repeat(900));
        let sent = self.sent;
        self.sent += count;
        let message = |nth| {
            let number = match ids {
                Ids::Counted => u128::from(sent + nth),
                Ids::Random => u128::from_be_bytes((&SystemChance as &dyn Chance).bytes()),
            };
            let id = format!("msg_{number:032x}");
            let signature = self.signer.sign(WebhookId::new(&id)?, now.as_second(), &body);
            let timestamp = now.as_second().to_string();
            let headers = [("webhook-id", &id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)];
            let headers = headers.map(|(name, value)| (name, value.as_bytes()));
            Ok(verify(&self.source, RawRequest { headers, body: body.clone() }, now)?)
        };
        (0..count).map(message).collect()
    }
}

fn file_size(path: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}
