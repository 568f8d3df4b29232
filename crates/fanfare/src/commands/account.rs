//! `fanfare account`: makes and lists accounts, through the database itself; `key` does the same for their API keys.

mod key;

mod retention;

use anyhow::bail;
use clap::{Args, Subcommand};
use provider::api_key::ApiKey;
use serde::Serialize;
use store::{Account, Act, Clock, Store, StoreError};
use wire::AccountId;

use crate::cli::ListArgs;
use crate::clock::SystemClock;
use crate::database::{DatabaseArgs, by_hand};
use crate::output::{self, Row, instant};
use crate::zones;
use retention::RetentionArgs;

/// A name is shown in one line of a list.
const NAME_CHARS_MAX: usize = 100;
/// Account ids are random 32-bit numbers, so a clash is one in a thousand even with four million accounts.
const ID_TRIES_MAX: usize = 16;

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account; prints its API key, once.
    Create(CreateArgs),
    /// List the accounts.
    List(AccountListArgs),
    /// Show or set how long an account keeps bodies, its log and the rest.
    Retention(RetentionArgs),
    /// Make, list, rotate and revoke API keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
}

/// The account to make.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its name, for people.
    #[arg(long, value_parser = parse_name)]
    name: String,
    /// The IANA time zone its people think in, such as Asia/Kolkata.
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    timezone: String,
    /// Print one JSON object: {"account", "apiKey"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// How to list accounts.
#[derive(Debug, Args)]
pub(crate) struct AccountListArgs {
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Create(args) => create(args).await,
        AccountCommand::List(args) => list(args).await,
        AccountCommand::Retention(args) => retention::run(args).await,
        AccountCommand::Key(command) => key::run(command).await,
    }
}

/// Adds an account with a first key.
pub(crate) async fn add_account(store: &dyn Store, name: &str, timezone: &str) -> anyhow::Result<(AccountId, ApiKey)> {
    let key = key::new_key();
    let now = SystemClock.now();
    for _ in 0..ID_TRIES_MAX {
        let id = AccountId::from_u32(u32::from_be_bytes(key::chance().bytes()));
        let account = Account { id, name: name.to_owned(), timezone: timezone.to_owned(), created_at: now };
        let store = store.noting(by_hand(id, Act::AccountCreate, id));
        match store.create_account(account, key.to_stored()).await {
            Err(StoreError::Exists(_)) => {}
            other => return Ok(other.map(|()| (id, key))?),
        }
    }
    bail!("found no free account id in {ID_TRIES_MAX} tries")
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let store = args.database.open_or_create().await?;
    let (id, key) = add_account(&*store, &args.name, &args.timezone).await?;
    key::show_new(id, &key, args.json)
}

async fn list(args: AccountListArgs) -> anyhow::Result<()> {
    let accounts = args.database.open_to_read().await?.accounts().await?;
    let rows: Vec<AccountRow> = accounts.into_iter().map(AccountRow::from).collect();
    output::print_list(args.output.format(), &rows, "no account yet; make one with fanfare account create")
}

fn parse_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let length = name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) {
        return Err(format!("has {length} characters; give it 1 to {NAME_CHARS_MAX}"));
    }
    if name.chars().any(char::is_control) {
        return Err("holds a control character; give one line of plain text".to_owned());
    }
    Ok(name.to_owned())
}

fn parse_zone(text: &str) -> Result<String, String> {
    zones::newest().zone(text).map(|zone| zone.name().to_owned()).map_err(|mistake| mistake.to_string())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountRow {
    id: String,
    name: String,
    timezone: String,
    created_at: String,
}

impl From<Account> for AccountRow {
    fn from(account: Account) -> AccountRow {
        let Account { id, name, timezone, created_at } = account;
        AccountRow { id: id.to_string(), name, timezone, created_at: instant(created_at) }
    }
}

impl Row for AccountRow {
    const COLUMNS: &'static [&'static str] = &["account", "name", "timezone", "created"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.clone(), self.name.clone(), self.timezone.clone(), self.created_at.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_a_list() {
        assert_eq!(parse_name(" Ada's school ").as_deref(), Ok("Ada's school"));
        for name in ["", " ", "a\nb", "\u{1b}[2J", &"é".repeat(101)] {
            assert!(parse_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_mistyped_zone_is_told_with_the_one_that_was_meant() {
        assert_eq!(parse_zone("Asia/Kolkata").as_deref(), Ok("Asia/Kolkata"));
        assert!(parse_zone("kolkata").unwrap_err().contains("did you mean \"Asia/Kolkata\""));
    }
}
