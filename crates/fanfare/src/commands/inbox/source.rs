//! `fanfare inbox source`: the places webhooks are accepted at, and the keys of their senders.

use std::io::{self, Read};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use receiver::{Preset, Scheme, Source};
use serde::Serialize;
use store::{Act, Chance, Clock, SourceKey, SourceRecord};
use wire::SourceId;

use crate::cli::{AccountArg, ListArgs};
use crate::clock::{SystemChance, SystemClock};
use crate::config::UsageError;
use crate::database::{DatabaseArgs, by_hand, the_account};
use crate::output::{self, Row, instant};

/// The preset under which a source of the settings file is listed.
const OF_THE_FILE: &str = "custom";
/// The keys of one source are about a hundred bytes each, and few; a file given by mistake is not read whole.
const KEYS_BYTES_MAX: u64 = 16 * 1024;

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Make a source; prints the path to register with the sender.
    Create(SourceCreateArgs),
    /// Replace the keys of a source; during a rotation give the old and the new one.
    Keys(SourceKeysArgs),
    /// List an account's sources.
    List(SourceListArgs),
}

/// The source to make. Without a key it rejects everything until it is given one.
#[derive(Debug, Args)]
pub(crate) struct SourceCreateArgs {
    /// Its name, for people.
    #[arg(long)]
    name: String,
    /// How its sender signs: standard-webhooks (as Fanfare does), svix, stripe, github, shopify, zoom, slack, razorpay,
    /// calendly, calcom or bearer. What needs more than keys is declared in the settings file.
    #[arg(long, value_name = "PRESET", default_value_t = Preset::StandardWebhooks, value_parser = parse_preset)]
    preset: Preset,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object, the source.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The source, and its keys from now on.
#[derive(Debug, Args)]
pub(crate) struct SourceKeysArgs {
    /// Its id, as the list shows it.
    #[arg(value_name = "src_…")]
    source: SourceId,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object, the source.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What the sender signs with.
#[derive(Debug, Args)]
struct KeyArgs {
    /// What the sender signs with: whsec_… or whpk_…, or as the preset has it; several are valid at once. Other users of this machine can see
    /// what is typed, so the environment is the better place, or standard input: - reads them from there.
    #[arg(long = "key", env = "FANFARE_SOURCE_KEY", hide_env_values = true, value_delimiter = ',')]
    keys: Vec<String>,
}

/// Whose sources to list.
#[derive(Debug, Args)]
pub(crate) struct SourceListArgs {
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: SourceCommand) -> anyhow::Result<()> {
    match command {
        SourceCommand::Create(args) => create(args).await,
        SourceCommand::Keys(args) => replace_keys(args).await,
        SourceCommand::List(args) => list(args).await,
    }
}

async fn create(args: SourceCreateArgs) -> anyhow::Result<()> {
    let keys = args.keys.read(args.preset)?;
    let name = Source::parse_name(&args.name)?;
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let now = SystemClock.now();
    let id = SourceId::from_bytes((&SystemChance as &dyn Chance).id_bytes(now));
    let record = SourceRecord { id, account, name, preset: args.preset.to_string(), keys, created_at: now };
    let noting = store.noting(by_hand(record.account, Act::SourceCreate, record.id));
    noting.create_source(record.clone()).await?;
    let row = SourceRow::from(record);
    if args.json {
        return output::print_json(&row);
    }
    output::print_line(&row.path);
    if row.key_count > 0 {
        output::say("Register this path, after your server's address, with the sender.");
    } else if args.preset != Preset::StandardWebhooks {
        output::say(&format!(
            "It rejects everything until it has a key. Next:\n  \
             1  register this path, after your server's address, with the sender\n  \
             2  give it the secret the sender signs with: fanfare inbox source keys {id} --key …"
        ));
    } else {
        output::say(&format!(
            "It rejects everything until it has a key. Next:\n  \
             1  register this path, after your server's address, with the sender\n  \
             2  take signingSecret from its answer and run: fanfare inbox source keys {id} --key whsec_…"
        ));
    }
    Ok(())
}

async fn replace_keys(args: SourceKeysArgs) -> anyhow::Result<()> {
    let given = args.keys.given()?;
    if given.is_empty() {
        return Err(UsageError("give --key whsec_…, once for each key, or set FANFARE_SOURCE_KEY".to_owned()).into());
    }
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let missing = || format!("there is no source {}; fanfare inbox source list shows them", args.source);
    let known = store.source(args.source).await?.filter(|source| source.account == account).with_context(missing)?;
    let keys = checked(known.preset.parse()?, &given)?;
    let noting = store.noting(by_hand(account, Act::SourceKeys, args.source));
    ensure!(noting.set_source_keys(account, args.source, keys).await?, missing());
    let row = SourceRow::from(store.source(args.source).await?.with_context(missing)?);
    if args.json {
        return output::print_json(&row);
    }
    let keys = output::counted(row.key_count as u64, "key is", "keys are");
    output::say(&format!("{keys} valid at {} within a second", row.path));
    Ok(())
}

async fn list(args: SourceListArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let rows: Vec<SourceRow> = store.sources(account).await?.into_iter().map(SourceRow::from).collect();
    output::print_list(args.output.format(), &rows, "no source yet; make one with fanfare inbox source create")
}

impl KeyArgs {
    /// The keys given, checked; none where none were.
    fn read(&self, preset: Preset) -> anyhow::Result<Vec<SourceKey>> {
        let given = self.given()?;
        if given.is_empty() { Ok(Vec::new()) } else { checked(preset, &given) }
    }

    fn given(&self) -> anyhow::Result<Vec<String>> {
        let typed = self.keys.iter().map(String::as_str).filter(|key| !key.trim().is_empty());
        match typed.collect::<Vec<_>>()[..] {
            ["-"] => read_keys(io::stdin()),
            ref typed => Ok(typed.iter().map(|key| (*key).to_owned()).collect()),
        }
    }
}

fn checked(preset: Preset, given: &[String]) -> anyhow::Result<Vec<SourceKey>> {
    let keys = Scheme::key_texts(preset, given.iter().map(String::as_str))?;
    Ok(keys.into_iter().map(SourceKey::new).collect())
}

/// A source of the database has keys and no other settings.
fn parse_preset(text: &str) -> Result<Preset, String> {
    match text.parse::<Preset>() {
        Ok(preset) if preset.needs_only_keys() => Ok(preset),
        Ok(preset) => Err(format!("{preset} needs more than keys; declare it as a [[source]] in the settings file")),
        Err(error) => Err(error.to_string()),
    }
}

fn read_keys(from: impl Read) -> anyhow::Result<Vec<String>> {
    let mut text = String::new();
    from.take(KEYS_BYTES_MAX).read_to_string(&mut text).context("cannot read keys from standard input")?;
    let keys: Vec<String> =
        text.split([',', '\n']).map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect();
    ensure!(!keys.is_empty(), "standard input holds no key; give one a line");
    Ok(keys)
}

/// A source, in the shape of the API; its keys are never shown again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceRow {
    id: String,
    name: String,
    preset: String,
    path: String,
    key_count: usize,
    created_at: String,
}

impl From<SourceRecord> for SourceRow {
    fn from(source: SourceRecord) -> SourceRow {
        SourceRow {
            id: source.id.to_string(),
            // Those of the settings file are listed so that messages have a name for them; the file says the rest.
            path: match source.preset.as_str() {
                OF_THE_FILE => "in the settings file".to_owned(),
                _ => format!("/in/{}", source.id),
            },
            name: source.name,
            preset: source.preset,
            key_count: source.keys.len(),
            created_at: instant(source.created_at),
        }
    }
}

impl Row for SourceRow {
    const COLUMNS: &'static [&'static str] = &["source", "name", "preset", "path", "keys", "created"];

    fn cells(&self) -> Vec<String> {
        let keys = self.key_count.to_string();
        vec![self.id.clone(), self.name.clone(), self.preset.clone(), self.path.clone(), keys, self.created_at.clone()]
    }
}
