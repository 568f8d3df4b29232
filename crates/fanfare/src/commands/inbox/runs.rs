//! `fanfare inbox runs` and `fanfare inbox dead`: what handlers made of messages.

use clap::{Args, ValueEnum};
use serde::Serialize;
use store::{RunFilter, RunRecord, RunStanding, RunState, Store};
use wire::{AccountId, InboxMessageId};

use super::orders::find_handler;
use crate::cli::{AccountArg, LimitArg, ListArgs};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row, instant};

/// Which runs to list; all conditions hold together.
#[derive(Debug, Args)]
pub(crate) struct RunListArgs {
    /// By this handler.
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// In this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Of this message.
    #[arg(long, value_name = "inm_…")]
    message: Option<InboxMessageId>,
    #[command(flatten)]
    shared: SharedArgs,
}

/// Whose dead letters to list.
#[derive(Debug, Args)]
pub(crate) struct DeadArgs {
    /// Of this handler.
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    #[command(flatten)]
    shared: SharedArgs,
}

#[derive(Debug, Args)]
struct SharedArgs {
    #[command(flatten)]
    limit: LimitArg,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum State {
    /// Waits for another attempt.
    Waiting,
    /// Done.
    Done,
    /// Not done, on purpose.
    Skipped,
    /// Given up: a dead letter.
    Parked,
}

pub(super) async fn run(args: RunListArgs) -> anyhow::Result<()> {
    let standing = args.state.map(RunStanding::from);
    let message = args.message.map(|id| id.as_u64());
    let empty = "no run matches; a message that a handler has not begun or passed over has none";
    list(args.shared, RunFilter { handler: args.handler, standing, message }, empty).await
}

pub(super) async fn dead(args: DeadArgs) -> anyhow::Result<()> {
    let filter = RunFilter { handler: args.handler, standing: Some(RunStanding::Parked), message: None };
    list(args.shared, filter, "no dead letters").await
}

async fn list(args: SharedArgs, filter: RunFilter, empty: &str) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    if let Some(handler) = &filter.handler {
        find_handler(&*store, account, handler).await?;
    }
    let rows = gather(&args.limit, &*store, account, &filter).await?;
    output::print_list(args.output.format(), &rows, empty)
}

async fn gather(
    limit: &LimitArg,
    store: &dyn Store,
    account: AccountId,
    filter: &RunFilter,
) -> anyhow::Result<Vec<RunRow>> {
    let found = limit.gather(async |after, limit| store.runs(account, filter.clone(), after, limit).await).await?;
    Ok(found.into_iter().map(RunRow::from).collect())
}

/// A run, in the shape of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunRow {
    message: String,
    handler: String,
    state: &'static str,
    attempts: u32,
    reruns: u32,
    reason: Option<String>,
    next_attempt_at: Option<String>,
    changed_at: String,
}

impl From<State> for RunStanding {
    fn from(state: State) -> RunStanding {
        match state {
            State::Waiting => RunStanding::Waiting,
            State::Done => RunStanding::Done,
            State::Skipped => RunStanding::Skipped,
            State::Parked => RunStanding::Parked,
        }
    }
}

impl From<RunRecord> for RunRow {
    fn from(run: RunRecord) -> RunRow {
        RunRow {
            message: InboxMessageId::from_u64(run.number).to_string(),
            handler: run.handler,
            state: run.state.standing().name(),
            attempts: run.attempts,
            reruns: run.generation,
            reason: run.state.reason().map(str::to_owned),
            next_attempt_at: match run.state {
                RunState::Waiting { due, .. } => Some(instant(due)),
                RunState::Done | RunState::Skipped(_) | RunState::Parked { .. } => None,
            },
            changed_at: instant(run.changed_at),
        }
    }
}

impl Row for RunRow {
    const COLUMNS: &'static [&'static str] =
        &["message", "handler", "state", "attempts", "changed", "next attempt", "reason"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.message.clone(),
            self.handler.clone(),
            self.state.to_owned(),
            self.attempts.to_string(),
            self.changed_at.clone(),
            self.next_attempt_at.clone().unwrap_or_default(),
            self.reason.clone().unwrap_or_default(),
        ]
    }
}
