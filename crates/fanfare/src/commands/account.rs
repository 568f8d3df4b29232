//! `fanfare account`: makes and lists accounts and their API keys, through the database itself.

mod retention;

use anyhow::bail;
use clap::{Args, Subcommand};
use provider::api_key::ApiKey;
use serde::Serialize;
use store::{Account, Accounts, Chance, Clock, KeyRecord, StoreError};
use store_sqlite::SqliteStore;
use wire::AccountId;

use crate::cli::{AccountArg, ListArgs};
use crate::clock::{SystemChance, SystemClock};
use crate::database::{DatabaseArgs, the_account};
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
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Key(KeyCommand),
}

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a further key; prints it, once. Several may be valid at a time.
    Create(KeyCreateArgs),
    /// List an account's keys by their public part.
    List(KeyListArgs),
    /// End a key; what uses it gets 401 from then on.
    Revoke(KeyRevokeArgs),
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

/// Whose key to make.
#[derive(Debug, Args)]
pub(crate) struct KeyCreateArgs {
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object: {"account", "apiKey"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Whose keys to list.
#[derive(Debug, Args)]
pub(crate) struct KeyListArgs {
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Which key to end.
#[derive(Debug, Args)]
pub(crate) struct KeyRevokeArgs {
    /// The key's public part, as the list shows it: 12 characters.
    key: String,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object: {"account", "revoked"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: AccountCommand) -> anyhow::Result<()> {
    match command {
        AccountCommand::Create(args) => create(args).await,
        AccountCommand::List(args) => list(args).await,
        AccountCommand::Retention(args) => retention::run(args).await,
        AccountCommand::Key(KeyCommand::Create(args)) => create_key(args).await,
        AccountCommand::Key(KeyCommand::List(args)) => list_keys(args).await,
        AccountCommand::Key(KeyCommand::Revoke(args)) => revoke_key(args).await,
    }
}

/// Adds an account with a first key.
pub(crate) async fn add_account(
    store: &SqliteStore,
    name: &str,
    timezone: &str,
) -> anyhow::Result<(AccountId, ApiKey)> {
    let key = new_key();
    let now = SystemClock.now();
    for _ in 0..ID_TRIES_MAX {
        let id = AccountId::from_u32(u32::from_be_bytes(chance().bytes()));
        let account = Account { id, name: name.to_owned(), timezone: timezone.to_owned(), created_at: now };
        match store.create_account(account, key.to_stored()).await {
            Err(StoreError::Exists(_)) => {}
            other => return Ok(other.map(|()| (id, key))?),
        }
    }
    bail!("found no free account id in {ID_TRIES_MAX} tries")
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let store = args.database.open_or_create()?;
    let (id, key) = add_account(&store, &args.name, &args.timezone).await?;
    show_new_key(id, &key, args.json)
}

async fn create_key(args: KeyCreateArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing()?;
    let account = the_account(&store, args.account.account).await?;
    let key = new_key();
    store.add_key(account.id, key.to_stored(), SystemClock.now()).await?;
    show_new_key(account.id, &key, args.json)
}

async fn list(args: AccountListArgs) -> anyhow::Result<()> {
    let accounts = args.database.open_to_read()?.accounts().await?;
    let rows: Vec<AccountRow> = accounts.into_iter().map(AccountRow::from).collect();
    output::print_list(args.output.format(), &rows, "no account yet; make one with fanfare account create")
}

async fn list_keys(args: KeyListArgs) -> anyhow::Result<()> {
    let store = args.database.open_to_read()?;
    let account = the_account(&store, args.account.account).await?;
    let rows: Vec<KeyRow> = store.keys(account.id).await?.into_iter().map(KeyRow::from).collect();
    output::print_list(args.output.format(), &rows, "no key yet; make one with fanfare account key create")
}

async fn revoke_key(args: KeyRevokeArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing()?;
    let account = the_account(&store, args.account.account).await?;
    // Who pastes a whole key means that one, and it must not appear in an error.
    let public_id = ApiKey::parse(&args.key).map_or(args.key, |key| key.public_id().to_owned());
    if !store.revoke_key(account.id, &public_id, SystemClock.now()).await? {
        bail!("account {} has no valid key with this public part; see fanfare account key list", account.id);
    }
    if args.json {
        return output::print_json(&serde_json::json!({ "account": account.id.to_string(), "revoked": public_id }));
    }
    output::print_line(&format!("revoked {public_id}"));
    Ok(())
}

fn show_new_key(account: AccountId, key: &ApiKey, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::print_json(&NewKey { account: account.to_string(), api_key: key.reveal() });
    }
    output::print_line(&format!("account  {account}\nAPI key  {}", key.reveal()));
    output::say("The key is not shown again. Send it as x-api-key or as a Bearer token.");
    Ok(())
}

fn new_key() -> ApiKey {
    ApiKey::from_chance(chance().bytes(), chance().bytes())
}

fn chance() -> &'static dyn Chance {
    &SystemChance
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
struct NewKey<'a> {
    account: String,
    api_key: &'a str,
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyRow {
    key: String,
    created_at: String,
    revoked_at: Option<String>,
}

impl From<KeyRecord> for KeyRow {
    fn from(record: KeyRecord) -> KeyRow {
        KeyRow {
            key: record.key.public_id,
            created_at: instant(record.created_at),
            revoked_at: record.revoked_at.map(instant),
        }
    }
}

impl Row for KeyRow {
    const COLUMNS: &'static [&'static str] = &["key", "created", "revoked"];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.created_at.clone(), self.revoked_at.clone().unwrap_or_default()]
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
