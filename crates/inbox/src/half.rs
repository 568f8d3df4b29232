//! The receiving half, made ready: its account found, its sources told to the way in, its handlers made and given to a
//! supervisor.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use egress::Egress;
use handlers::{Templates, Tools};
use provider::api_key::ApiKey;
use receiver::{CalendarToken, Preset, Source};
use store::{Account, Chance, Clock, DedupeWindow, SourceRecord, Store, StoreError};
use tokio::sync::{Notify, watch};
use web::{CalendarFeed, ConfiguredSources};
use wire::{AccountId, NodeId};
use workers::{MessageRead, RunContext, RunHandler, RunSupervisor, SourceLabel};

use crate::config::{HandlerConfig, InboxConfig};

/// What an account is called that nobody has named.
const ACCOUNT_NAME: &str = "Inbox";
/// Its id; any number would do.
const FIRST_ID: AccountId = AccountId::from_u32(0x1b0c_5e01);
/// Free numbers are found at the first try but in one of millions of accounts.
const ID_TRIES_MAX: usize = 8;

/// What the half works with.
#[derive(Clone)]
pub struct Means {
    /// Where messages and runs are kept.
    pub store: Arc<dyn Store>,
    /// The file of that store, which no handler may write into; `None` where it is no file.
    pub database: Option<PathBuf>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids and jitter.
    pub chance: Arc<dyn Chance>,
    /// The one way out.
    pub egress: Egress,
    /// Poked when something was accepted or asked for anew. Only a hint.
    pub hint: Arc<Notify>,
    /// Holds `true` once nothing more may begin.
    pub stop: watch::Receiver<bool>,
}

/// The half, made ready.
pub struct Half {
    /// For the addresses of calendars; `None` where no handler keeps any.
    pub calendar_feed: Option<CalendarFeed>,
    /// For the way in.
    pub sources: ConfiguredSources,
    /// How long the way in recognises what came before.
    pub dedupe_window: DedupeWindow,
    /// For a task of its own.
    pub supervisor: RunSupervisor,
}

/// The account the settings name, or the only one; made where there is none at all.
pub async fn account(means: &Means, wanted: Option<&str>) -> anyhow::Result<AccountId> {
    let mut accounts = means.store.accounts().await?;
    if let Some(wanted) = wanted {
        let found = accounts.iter().find(|account| account.name == wanted || account.id.to_string() == wanted);
        if let Some(found) = found {
            return Ok(found.id);
        }
        if !accounts.is_empty() {
            bail!("[inbox] account: there is no account {wanted:?}; see fanfare account list");
        }
    }
    match (accounts.pop(), accounts.is_empty()) {
        (Some(only), true) => Ok(only.id),
        (Some(_), false) => {
            bail!("[inbox] account is missing, and the database has several; see fanfare account list")
        }
        (None, _) => make_account(means, wanted.unwrap_or(ACCOUNT_NAME)).await,
    }
}

/// An account whose first key nobody knows: who wants one makes another on the command line.
async fn make_account(means: &Means, name: &str) -> anyhow::Result<AccountId> {
    for tried in 0..ID_TRIES_MAX {
        // The first id is no chance: of two nodes that find the same empty database at once, one makes the account of both.
        let id = if tried == 0 { FIRST_ID } else { AccountId::from_u32(u32::from_be_bytes(means.chance.bytes())) };
        let account =
            Account { id, name: name.to_owned(), timezone: "Etc/UTC".to_owned(), created_at: means.clock.now() };
        let key = ApiKey::from_chance(means.chance.bytes(), means.chance.bytes());
        match means.store.create_account(account, key.to_stored()).await {
            Err(StoreError::Exists(_)) => {
                let there = means.store.accounts().await?.into_iter().find(|account| account.name == name);
                if let Some(there) = there {
                    return Ok(there.id);
                }
            }
            made => {
                made?;
                tracing::info!(account = %id, name, "made an account for the inbox");
                return Ok(id);
            }
        }
    }
    bail!("found no free account id in {ID_TRIES_MAX} tries")
}

impl Half {
    /// Makes everything the settings ask for, and handlers of one's own beside it. Does nothing yet; `supervisor` does.
    pub async fn prepare(
        config: InboxConfig,
        account: AccountId,
        mut handlers: Vec<RunHandler>,
        means: Means,
    ) -> anyhow::Result<Half> {
        for source in &config.sources {
            introduce(&means, source).await?;
        }
        let labels = config.sources.iter().map(|source| (source.id(), label(source))).collect();
        let tools = Tools {
            egress: means.egress.clone(),
            agendas: means.store.clone(),
            chance: means.chance.clone(),
            templates: Templates::default(),
            public_url: config.public_url.clone(),
        };
        let has_calendars = config.handlers.iter().any(|handler| handler.kind.name() == "calendar");
        for HandlerConfig { rules, filter, kind } in config.handlers {
            let made = kind.make(&rules, &tools, means.database.as_deref()).await;
            let handler = made.map_err(|mend| anyhow!("handler {:?}: {mend}", rules.name))?;
            handlers.push(RunHandler { account, rules, filter, handler });
        }
        // Before anything is accepted: one that is new and begins now passes over what came before it was known.
        for RunHandler { account, rules, .. } in &handlers {
            means.store.introduce_handler(*account, &rules.name, rules.start).await?;
        }
        refuse_one_name_twice(&handlers)?;
        let context = run_context(&means, labels);
        Ok(Half {
            calendar_feed: has_calendars.then(|| calendar_feed(means.store.clone())),
            dedupe_window: config.dedupe_window,
            sources: ConfiguredSources::new(config.sources)?,
            supervisor: RunSupervisor::new(context, handlers, means.hint, means.stop),
        })
    }
}

/// Progress is kept under the name, so two handlers of one name would take each other's messages.
fn refuse_one_name_twice(handlers: &[RunHandler]) -> anyhow::Result<()> {
    let mut names = HashSet::new();
    for name in handlers.iter().map(|handler| handler.rules.name.as_str()) {
        if !names.insert(name) {
            bail!("two handlers are named {name:?}; progress is kept under the name, so give one of them another");
        }
    }
    Ok(())
}

fn run_context(means: &Means, sources: HashMap<wire::SourceId, SourceLabel>) -> RunContext {
    RunContext {
        store: means.store.clone(),
        clock: means.clock.clone(),
        chance: means.chance.clone(),
        node: NodeId::from_bytes(means.chance.id_bytes(means.clock.now())),
        sources,
        read: MessageRead::of,
    }
}

fn label(source: &Source) -> SourceLabel {
    SourceLabel { name: source.name().into(), event: source.event().map(str::to_owned) }
}

/// Lists show sources of the file by name, too. Its keys stay in the file.
async fn introduce(means: &Means, source: &Source) -> anyhow::Result<()> {
    let record = SourceRecord {
        id: source.id(),
        account: source.account(),
        name: source.name().to_owned(),
        preset: Preset::Custom.to_string(),
        keys: Vec::new(),
        created_at: means.clock.now(),
    };
    match means.store.create_source(record).await {
        Ok(()) | Err(StoreError::Exists(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn calendar_feed(store: Arc<dyn Store>) -> CalendarFeed {
    Arc::new(move |token: CalendarToken| {
        let store = store.clone();
        Box::pin(async move { Ok(store.calendar(*token.as_bytes()).await?.map(|calendar| handlers::feed(&calendar))) })
    })
}
