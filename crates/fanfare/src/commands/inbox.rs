//! `fanfare inbox`: what has been accepted, in the terminal.

mod source;

use std::collections::BTreeMap;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use receiver::KeptHeaders;
use serde::Serialize;
use store::{Inbox, Message, MessageContent, MessageFilter};
use wire::{InboxMessageId, SourceId};

use crate::cli::{AccountArg, LimitArg, ListArgs};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row, instant, tame};
use source::SourceCommand;

/// What to do with the inbox.
#[derive(Debug, Subcommand)]
pub(crate) enum InboxCommand {
    /// List messages, newest first.
    List(MessageListArgs),
    /// Show one message with its body.
    Show(ShowArgs),
    /// Make and list sources, the places webhooks are accepted at, and give them keys.
    #[command(subcommand)]
    Source(SourceCommand),
}

/// Which messages to list.
#[derive(Debug, Args)]
pub(crate) struct MessageListArgs {
    /// Of this source.
    #[arg(long, value_name = "src_…")]
    source: Option<SourceId>,
    #[command(flatten)]
    limit: LimitArg,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Which message to show.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its id, as the list shows it.
    #[arg(value_name = "inm_…")]
    message: InboxMessageId,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: InboxCommand) -> anyhow::Result<()> {
    match command {
        InboxCommand::List(args) => list(args).await,
        InboxCommand::Show(args) => show(args).await,
        InboxCommand::Source(command) => source::run(command).await,
    }
}

async fn list(args: MessageListArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read()?;
    let account = the_account(&store, args.account.account).await?.id;
    let filter = MessageFilter { source: args.source, ..MessageFilter::default() };
    let found = args.limit.gather(async |after, limit| store.messages(account, filter, after, limit).await).await?;
    let rows: Vec<_> = found.into_iter().map(MessageRow::from).collect();
    output::print_list(args.output.format(), &rows, "no message yet")
}

async fn show(args: ShowArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read()?;
    let account = the_account(&store, args.account.account).await?.id;
    let found = store.message(account, args.message.as_u64()).await?;
    let mut message = found.with_context(|| format!("there is no message {}", args.message))?;
    let body = BodyText::from(std::mem::take(&mut message.body));
    let row = MessageRow::from(message);
    if args.json {
        return output::print_json(&MessageDetail { row, body });
    }
    for (column, cell) in MessageRow::COLUMNS.iter().zip(row.cells()) {
        output::print_line(&format!("{column:<12} {}", tame(&cell)));
    }
    for (name, value) in &row.headers {
        output::print_line(&format!("{:<12} {}: {}", "header", tame(name), tame(value)));
    }
    let text = match &body {
        BodyText::Text { body } => body.lines().map(tame).collect::<Vec<_>>().join("\n"),
        BodyText::Other { .. } => "The body is not UTF-8 text; --json gives it as base64.".to_owned(),
    };
    output::print_line(&format!("\n{text}"));
    Ok(())
}

/// A message, in the shape of the API.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageRow {
    id: String,
    source: String,
    message_id: Option<String>,
    headers: BTreeMap<String, String>,
    received_at: String,
    duplicates: u64,
    conflicts: u64,
    body_length: u64,
    /// Whether body and headers are still there.
    content: &'static str,
}

#[derive(Serialize)]
struct MessageDetail {
    #[serde(flatten)]
    row: MessageRow,
    #[serde(flatten)]
    body: BodyText,
}

/// The body as it came: text where it is UTF-8.
#[derive(Serialize)]
#[serde(untagged)]
enum BodyText {
    Text {
        body: String,
    },
    #[serde(rename_all = "camelCase")]
    Other {
        body_base64: String,
    },
}

impl From<Vec<u8>> for BodyText {
    fn from(bytes: Vec<u8>) -> BodyText {
        match String::from_utf8(bytes) {
            Ok(body) => BodyText::Text { body },
            Err(error) => BodyText::Other { body_base64: STANDARD.encode(error.as_bytes()) },
        }
    }
}

impl From<Message> for MessageRow {
    fn from(message: Message) -> MessageRow {
        let headers = KeptHeaders::from_text(message.headers);
        MessageRow {
            id: InboxMessageId::from_u64(message.number).to_string(),
            source: message.source.to_string(),
            message_id: message.message_id,
            headers: headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            received_at: instant(message.received_at),
            duplicates: message.duplicates,
            conflicts: message.conflicts,
            body_length: message.body_length,
            content: match message.content {
                MessageContent::Kept => "kept",
                MessageContent::Erased => "erased",
                MessageContent::Expired => "expired",
            },
        }
    }
}

impl Row for MessageRow {
    const COLUMNS: &'static [&'static str] =
        &["message", "received", "bytes", "duplicates", "conflicts", "source", "sender's id"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.received_at.clone(),
            self.body_length.to_string(),
            self.duplicates.to_string(),
            self.conflicts.to_string(),
            self.source.clone(),
            self.message_id.clone().unwrap_or_default(),
        ]
    }
}
