//! `fanfare inbox`: what has been accepted, in the terminal; and the sources it is accepted from.

use std::collections::BTreeMap;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use receiver::{KeptHeaders, Scheme, Source};
use serde::Serialize;
use store::{Chance, Clock, Inbox, Message, MessageFilter, PAGE_SIZE_MAX, SourceRecord};
use wire::{InboxMessageId, SourceId};

use crate::cli::{AccountArg, ListArgs};
use crate::clock::{SystemChance, SystemClock};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row, instant, tame};

/// What to do with the inbox.
#[derive(Debug, Subcommand)]
pub(crate) enum InboxCommand {
    /// List messages, newest first.
    List(MessageListArgs),
    /// Show one message with its body.
    Show(ShowArgs),
    /// Make and list sources: the places webhooks are accepted at.
    #[command(subcommand)]
    Source(SourceCommand),
}

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Make a source; prints the path to register with the sender.
    Create(SourceCreateArgs),
    /// List an account's sources.
    List(SourceListArgs),
}

/// Which messages to list.
#[derive(Debug, Args)]
pub(crate) struct MessageListArgs {
    /// Of this source.
    #[arg(long, value_name = "src_…")]
    source: Option<SourceId>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
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

/// The source to make.
#[derive(Debug, Args)]
pub(crate) struct SourceCreateArgs {
    /// Its name, for people.
    #[arg(long)]
    name: String,
    /// What the sender signs with, whsec_… or whpk_…; several are valid at once. Other users of this machine can see
    /// what is typed, so the environment is the better place.
    #[arg(long = "key", env = "FANFARE_SOURCE_KEY", hide_env_values = true, value_delimiter = ',', required = true)]
    keys: Vec<String>,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object, the source.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
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
pub(crate) async fn run(command: InboxCommand) -> anyhow::Result<()> {
    match command {
        InboxCommand::List(args) => list(args).await,
        InboxCommand::Show(args) => show(args).await,
        InboxCommand::Source(SourceCommand::Create(args)) => create_source(args).await,
        InboxCommand::Source(SourceCommand::List(args)) => list_sources(args).await,
    }
}

async fn list(args: MessageListArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing()?;
    let account = the_account(&store, args.account.account).await?.id;
    let filter = MessageFilter { source: args.source };
    let (mut rows, mut after) = (Vec::new(), None);
    while rows.len() < args.limit {
        let page = store.messages(account, filter, after, PAGE_SIZE_MAX.min(args.limit - rows.len())).await?;
        rows.extend(page.items.into_iter().map(MessageRow::from));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    output::print_list(args.output.format(), &rows, "no message yet")
}

async fn show(args: ShowArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing()?;
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

async fn create_source(args: SourceCreateArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing()?;
    let account = the_account(&store, args.account.account).await?.id;
    let now = SystemClock.now();
    let id = SourceId::from_bytes((&SystemChance as &dyn Chance).id_bytes(now));
    let scheme = Scheme::standard_webhooks(args.keys.iter().map(String::as_str))?;
    let source = Source::new(id, account, &args.name, scheme)?;
    let name = source.name().to_owned();
    let keys = args.keys.iter().map(|key| key.trim().to_owned()).collect();
    let record = SourceRecord { id, account, name, keys, created_at: now };
    store.create_source(record.clone()).await?;
    let row = SourceRow::from(record);
    if args.json {
        return output::print_json(&row);
    }
    output::print_line(&row.path);
    output::say("Register this path, after your server's address, with the sender.");
    Ok(())
}

async fn list_sources(args: SourceListArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing()?;
    let account = the_account(&store, args.account.account).await?.id;
    let rows: Vec<SourceRow> = store.sources(account).await?.into_iter().map(SourceRow::from).collect();
    output::print_list(args.output.format(), &rows, "no source yet; make one with fanfare inbox source create")
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

/// A source, in the shape of the API; its keys are never shown again.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceRow {
    id: String,
    name: String,
    path: String,
    key_count: usize,
    created_at: String,
}

impl From<SourceRecord> for SourceRow {
    fn from(source: SourceRecord) -> SourceRow {
        SourceRow {
            id: source.id.to_string(),
            path: format!("/in/{}", source.id),
            name: source.name,
            key_count: source.keys.len(),
            created_at: instant(source.created_at),
        }
    }
}

impl Row for SourceRow {
    const COLUMNS: &'static [&'static str] = &["source", "name", "path", "keys", "created"];

    fn cells(&self) -> Vec<String> {
        let keys = self.key_count.to_string();
        vec![self.id.clone(), self.name.clone(), self.path.clone(), keys, self.created_at.clone()]
    }
}
