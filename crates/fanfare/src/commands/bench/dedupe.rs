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
    /// CPU of each round, the log moved into the file and all.
    empty_cpu_micros: Vec<f64>,
    full_cpu_micros: Vec<f64>,
    empty_per_second: Vec<f64>,
    full_per_second: Vec<f64>,
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
        empty_cpu_micros: Vec::new(),
        full_cpu_micros: Vec::new(),
        empty_per_second: Vec::new(),
        full_per_second: Vec::new(),
    };
    let sender = Sender::new()?;
    for _ in 0..ROUNDS {
        let figures = accept_all(&empty_store, &empty, sender.messages(args.messages)?).await?;
        compared.empty_cpu_micros.push(figures.cpu_micros_per_unit);
        compared.empty_per_second.push(figures.per_second);
        let figures = accept_all(&full_store, &full, sender.messages(args.messages)?).await?;
        compared.full_cpu_micros.push(figures.cpu_micros_per_unit);
        compared.full_per_second.push(figures.per_second);
    }
    print(&compared, args.json)
}

fn print(compared: &Compared, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::print_json(compared);
    }
    let Compared { keys, bytes_per_key, fill_seconds, .. } = compared;
    output::print_line(&format!("{:<12} {keys}, {bytes_per_key:.1} bytes each, filled in {fill_seconds:.0} s", "keys"));
    for (name, cpu, rates) in [
        ("empty", &compared.empty_cpu_micros, &compared.empty_per_second),
        ("full", &compared.full_cpu_micros, &compared.full_per_second),
    ] {
        let told = |figures: &[f64]| figures.iter().map(|figure| format!("{figure:.1}")).collect::<Vec<_>>().join(", ");
        output::print_line(&format!("{name:<12} {} µs of CPU each; {} /s", told(cpu), told(rates)));
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
}

impl Sender {
    fn new() -> anyhow::Result<Sender> {
        let secret = SigningSecret::from_random((&SystemChance as &dyn Chance).bytes());
        let scheme = Scheme::standard_webhooks([secret.reveal().as_str()])?;
        Ok(Sender { source: Source::new(SOURCE, ACCOUNT, "Bench", scheme)?, signer: Signer::new([secret])? })
    }

    fn messages(&self, count: u64) -> anyhow::Result<Vec<Verified>> {
        let now = SystemClock.now();
        let body = bytes::Bytes::from("x".repeat(900));
        let message = |_| {
            let chance: [u8; 16] = (&SystemChance as &dyn Chance).bytes();
            let id = format!("msg_{:032x}", u128::from_be_bytes(chance));
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
