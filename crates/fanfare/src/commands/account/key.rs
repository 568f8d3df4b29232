//! `fanfare account key`: makes, lists, rotates and revokes API keys. A running server follows within a second.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use provider::api_key::{ApiKey, KeyState, LIFE_MAX, Lifetime, OVERLAP, OVERLAP_MAX, Scope, Scopes, after};
use serde::Serialize;
use store::{Act, Chance, Clock, KeyRecord, NewKey, Replacement};
use wire::AccountId;

use crate::cli::{AccountArg, ListArgs};
use crate::clock::{SystemChance, SystemClock};
use crate::database::{DatabaseArgs, by_hand, the_account};
use crate::output::{self, Row, instant};

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a further key; prints it, once. Several may be valid at a time.
    Create(KeyCreateArgs),
    /// List an account's keys by their public part.
    List(KeyListArgs),
    /// Put a new key in the place of one, which stays good for a while; prints the new one, once.
    Rotate(KeyRotateArgs),
    /// End a key; what uses it gets 401 within a second.
    Revoke(KeyRevokeArgs),
}

/// Whose key to make.
#[derive(Debug, Args)]
pub(crate) struct KeyCreateArgs {
    /// What it may be used for; may be given several times. `manage` is everything, `read` what only shows, `audience`
    /// members and registrations, `register` which URLs are told of what.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', default_value = "manage")]
    scopes: Vec<Scope>,
    /// After which time it opens nothing any more, such as 90d or 12h. By default it has no end.
    #[arg(long, value_name = "TIME", value_parser = parse_life)]
    expires: Option<Duration>,
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

/// Which key to put another in the place of.
#[derive(Debug, Args)]
pub(crate) struct KeyRotateArgs {
    /// The key's public part, as the list shows it: 12 characters.
    key: String,
    /// How long the old key is good beside the new one, up to 7d [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = parse_overlap)]
    overlap: Option<Duration>,
    /// After which time the new key opens nothing any more [default: as long as the old one was made for]
    #[arg(long, value_name = "TIME", value_parser = parse_life)]
    expires: Option<Duration>,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object: {"account", "apiKey"}.
    #[arg(long)]
    json: bool,
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
pub(crate) async fn run(command: KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create(args) => create(args).await,
        KeyCommand::List(args) => list(args).await,
        KeyCommand::Rotate(args) => rotate(args).await,
        KeyCommand::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: KeyCreateArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let key = new_key();
    let scopes = Scopes::of(args.scopes).context("say what the key may be used for with --scope")?;
    let lifetime = Lifetime::new(SystemClock.now(), args.expires);
    let noting = store.noting(by_hand(account, Act::KeyCreate, key.public_id()));
    noting.add_key(account, NewKey { key: key.to_stored(), scopes, lifetime }).await?;
    show_new(account, &key, args.json)
}

async fn list(args: KeyListArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?;
    let now = SystemClock.now();
    let rows: Vec<KeyRow> = store.keys(account.id).await?.into_iter().map(|key| KeyRow::of(key, now)).collect();
    output::print_list(args.output.format(), &rows, "no key yet; make one with fanfare account key create")
}

async fn rotate(args: KeyRotateArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let public_id = public_id_of(args.key);
    let (key, now) = (new_key(), SystemClock.now());
    let is_it = |record: &KeyRecord| record.key.public_id == public_id && record.lifetime.state(now) == KeyState::Good;
    let old = store.keys(account).await?.into_iter().find(is_it).with_context(|| no_good_key(account))?;
    let lifetime = Lifetime::new(now, args.expires.or(old.lifetime.life()));
    let new = NewKey { key: key.to_stored(), scopes: old.scopes, lifetime };
    let by = Replacement { new, old_until: after(now, args.overlap.unwrap_or(OVERLAP)) };
    let exchange = format!("{public_id} by {}", key.public_id());
    if !store.noting(by_hand(account, Act::KeyRotate, exchange)).replace_key(account, &public_id, by.clone()).await? {
        bail!(no_good_key(account));
    }
    show_new(account, &key, args.json)?;
    let until = old.lifetime.expires_at.map_or(by.old_until, |end| end.min(by.old_until));
    output::say(&format!("The old key {public_id} is good until {}.", instant(until)));
    Ok(())
}

async fn revoke(args: KeyRevokeArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let public_id = public_id_of(args.key);
    let noting = store.noting(by_hand(account, Act::KeyRevoke, &public_id));
    if !noting.revoke_key(account, &public_id, SystemClock.now()).await? {
        bail!(no_good_key(account));
    }
    if args.json {
        return output::print_json(&serde_json::json!({ "account": account.to_string(), "revoked": public_id }));
    }
    output::print_line(&format!("revoked {public_id}"));
    Ok(())
}

/// Who pastes a whole key means that one, and it must not appear in an error.
fn public_id_of(text: String) -> String {
    ApiKey::parse(&text).map_or(text, |key| key.public_id().to_owned())
}

fn no_good_key(account: AccountId) -> String {
    format!("account {account} has no valid key with this public part; see fanfare account key list")
}

/// Shows a new key, the only time.
pub(super) fn show_new(account: AccountId, key: &ApiKey, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::print_json(&ShownKey { account: account.to_string(), api_key: key.reveal() });
    }
    output::print_line(&format!("account  {account}\nAPI key  {}", key.reveal()));
    output::say("The key is not shown again. Send it as x-api-key or as a Bearer token.");
    Ok(())
}

pub(super) fn new_key() -> ApiKey {
    ApiKey::from_chance(chance().bytes(), chance().bytes())
}

pub(super) fn chance() -> &'static dyn Chance {
    &SystemChance
}

fn parse_life(text: &str) -> Result<Duration, String> {
    parse_time(text, LIFE_MAX).and_then(|life| match life {
        Duration::ZERO => Err("would be over at once; leave it out for a key without an end".to_owned()),
        life => Ok(life),
    })
}

fn parse_overlap(text: &str) -> Result<Duration, String> {
    parse_time(text, OVERLAP_MAX)
}

/// Days or hours: `90d`, `12h`.
fn parse_time(text: &str, most: Duration) -> Result<Duration, String> {
    let unit = |seconds: u64, number: &str| number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs);
    let time = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "d")) => unit(86_400, number),
        Some((number, "h")) => unit(3_600, number),
        _ => None,
    };
    match time.ok_or("write a number of days or hours, such as 90d or 12h")? {
        time if time > most => Err(format!("is more than {}d", most.as_secs() / 86_400)),
        time => Ok(time),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownKey<'a> {
    account: String,
    api_key: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyRow {
    key: String,
    scopes: Vec<&'static str>,
    state: &'static str,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
}

impl KeyRow {
    fn of(record: KeyRecord, now: Timestamp) -> KeyRow {
        let lifetime = record.lifetime;
        KeyRow {
            key: record.key.public_id,
            scopes: record.scopes.iter().map(Scope::as_str).collect(),
            state: lifetime.state(now).as_str(),
            created_at: instant(lifetime.created_at),
            expires_at: lifetime.expires_at.map(instant),
            last_used_at: record.last_used_at.map(instant),
            revoked_at: lifetime.revoked_at.map(instant),
        }
    }
}

impl Row for KeyRow {
    const COLUMNS: &'static [&'static str] = &["key", "scopes", "state", "created", "expires", "last used", "revoked"];

    fn cells(&self) -> Vec<String> {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
        let (scopes, state) = (self.scopes.join(" "), self.state.to_owned());
        let times = [&self.expires_at, &self.last_used_at, &self.revoked_at].map(or_none);
        [self.key.clone(), scopes, state, self.created_at.clone()].into_iter().chain(times).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_days_or_hours_within_bounds() {
        assert_eq!(parse_life("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(parse_overlap("0h"), Ok(Duration::ZERO));
        for text in ["", "d", "90", "90m", "-1d", "3651d", "99999999999999999999d", "0d", "é", "1é"] {
            assert!(parse_life(text).is_err(), "{text:?}");
        }
        assert!(parse_overlap("8d").unwrap_err().contains("7d"));
    }
}
