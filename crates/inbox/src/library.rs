//! The inbox within another program: opened on a file, settings from a text, handlers in code beside those of the text.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use axum::Router;
use egress::{Egress, SystemResolver};
use handlers::{Handler, Job, RunFailure};
use provider::target::TargetPolicy;
use receiver::HandlerRules;
use store::Vault;
use store_sqlite::{ServerLock, SqliteStore};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use web::{Halves, WebSettings};
use webinar::Zones;
use workers::{Janitor, RunHandler};

use crate::config::InboxConfig;
use crate::half::{self, Half, Means};
use crate::{SystemChance, SystemClock, key_file};

/// How long what is under way may take once the inbox is told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(35);

/// An inbox that is being set up.
pub struct Inbox {
    database: PathBuf,
    settings: String,
    own: Vec<(String, Arc<dyn Handler>)>,
}

/// An inbox that accepts and handles webhooks. Call [`stop`](RunningInbox::stop) before the program ends, so that what is
/// under way is finished; what is not is done again after the next start.
pub struct RunningInbox {
    router: Router,
    store: SqliteStore,
    stop: watch::Sender<bool>,
    runs: JoinHandle<()>,
    janitor: JoinHandle<()>,
}

impl Inbox {
    /// An inbox in this database file, which is made where there is none, with the settings of this TOML text.
    pub fn new(database: impl AsRef<Path>, settings: &str) -> Inbox {
        Inbox { database: database.as_ref().to_owned(), settings: settings.to_owned(), own: Vec::new() }
    }

    /// Adds a handler in code, with the usual rules: `name` is where its progress is kept. It is called again after a crash,
    /// so what must not happen twice carries [`Job::idempotency_key`].
    #[must_use]
    pub fn handle<F, Fut>(mut self, name: &str, function: F) -> Inbox
    where
        F: Fn(Job) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), RunFailure>> + Send,
    {
        self.own.push((name.to_owned(), Arc::new(InCode(function))));
        self
    }

    /// Opens the database and starts the handlers. Fails where the settings have a mistake, telling all of them, and where
    /// another process serves from the database.
    pub async fn start(self) -> anyhow::Result<RunningInbox> {
        let chance = Arc::new(SystemChance);
        let key = key_file::beside(&self.database);
        if !key.exists() {
            key_file::make(&key, &self.database, &key_file::new_key(&SystemChance))?;
        }
        let vault = Vault::new(key_file::read(&key)?, chance.clone())?;
        let zones = Zones::bundled();
        let (store, lock) = SqliteStore::open_as_server(&self.database, zones.clone(), vault)?;
        let (stop, stopped) = watch::channel(false);
        let policy = TargetPolicy::default();
        let resolver = Arc::new(SystemResolver::from_system()?);
        let means = Means {
            store: Arc::new(store.clone()),
            database: Some(self.database),
            clock: Arc::new(SystemClock),
            chance,
            egress: Egress::new(policy.clone(), egress::Limits::default(), resolver)?,
            hint: Arc::new(Notify::new()),
            stop: stopped.clone(),
        };
        let account = half::account(&means, InboxConfig::account_in(&self.settings).as_deref()).await?;
        let config = InboxConfig::read(&self.settings, &[], account, &from_file).map_err(InboxConfig::told)?;
        let own = self.own.into_iter().map(|(name, handler)| RunHandler {
            account,
            rules: HandlerRules::named(&name),
            filter: None,
            handler,
        });
        let half = Half::prepare(config, account, own.collect(), means.clone()).await?;
        let store = store.with_dedupe_window(half.dedupe_window);
        let router = web::inbox_router(context(&means, &store, zones, policy, &half));
        let janitor = Janitor::new(Arc::new(store.clone()), Arc::new(SystemClock));
        Ok(RunningInbox {
            router,
            store,
            stop,
            runs: tokio::spawn(run(half, lock)),
            janitor: tokio::spawn(janitor.run(stopped)),
        })
    }
}

impl RunningInbox {
    /// `POST /in/{path}` of every source; merge it into your own router.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// The database, to look into.
    pub fn store(&self) -> &SqliteStore {
        &self.store
    }

    /// Begins nothing more, finishes what is under way for at most 35 seconds, and empties the log into the file. Stop
    /// serving the router before.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        self.runs.await.context("the handlers have failed")?;
        self.janitor.await.context("the janitor has failed")?;
        Ok(self.store.checkpoint().await?)
    }
}

/// Holds the right to serve from the file as long as anything is under way, also where nobody waits for it.
async fn run(half: Half, lock: ServerLock) {
    half.supervisor.run(DRAIN_TIME).await;
    drop(lock);
}

/// A library does not read the environment of its program; files it may.
fn from_file(text: &str) -> Result<String, String> {
    match text.strip_prefix("file:") {
        Some(path) => std::fs::read_to_string(path)
            .map(|text| text.trim_end().to_owned())
            .map_err(|error| format!("cannot read {path}: {error}")),
        None => Err("is not read within another program; put the value in, or write file:PATH".to_owned()),
    }
}

fn context(means: &Means, store: &SqliteStore, zones: Zones, policy: TargetPolicy, half: &Half) -> web::Context {
    let store = store.clone();
    web::Context {
        store: Arc::new(store.clone()),
        clock: means.clock.clone(),
        chance: means.chance.clone(),
        zones,
        targets: Arc::new(policy),
        lanes_hint: Arc::default(),
        replays_hint: Arc::default(),
        runs_hint: means.hint.clone(),
        test_send: None,
        readiness: Arc::new(move || {
            let store = store.clone();
            Box::pin(async move { store.check_writable().await })
        }),
        configured_sources: half.sources.clone(),
        calendar_feed: half.calendar_feed.clone(),
        settings: WebSettings { halves: Halves::Receiver, ..WebSettings::default() },
    }
}

/// A function as a handler.
struct InCode<F>(F);

#[async_trait]
impl<F, Fut> Handler for InCode<F>
where
    F: Fn(Job) -> Fut + Send + Sync,
    Fut: Future<Output = Result<(), RunFailure>> + Send,
{
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        (self.0)(job.clone()).await.map(|()| "done".to_owned())
    }

    async fn foresee(&self, _: &Job) -> Result<String, RunFailure> {
        Ok("calls a function of this program".to_owned())
    }
}
