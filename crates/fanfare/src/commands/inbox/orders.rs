//! `fanfare inbox rerun` and `fanfare inbox drop`: orders to handlers, counted first, then worked off in pieces. What is
//! to be handled again is done by a server.

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use store::{Act, Clock, MessageFilter, RunOrder, RunPiece, RunScope, RunStanding, Store};
use wire::{AccountId, InboxMessageId};

use super::labels::SourceLabels;
use super::runs::State;
use super::which::WhichArgs;
use crate::cli::AccountArg;
use crate::clock::SystemClock;
use crate::config::UsageError;
use crate::database::{DatabaseArgs, by_hand, the_account};
use crate::output::{self, counted};
use crate::progress::Progress;

/// Messages looked at in one transaction: a server that accepts webhooks meanwhile waits for it, a few milliseconds.
const PIECE: usize = 1_000;
/// Messages looked at by one read of a count, which holds up nobody.
const COUNT_PIECE: usize = 10_000;
const PER_SECOND: std::ops::RangeInclusive<f64> = 0.001..=1_000.0;

/// What to handle again. Counted first; asks before it begins.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --state it is also about messages that the handler passed over or never began, such as \
    those from before it was set up."
)]
pub(crate) struct RerunArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// At most so many a second, such as 5 or 0.5.
    #[arg(long, value_name = "N")]
    per_second: Option<f64>,
    #[command(flatten)]
    rest: RestArgs,
}

/// What to drop: what waits, is given up or has not been begun. Counted first; asks before it begins.
#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    rest: RestArgs,
}

#[derive(Debug, Args)]
struct ScopeArgs {
    /// This one message; by all handlers, unless one is named.
    #[arg(value_name = "inm_…", conflicts_with_all = ["all", "source", "from", "to"])]
    message: Option<InboxMessageId>,
    /// By this handler.
    #[arg(long, value_name = "NAME", required_unless_present = "message")]
    handler: Option<String>,
    /// Only what stands so.
    #[arg(long, value_enum)]
    state: Option<State>,
    #[command(flatten)]
    which: WhichArgs,
    /// Everything there is.
    #[arg(long, conflicts_with_all = ["state", "source", "from", "to"])]
    all: bool,
}

#[derive(Debug, Args)]
struct RestArgs {
    /// Begin without asking.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object: {"runs", "handlers"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// An order to one handler or to several.
struct Order {
    act: Act,
    account: AccountId,
    scopes: Vec<RunScope>,
    spacing: Duration,
}

/// What became of it.
#[derive(Serialize)]
struct Obeyed {
    /// Runs that were changed.
    runs: u64,
    handlers: Vec<String>,
}

pub(super) async fn rerun(args: RerunArgs) -> anyhow::Result<()> {
    let spacing = match args.per_second {
        None => Duration::ZERO,
        Some(rate) if PER_SECOND.contains(&rate) => Duration::from_secs_f64(1.0 / rate),
        Some(_) => return Err(UsageError("--per-second: give 0.001 to 1000, or leave it out".to_owned()).into()),
    };
    begin(Act::RunsRerun, args.scope, spacing, args.rest).await
}

pub(super) async fn drop_runs(args: DropArgs) -> anyhow::Result<()> {
    if let Some(State::Done | State::Skipped) = args.scope.state {
        let words = "--state: what is done or skipped is over; drop what is waiting or parked".to_owned();
        return Err(UsageError(words).into());
    }
    begin(Act::RunsDrop, args.scope, Duration::ZERO, args.rest).await
}

async fn begin(act: Act, scope: ScopeArgs, spacing: Duration, rest: RestArgs) -> anyhow::Result<()> {
    if scope.message.is_none() && scope.state.is_none() && scope.which.is_everything() && !scope.all {
        let words = "that is everything there is: give a message, --state, --source, --from or --to, or say --all";
        return Err(UsageError(words.to_owned()).into());
    }
    let store = rest.database.open_existing().await?;
    let account = the_account(&*store, rest.account.account).await?.id;
    let labels = SourceLabels::read(&*store, account, &rest.database).await?;
    let order = Order { act, account, scopes: scope.read(&*store, account, &labels).await?, spacing };
    let total = order.count(&*store).await?;
    if total > 0 && !rest.yes && !order.is_wanted(total)? {
        output::say("nothing was changed");
        return Ok(());
    }
    let obeyed = if total > 0 { order.obey(&*store, total).await? } else { order.nothing() };
    if rest.json {
        output::print_json(&obeyed)?;
    } else {
        output::print_line(&order.in_words(obeyed.runs, "were"));
    }
    if obeyed.runs > 0 && act == Act::RunsRerun {
        output::say(&rest.database.served()?.says("fanfare inbox handlers"));
    }
    Ok(())
}

impl ScopeArgs {
    async fn read(self, store: &dyn Store, account: AccountId, labels: &SourceLabels) -> anyhow::Result<Vec<RunScope>> {
        let handlers = match self.handler {
            Some(name) => vec![find_handler(store, account, &name).await?],
            None => store.handlers(account).await?.into_iter().map(|standing| standing.handler).collect(),
        };
        if let Some(id) = self.message {
            store.message(account, id.as_u64()).await?.with_context(|| format!("there is no message {id}"))?;
        }
        let MessageFilter { source, from, to } = self.which.filter(store, account, labels).await?;
        let (message, standing) = (self.message.map(|id| id.as_u64()), self.state.map(RunStanding::from));
        let scope = |handler| RunScope { handler, message, source, standing, from, to };
        Ok(handlers.into_iter().map(scope).collect())
    }
}

impl Order {
    async fn count(&self, store: &dyn Store) -> anyhow::Result<u64> {
        let order = if self.act == Act::RunsDrop { RunOrder::CountDrop } else { RunOrder::Count };
        let (mut total, now) = (0, SystemClock.now());
        for scope in &self.scopes {
            let mut next = Some(0);
            while let Some(after) = next {
                let piece = RunPiece { after, limit: COUNT_PIECE, now };
                let counted = store.order_runs(self.account, scope, order, piece).await?;
                (total, next) = (total + counted.runs, counted.next);
            }
        }
        Ok(total)
    }

    async fn obey(&self, store: &dyn Store, total: u64) -> anyhow::Result<Obeyed> {
        let label = if self.act == Act::RunsDrop { "dropped" } else { "put in line" };
        let progress = Progress::start(label, total);
        let mut obeyed = self.nothing();
        for scope in &self.scopes {
            obeyed.runs += self.obey_one(store, scope, |runs| progress.set(obeyed.runs + runs)).await?;
        }
        progress.finish();
        Ok(obeyed)
    }

    async fn obey_one(&self, store: &dyn Store, scope: &RunScope, tell: impl Fn(u64)) -> anyhow::Result<u64> {
        let start = SystemClock.now();
        let noting = store.noting(by_hand(self.account, self.act, object_of(scope)));
        let (mut runs, mut next) = (0, Some(0));
        while let Some(after) = next {
            let piece = RunPiece { after, limit: PIECE, now: SystemClock.now() };
            let order = match self.act {
                Act::RunsDrop => RunOrder::Drop,
                _ => RunOrder::Rerun { first: later(start, self.spacing, runs), spacing: self.spacing },
            };
            // The first piece that changes anything leaves the note; the others belong to the same act.
            let ordered = match runs {
                0 => noting.order_runs(self.account, scope, order, piece).await?,
                _ => store.order_runs(self.account, scope, order, piece).await?,
            };
            (runs, next) = (runs + ordered.runs, ordered.next);
            tell(runs);
        }
        Ok(runs)
    }

    /// Asks the person at the terminal.
    fn is_wanted(&self, total: u64) -> anyhow::Result<bool> {
        if !io::stdin().is_terminal() {
            let words = self.in_words(total, "would be");
            return Err(UsageError(format!("{words}; add --yes to begin without a question")).into());
        }
        let pace = match self.spacing * u32::try_from(total).unwrap_or(u32::MAX) {
            Duration::ZERO => String::new(),
            time => format!(" within about {}", in_words(time)),
        };
        output::say(&format!("{}{pace}. Begin? [y/N]", self.in_words(total, "will be")));
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    fn in_words(&self, runs: u64, verb: &str) -> String {
        let what = match self.act {
            Act::RunsDrop => "dropped",
            _ => "asked for anew",
        };
        let handlers: Vec<_> = self.scopes.iter().map(|scope| scope.handler.as_str()).collect();
        let verb = if runs == 1 && verb == "were" { "was" } else { verb };
        format!("{} of {} {verb} {what}", counted(runs, "run", "runs"), handlers.join(", "))
    }

    fn nothing(&self) -> Obeyed {
        Obeyed { runs: 0, handlers: self.scopes.iter().map(|scope| scope.handler.clone()).collect() }
    }
}

/// A handler by its name; a mistyped one is found among those there are.
pub(super) async fn find_handler(store: &dyn Store, account: AccountId, name: &str) -> anyhow::Result<String> {
    let known = store.handlers(account).await?;
    if known.iter().any(|standing| standing.handler == name) {
        return Ok(name.to_owned());
    }
    let names: Vec<_> = known.iter().map(|standing| standing.handler.as_str()).collect();
    match names.as_slice() {
        [] => bail!("there is no handler {name:?}, and none at all yet; a server with [[handler]] makes them known"),
        names => bail!("there is no handler {name:?}; there is {}", names.join(", ")),
    }
}

/// What the audit log calls it.
fn object_of(scope: &RunScope) -> String {
    match scope.message {
        Some(number) => format!("{} {}", scope.handler, InboxMessageId::from_u64(number)),
        None => scope.handler.clone(),
    }
}

/// When the run after so many is due.
fn later(start: Timestamp, spacing: Duration, runs: u64) -> Timestamp {
    let wait = spacing.saturating_mul(u32::try_from(runs).unwrap_or(u32::MAX));
    start.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{} s", seconds.max(1)),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}
