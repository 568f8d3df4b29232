//! `fanfare inbox list`: messages, newest first.

use clap::Args;
use serde::Serialize;

use super::labels::SourceLabels;
use super::message::MessageJson;
use super::which::WhichArgs;
use crate::cli::{AccountArg, LimitArg, ListArgs};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row};

/// Which messages to list.
#[derive(Debug, Args)]
pub(crate) struct MessageListArgs {
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    limit: LimitArg,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(args: MessageListArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let labels = SourceLabels::read(&*store, account, &args.database).await?;
    let filter = args.which.filter(&*store, account, &labels).await?;
    let found = args.limit.gather(async |after, limit| store.messages(account, filter, after, limit).await).await?;
    let mut rows = Vec::with_capacity(found.len());
    for message in found {
        let event = labels.event(&*store, account, &message).await?;
        let source_name = labels.name(message.source);
        rows.push(MessageRow { message: message.into(), source_name, event });
    }
    let empty = if args.which.is_everything() { "no message yet" } else { "no message matches" };
    output::print_list(args.output.format(), &rows, empty)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageRow {
    #[serde(flatten)]
    message: MessageJson,
    /// Its id where nothing here names it.
    source_name: String,
    /// As it is read; null where nothing names it.
    event: Option<String>,
}

impl Row for MessageRow {
    const COLUMNS: &'static [&'static str] =
        &["message", "received", "event", "bytes", "duplicates", "conflicts", "source", "sender's id"];

    fn cells(&self) -> Vec<String> {
        let MessageRow { message, source_name, event } = self;
        vec![
            message.id.clone(),
            message.received_at.clone(),
            event.clone().unwrap_or_default(),
            message.body_length.to_string(),
            message.duplicates.to_string(),
            message.conflicts.to_string(),
            source_name.clone(),
            message.message_id.clone().unwrap_or_default(),
        ]
    }
}
