//! `fanfare inbox handlers`: how far each handler is.

use clap::Args;
use serde::Serialize;
use store::HandlerStanding;

use crate::cli::{AccountArg, ListArgs};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row, instant};

/// Whose handlers to list.
#[derive(Debug, Args)]
pub(crate) struct HandlersArgs {
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: HandlersArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let rows: Vec<_> = store.handlers(account).await?.into_iter().map(HandlerRow::from).collect();
    let empty = "no handler yet; a server with [[handler]] in its settings file makes them known";
    output::print_list(args.output.format(), &rows, empty)
}

/// A handler, in the shape of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HandlerRow {
    handler: String,
    ahead: u64,
    oldest_ahead_at: Option<String>,
    waiting: u64,
    parked: u64,
    done: u64,
    skipped: u64,
}

impl From<HandlerStanding> for HandlerRow {
    fn from(standing: HandlerStanding) -> HandlerRow {
        HandlerRow {
            handler: standing.handler,
            ahead: standing.ahead,
            oldest_ahead_at: standing.oldest_ahead.map(instant),
            waiting: standing.waiting,
            parked: standing.parked,
            done: standing.done,
            skipped: standing.skipped,
        }
    }
}

impl Row for HandlerRow {
    const COLUMNS: &'static [&'static str] =
        &["handler", "done", "ahead", "oldest ahead", "waiting", "parked", "skipped"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.handler.clone(),
            self.done.to_string(),
            self.ahead.to_string(),
            self.oldest_ahead_at.clone().unwrap_or_default(),
            self.waiting.to_string(),
            self.parked.to_string(),
            self.skipped.to_string(),
        ]
    }
}
