//! One handler at work beside the inbox that is measured: what it is, how far behind it falls, and whether it lost
//! anything.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use async_trait::async_trait;
use clap::ValueEnum;
use handlers::sql::{SqlHandler, SqlPrefix, SqlSettings, SqlTarget, SqlWork};
use handlers::{Handler, Job, RunFailure};
use receiver::{HandlerRules, HandlerStart};
use serde::Serialize;
use store::{Chance, Clock, HandlerStanding, Runs};
use store_sqlite::SqliteStore;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use wire::NodeId;
use workers::{MessageRead, RunContext, RunHandler, RunSupervisor, SourceLabel};

use super::super::load::ContentKind;
use super::super::meter::{Meter, Reading};
use super::{ACCOUNT, NAME, SOURCE};
use crate::clock::{SystemChance, SystemClock};
use crate::config::UsageError;
use crate::progress::Progress;

/// What handles the messages while they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum HandlersKind {
    /// Nothing.
    #[default]
    Off,
    /// The `sql` handler with its built-in tables; it is waited for.
    Sql,
    /// A handler that takes 100 ms a message, 4 at once; it is not waited for.
    Slow,
}

/// What a handler did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HandlerFigures {
    runs_done: u64,
    /// From the first message to the last run; to the last answer where the handler is not waited for.
    runs_per_second: f64,
    /// Messages not handled, at most; looked at every 200 ms.
    backlog_peak: u64,
    backlog_at_last_answer: u64,
    /// From the last answer until nothing was left.
    #[serde(skip_serializing_if = "Option::is_none")]
    backlog_empty_after_seconds: Option<f64>,
}

/// A handler at work.
pub(super) struct Handling {
    store: SqliteStore,
    kind: HandlersKind,
    backlog_peak: Arc<AtomicU64>,
    watching: JoinHandle<anyhow::Result<()>>,
    supervisor: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

struct SlowHandler;

const SLOW_TIME: Duration = Duration::from_millis(100);
const SLOW_CONCURRENCY: usize = 4;
/// A look counts the backlog: a few milliseconds for 100,000 messages, so more often would be part of the figures.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Longer than any timeout of a handler.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// For runs in flight when a handler is stopped.
const DRAIN: Duration = Duration::from_secs(35);

impl HandlersKind {
    /// What it has to be told.
    pub(super) fn content(self) -> ContentKind {
        match self {
            HandlersKind::Off => ContentKind::Filling,
            HandlersKind::Sql | HandlersKind::Slow => ContentKind::Webinar,
        }
    }

    async fn handler(self, target: Option<&str>, directory: &Path) -> anyhow::Result<Option<Arc<dyn Handler>>> {
        if target.is_some() && self != HandlersKind::Sql {
            bail!(UsageError("--target is the database of --handlers sql".to_owned()));
        }
        match self {
            HandlersKind::Off => Ok(None),
            HandlersKind::Slow => Ok(Some(Arc::new(SlowHandler))),
            HandlersKind::Sql => Ok(Some(Arc::new(sql_handler(target, directory).await?))),
        }
    }
}

async fn sql_handler(target: Option<&str>, directory: &Path) -> anyhow::Result<SqlHandler> {
    let target = match target {
        Some(url) => SqlTarget::parse(url, None).map_err(|error| UsageError(format!("--target {error}")))?,
        None => SqlTarget::Sqlite(directory.join("handled.db")),
    };
    let work = SqlWork::Tables(SqlPrefix::default());
    let settings = SqlSettings { target, work, create_tables: true, forbidden_file: None };
    let handler = SqlHandler::new(settings, &rules()).map_err(|reason| anyhow!(reason))?;
    handler.check().await.map_err(|failure| anyhow!(failure.reason))?;
    Ok(handler)
}

fn rules() -> HandlerRules {
    // From the oldest, because nobody waits until the handler is known.
    HandlerRules { start: HandlerStart::Oldest, concurrency: SLOW_CONCURRENCY, ..HandlerRules::named("bench") }
}

#[async_trait]
impl Handler for SlowHandler {
    async fn handle(&self, _: &Job) -> Result<String, RunFailure> {
        sleep(SLOW_TIME).await;
        Ok("waited".to_owned())
    }

    async fn foresee(&self, _: &Job) -> Result<String, RunFailure> {
        Ok(format!("wait {SLOW_TIME:?}"))
    }
}

impl Handling {
    /// Begins to work, unless handlers are off. `hint` is poked by the inbox.
    pub(super) async fn start(
        kind: HandlersKind,
        target: Option<&str>,
        directory: &Path,
        store: &SqliteStore,
        hint: Arc<Notify>,
    ) -> anyhow::Result<Option<Handling>> {
        let Some(handler) = kind.handler(target, directory).await? else { return Ok(None) };
        let (stop, stopped) = watch::channel(false);
        let handlers = vec![RunHandler { account: ACCOUNT, rules: rules(), filter: None, handler }];
        let supervisor = RunSupervisor::new(context(store), handlers, hint, stopped);
        let backlog_peak = Arc::new(AtomicU64::new(0));
        Ok(Some(Handling {
            store: store.clone(),
            kind,
            watching: tokio::spawn(watch_backlog(store.clone(), backlog_peak.clone())),
            backlog_peak,
            supervisor: tokio::spawn(supervisor.run(DRAIN)),
            stop,
        }))
    }

    /// After the last answer: waits for what is to be waited for, stops the handler, and sees that each of the messages
    /// `stored` is accounted for. Gives the reading at the end of the work, too.
    pub(super) async fn finish(
        self,
        stored: u64,
        meter: &Meter,
        answered: &Reading,
    ) -> anyhow::Result<(HandlerFigures, Reading)> {
        let at_last_answer = standing(&self.store).await?;
        if self.watching.is_finished() {
            self.watching.await??;
            bail!("nobody watched the backlog");
        }
        self.watching.abort();
        let is_awaited = self.kind == HandlersKind::Sql;
        if is_awaited {
            wait_until_done(&self.store, stored).await?;
        }
        let worked = meter.stop();
        let done = if is_awaited { stored } else { at_last_answer.done };
        self.stop.send(true).context("the handler ended early")?;
        self.supervisor.await?;
        check_nothing_lost(&standing(&self.store).await?, stored)?;

        let backlog_at_last_answer = backlog(&at_last_answer);
        let figures = HandlerFigures {
            runs_done: done,
            runs_per_second: done as f64 / worked.seconds,
            backlog_peak: self.backlog_peak.load(Ordering::Relaxed).max(backlog_at_last_answer),
            backlog_at_last_answer,
            backlog_empty_after_seconds: is_awaited.then_some(worked.seconds - answered.seconds),
        };
        Ok((figures, worked))
    }
}

impl HandlerFigures {
    /// For a table.
    pub(super) fn rows(&self) -> [(&'static str, String); 2] {
        let HandlerFigures { runs_done, runs_per_second, backlog_peak, backlog_at_last_answer, .. } = self;
        let then = match self.backlog_empty_after_seconds {
            Some(seconds) => format!("empty {seconds:.1} s after it"),
            None => "not waited for".to_owned(),
        };
        [
            ("runs", format!("{runs_per_second:.0} /s ({runs_done} done; the CPU above is with them), none lost")),
            ("backlog", format!("{backlog_peak} at most, {backlog_at_last_answer} at the last answer, {then}")),
        ]
    }
}

fn context(store: &SqliteStore) -> RunContext {
    RunContext {
        store: Arc::new(store.clone()),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        node: NodeId::from_bytes((&SystemChance as &dyn Chance).id_bytes(SystemClock.now())),
        sources: [(SOURCE, SourceLabel { name: NAME.into(), event: None })].into(),
        read: MessageRead::of,
    }
}

async fn watch_backlog(store: SqliteStore, peak: Arc<AtomicU64>) -> anyhow::Result<()> {
    loop {
        for standing in store.handlers(ACCOUNT).await? {
            peak.fetch_max(backlog(&standing), Ordering::Relaxed);
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

async fn wait_until_done(store: &SqliteStore, stored: u64) -> anyhow::Result<()> {
    let progress = Progress::start("runs", stored);
    let (mut done, mut moved_at) = (0, Instant::now());
    loop {
        let standing = standing(store).await?;
        ensure!(standing.parked == 0, "{} messages were given up by the handler", standing.parked);
        progress.set(standing.done);
        if backlog(&standing) == 0 {
            progress.finish();
            ensure!(standing.done == stored, "{stored} messages on disk, but {} runs done", standing.done);
            return Ok(());
        }
        if standing.done > done {
            (done, moved_at) = (standing.done, Instant::now());
        }
        ensure!(moved_at.elapsed() < STUCK_AFTER, "the handler has done nothing for {STUCK_AFTER:?}");
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

async fn standing(store: &SqliteStore) -> anyhow::Result<HandlerStanding> {
    store.handlers(ACCOUNT).await?.pop().context("the handler is not known")
}

fn backlog(standing: &HandlerStanding) -> u64 {
    standing.ahead + standing.waiting
}

fn check_nothing_lost(standing: &HandlerStanding, stored: u64) -> anyhow::Result<()> {
    let HandlerStanding { ahead, waiting, parked, done, skipped, .. } = standing;
    let known = ahead + waiting + parked + done + skipped;
    ensure!(known == stored, "{stored} messages on disk, but the handler knows of {known}: {standing:?}");
    Ok(())
}
