//! `fanfare replay`: sends again what failed, or a whole event, after saying how much that is. A server does the work.

use std::io::{self, IsTerminal};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use provider::pace::Rate;
use serde::Serialize;
use store::{
    Act, Chance, Clock, Foreseen, NewReplay, OPEN_REPLAYS_MAX, OutdatedReplay, Replay, ReplayScope, Started, Steer,
    Store,
};
use wire::{AccountId, DeliveryId, EndpointId, EventId, ReplayId};

use crate::cli::{AccountArg, LimitArg, ListArgs};
use crate::clock::{SystemChance, SystemClock};
use crate::config::UsageError;
use crate::database::{DatabaseArgs, by_hand, the_account};
use crate::output::{self, Row, counted, instant};

/// What to send again, or what to do with a replay that was started.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    start: StartArgs,
    #[command(subcommand)]
    command: Option<ReplayCommand>,
}

#[derive(Debug, Args)]
struct StartArgs {
    /// This one delivery, whatever came of it.
    #[arg(long, value_name = "dlv_…", conflicts_with_all = ["event", "endpoint", "failed", "all", "since"])]
    delivery: Option<DeliveryId>,
    /// Deliveries of this event.
    #[arg(long, value_name = "evt_…")]
    event: Option<EventId>,
    /// Deliveries to this endpoint.
    #[arg(long, value_name = "ep_…")]
    endpoint: Option<EndpointId>,
    /// Only what has not arrived: given up, or waiting for another attempt (the default).
    #[arg(long, conflicts_with = "all")]
    failed: bool,
    /// Everything of the event, also what has arrived.
    #[arg(long, requires = "event", conflicts_with = "since")]
    all: bool,
    /// Only what failed at this time or later, such as 2027-03-05T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// At most so many first attempts a minute.
    #[arg(long, value_name = "PER-MINUTE")]
    rate: Option<u32>,
    /// Even where the endpoint was told of a newer version of the webinar.
    #[arg(long)]
    even_if_outdated: bool,
    /// Start without asking.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    account: AccountArg,
    /// Print the replay as one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Subcommand)]
enum ReplayCommand {
    /// List replays, newest first.
    List(ReplayListArgs),
    /// Show how far one has got.
    Show(OneArgs),
    /// Put nothing more into the queue.
    Pause(OneArgs),
    /// Go on where it stood.
    Resume(OneArgs),
    /// End it.
    Cancel(OneArgs),
}

#[derive(Debug, Args)]
struct ReplayListArgs {
    #[command(flatten)]
    limit: LimitArg,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Args)]
struct OneArgs {
    /// Its id, as the list shows it.
    #[arg(value_name = "rpl_…")]
    replay: ReplayId,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(args: ReplayArgs) -> anyhow::Result<()> {
    match args.command {
        None => start(args.start).await,
        Some(ReplayCommand::List(args)) => list(args).await,
        Some(ReplayCommand::Show(args)) => one(args, None).await,
        Some(ReplayCommand::Pause(args)) => one(args, Some(Steer::Pause)).await,
        Some(ReplayCommand::Resume(args)) => one(args, Some(Steer::Resume)).await,
        Some(ReplayCommand::Cancel(args)) => one(args, Some(Steer::Cancel)).await,
    }
}

impl StartArgs {
    fn scope(&self) -> Result<ReplayScope, UsageError> {
        match (self.delivery, self.event, self.endpoint) {
            (Some(delivery), ..) => Ok(ReplayScope::Delivery(delivery)),
            (None, Some(event), endpoint) if self.all => Ok(ReplayScope::Event { event, endpoint }),
            (None, None, None) => {
                Err(UsageError("say what to send again: --delivery, --event or --endpoint".to_owned()))
            }
            (None, event, endpoint) => Ok(ReplayScope::Failed { event, endpoint, since: self.since }),
        }
    }
}

async fn start(args: StartArgs) -> anyhow::Result<()> {
    let scope = args.scope()?;
    let rate = args.rate.map(Rate::steady).transpose().map_err(|error| UsageError(format!("--rate: {error}")))?;
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let now = SystemClock.now();
    let foreseen = store.foresee(account, scope, now).await?;
    let Foreseen { deliveries, way, newer, .. } = foreseen.context("there is no such delivery, event or endpoint")?;
    if deliveries == 0 {
        output::say("nothing to replay: what waits for its turn, or is paused or cancelled, is not counted");
        return Ok(());
    }
    let outdated = if args.even_if_outdated { OutdatedReplay::Allowed } else { OutdatedReplay::Refused };
    if let (Some(newer), OutdatedReplay::Refused) = (newer, outdated) {
        bail!("{}", outdated_words(newer));
    }
    if !args.yes && !is_wanted(deliveries)? {
        output::say("nothing was started");
        return Ok(());
    }
    let chance: &dyn Chance = &SystemChance;
    let id = ReplayId::from_bytes(chance.id_bytes(now));
    let new = NewReplay { id, scope, way, deliveries, rate, outdated, now };
    match store.noting(by_hand(account, Act::ReplayStart, id)).start_replay(account, new).await? {
        Started::Replay(replay) => print(&replay, args.json)?,
        Started::Outdated { newer } => bail!("{}", outdated_words(newer)),
        Started::TooMany => bail!("{OPEN_REPLAYS_MAX} replays are under way; wait for one to end, or cancel one"),
    }
    output::say(&args.database.served()?.says("fanfare replay list"));
    Ok(())
}

fn outdated_words(newer: u32) -> String {
    format!(
        "the endpoint was told of version {newer} of this webinar since; replay the event of that version, or add \
         --even-if-outdated"
    )
}

/// Asks the person at the terminal.
fn is_wanted(deliveries: u64) -> anyhow::Result<bool> {
    let what = counted(deliveries, "delivery", "deliveries");
    if !io::stdin().is_terminal() {
        return Err(
            UsageError(format!("{what} would be sent again; add --yes to start that without a question")).into()
        );
    }
    output::say(&format!("{what} will be sent again. Start? [y/N]"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn list(args: ReplayListArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let found = args.limit.gather(async |after, limit| store.replays(account, after, limit).await).await?;
    let rows: Vec<_> = found.iter().map(ReplayRow::from).collect();
    output::print_list(args.output.format(), &rows, "no replay yet")
}

async fn one(args: OneArgs, steer: Option<Steer>) -> anyhow::Result<()> {
    let store = match steer {
        Some(_) => args.database.open_existing().await?,
        None => args.database.open_to_read().await?,
    };
    let account = the_account(&*store, args.account.account).await?.id;
    if let Some(steer) = steer {
        obey(&store, account, args.replay, steer).await?;
    }
    let found = store.replay(account, args.replay).await?;
    print(&found.with_context(|| format!("there is no replay {}", args.replay))?, args.json)
}

async fn obey(store: &Arc<dyn Store>, account: AccountId, id: ReplayId, steer: Steer) -> anyhow::Result<()> {
    let act = match steer {
        Steer::Pause => Act::ReplayPause,
        Steer::Resume => Act::ReplayResume,
        Steer::Cancel => Act::ReplayCancel,
    };
    let mut noting = store.noting(by_hand(account, act, id));
    // The order holds from the first call on; the others only bring many rows in line.
    while let Some(steered) = noting.steer_replay(account, id, steer, SystemClock.now()).await?
        && steered.is_more
    {
        noting = store.clone();
    }
    Ok(())
}

fn print(replay: &Replay, as_json: bool) -> anyhow::Result<()> {
    let row = ReplayRow::from(replay);
    if as_json {
        return output::print_json(&row);
    }
    for (column, cell) in ReplayRow::COLUMNS.iter().zip(row.cells()) {
        output::print_line(&format!("{column:<10} {cell}"));
    }
    Ok(())
}

/// A replay, in the shape of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayRow {
    id: String,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    state: &'static str,
    per_minute: Option<u32>,
    counted: u64,
    begun: u64,
    delivered: u64,
    waiting: u64,
    abandoned: u64,
    called_off: u64,
    created_at: String,
}

impl From<&Replay> for ReplayRow {
    fn from(replay: &Replay) -> ReplayRow {
        let (scope, delivery, event, endpoint, since) = match replay.scope {
            ReplayScope::Delivery(id) => ("delivery", Some(id), None, None, None),
            ReplayScope::Failed { event, endpoint, since } => ("failed", None, event, endpoint, since),
            ReplayScope::Event { event, endpoint } => ("all", None, Some(event), endpoint, None),
        };
        ReplayRow {
            id: replay.id.to_string(),
            scope,
            delivery: delivery.map(|id| id.to_string()),
            event: event.map(|id| id.to_string()),
            endpoint: endpoint.map(|id| id.to_string()),
            since: since.map(instant),
            state: replay.state.name(),
            per_minute: replay.rate.map(Rate::per_minute),
            counted: replay.counted,
            begun: replay.begun,
            delivered: replay.delivered,
            waiting: replay.waiting,
            abandoned: replay.abandoned,
            called_off: replay.called_off,
            created_at: instant(replay.created_at),
        }
    }
}

impl Row for ReplayRow {
    const COLUMNS: &'static [&'static str] =
        &["replay", "scope", "of", "state", "counted", "begun", "delivered", "waiting", "abandoned", "started"];

    fn cells(&self) -> Vec<String> {
        let of = [&self.delivery, &self.event, &self.endpoint].into_iter().flatten().cloned().collect::<Vec<_>>();
        vec![
            self.id.clone(),
            self.scope.to_owned(),
            of.join(" "),
            self.state.to_owned(),
            self.counted.to_string(),
            self.begun.to_string(),
            self.delivered.to_string(),
            self.waiting.to_string(),
            self.abandoned.to_string(),
            self.created_at.clone(),
        ]
    }
}
