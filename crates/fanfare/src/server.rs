//! One serving process: HTTP and the lanes on one store, wired top to bottom; and the order in which it stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use egress::{Egress, SystemResolver};
use provider::target::TargetPolicy;
use store::{Chance, Clock, StoreError};
use store_sqlite::SqliteStore;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use web::{Dashboard, Halves, Limits, WebSettings};
use webinar::{RuleUpdate, Zones};
use wire::NodeId;
use workers::{Bounds, Janitor, LaneSupervisor, NoticeSender, ReplayTurner, RuleWatcher, TestSender};

use crate::clock::{SystemChance, SystemClock};
use crate::receiving::{self, ReceivingSettings};

/// How long requests under way may take after the signal to stop: an attempt may take 30 s, and its outcome has to be
/// committed after that.
const DRAIN_TIME: Duration = Duration::from_secs(35);

/// After the disk has failed, what waits is told so for this long; nothing else is worth waiting for.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Asked more often than this, the readiness check looks only at what the writer has met: a look at the disk costs an fsync, and anyone may ask.
const READINESS_INTERVAL: Duration = Duration::from_secs(1);

/// What a server is made of.
pub(crate) struct Parts {
    pub(crate) store: SqliteStore,
    pub(crate) zones: Zones,
    pub(crate) listener: TcpListener,
    pub(crate) targets: TargetPolicy,
    pub(crate) dashboard: Dashboard,
    pub(crate) halves: Halves,
    pub(crate) disable_after: Duration,
    pub(crate) rule_updates: RuleUpdate,
    /// Where the settings of sources and handlers are, if there are any.
    pub(crate) receiving: Option<ReceivingSettings>,
}

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    store: SqliteStore,
    is_ready: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    http: JoinHandle<io::Result<()>>,
    lanes: Option<JoinHandle<()>>,
    replays: Option<JoinHandle<()>>,
    handlers: Option<JoinHandle<()>>,
    has_disk_failed: bool,
    janitor: JoinHandle<()>,
}

impl Server {
    /// Starts everything; when it returns, requests are answered.
    pub(crate) async fn start(parts: Parts) -> anyhow::Result<Server> {
        let address = parts.listener.local_addr()?;
        let is_ready = Arc::new(AtomicBool::new(true));
        let (stop, stopped) = watch::channel(false);
        let (hint, replays_hint) = (Arc::new(Notify::new()), Arc::new(Notify::new()));

        let egress = way_out(&parts)?;
        let runs_hint = Arc::new(Notify::new());
        let half = match &parts.receiving {
            Some(settings) => {
                let (hint, stop) = (runs_hint.clone(), stopped.clone());
                Some(receiving::prepare(settings, &parts.store, egress.clone(), hint, stop).await?)
            }
            None => None,
        };
        let window = half.as_ref().map(|half| half.dedupe_window).unwrap_or_default();
        let parts = Parts { store: parts.store.with_dedupe_window(window), ..parts };
        let delivering = match parts.halves {
            Halves::Both | Halves::Provider => Some(delivering(&parts, egress, hint.clone())),
            Halves::Receiver => None,
        };
        let test_send = delivering.clone().map(|context| test_send(TestSender::new(context, parts.zones.clone())));
        let replays = delivering.as_ref().map(|_| {
            let (store, clock) = (Arc::new(parts.store.clone()), Arc::new(SystemClock));
            ReplayTurner::new(store, clock, replays_hint.clone(), hint.clone(), stopped.clone()).run()
        });
        let lanes = delivering.map(|context| sending(&parts, context, stopped.clone()));
        let context = web::Context {
            store: Arc::new(parts.store.clone()),
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
            zones: parts.zones,
            targets: Arc::new(parts.targets),
            lanes_hint: hint,
            replays_hint,
            runs_hint,
            test_send,
            configured_sources: half.as_ref().map(|half| half.sources.clone()).unwrap_or_default(),
            calendar_feed: half.as_ref().and_then(|half| half.calendar_feed.clone()),
            readiness: readiness(parts.store.clone(), is_ready.clone()),
            settings: WebSettings {
                dashboard: parts.dashboard,
                halves: parts.halves,
                limits: Limits { drain_time: DRAIN_TIME, ..Limits::default() },
            },
        };
        let janitor = Janitor::new(Arc::new(parts.store.clone()), Arc::new(SystemClock));
        let janitor = tokio::spawn(janitor.run(stopped.clone()));
        let http = tokio::spawn(web::serve(parts.listener, context, told_to_stop(stopped)));
        Ok(Server {
            address,
            store: parts.store,
            is_ready,
            stop,
            http,
            lanes: lanes.map(tokio::spawn),
            janitor,
            replays: replays.map(tokio::spawn),
            handlers: half.map(|half| tokio::spawn(half.supervisor.run(DRAIN_TIME))),
            has_disk_failed: false,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes only if the disk fails, or HTTP ends although nobody has asked for it.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        let ended = tokio::select! {
            ended = &mut self.http => ended,
            why = self.store.failed() => {
                self.has_disk_failed = true;
                return anyhow::anyhow!(
                    "the disk failed the database: {why}; what was acknowledged is kept, nothing after it was; check \
                     the disk, then start fanfare serve again"
                );
            }
        };
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("the HTTP server has ended by itself"),
            Ok(Err(error)) => anyhow::Error::from(error).context("the HTTP server has failed"),
            Err(error) => anyhow::Error::from(error).context("the HTTP server has failed"),
        }
    }

    /// Not ready any more, accept nothing, claim nothing, finish what is under way, give the lanes back, empty the log
    /// into the file: in this order, in bounded time.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.is_ready.store(false, Ordering::Relaxed);
        self.stop.send_replace(true);
        if self.has_disk_failed {
            // Outcomes of what is in flight could not be kept: it is sent again after the restart.
            self.lanes.take().inspect(JoinHandle::abort);
            self.replays.take().inspect(JoinHandle::abort);
            self.handlers.take().inspect(JoinHandle::abort);
            let _ = timeout(ANSWER_TIME, &mut self.http).await;
            return Ok(());
        }
        let lanes = match self.lanes.take() {
            Some(lanes) => lanes.await.context("the lanes have failed"),
            None => Ok(()),
        };
        let janitor = self.janitor.await.context("the janitor has failed");
        let replays = match self.replays.take() {
            Some(replays) => replays.await.context("the replays have failed"),
            None => Ok(()),
        };
        let handlers = match self.handlers.take() {
            Some(handlers) => handlers.await.context("the handlers have failed"),
            None => Ok(()),
        };
        let http = match self.http.is_finished() {
            // How it ended has been told already.
            true => Ok(()),
            false => (&mut self.http).await.context("the HTTP server has failed").and_then(|ended| Ok(ended?)),
        };
        // Whatever failed before, what is acknowledged belongs into the file.
        let checkpoint = self.store.checkpoint().await.context("the log could not be emptied into the database");
        lanes.and(replays).and(handlers).and(janitor).and(http).and(checkpoint)
    }
}

/// What all that sends webhooks shares: above all, the one way out.
fn delivering(parts: &Parts, egress: Egress, hint: Arc<Notify>) -> workers::Context {
    workers::Context {
        lanes: Arc::new(parts.store.clone()),
        egress: Arc::new(egress),
        targets: Arc::new(parts.targets.clone()),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        hint,
        bounds: Bounds { disable_after: parts.disable_after, ..Bounds::default() },
    }
}

/// The one way out of this process, for webhooks and handlers alike.
fn way_out(parts: &Parts) -> anyhow::Result<Egress> {
    let resolver = Arc::new(SystemResolver::from_system()?);
    Ok(Egress::new(parts.targets.clone(), egress::Limits::default(), resolver)?)
}

/// The loops that send, until they are told to stop.
fn sending(
    parts: &Parts,
    context: workers::Context,
    stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + use<> {
    let chance: &dyn Chance = &SystemChance;
    let node = NodeId::from_bytes(chance.id_bytes(SystemClock.now()));
    let store = Arc::new(parts.store.clone());
    let notices = NoticeSender::new(store.clone(), context.clone(), stopped.clone());
    let rules = RuleWatcher::new(store, context.clone(), parts.zones.clone(), parts.rule_updates, stopped.clone());
    let lanes = LaneSupervisor::new(context, node, stopped);
    async move {
        tokio::join!(lanes.run(DRAIN_TIME), notices.run(DRAIN_TIME), rules.run());
    }
}

fn test_send(sender: TestSender) -> web::TestSend {
    Arc::new(move |endpoint| {
        let sender = sender.clone();
        Box::pin(async move { sender.send(&endpoint).await })
    })
}

fn readiness(store: SqliteStore, is_ready: Arc<AtomicBool>) -> web::ReadinessCheck {
    let latest = Arc::new(Mutex::<Option<Instant>>::new(None));
    Arc::new(move || {
        let (store, is_ready, latest) = (store.clone(), is_ready.clone(), latest.clone());
        Box::pin(async move {
            if !is_ready.load(Ordering::Relaxed) {
                return Err(StoreError::broken("the server is stopping"));
            }
            let mut latest = latest.lock().await;
            if latest.is_some_and(|at| at.elapsed() < READINESS_INTERVAL) {
                return store.check_standing();
            }
            let checked = store.check_space().and(store.check_writable().await);
            *latest = checked.is_ok().then(Instant::now);
            checked
        })
    })
}

async fn told_to_stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the server was dropped without being stopped, which is also an end.
    let _ = stopped.wait_for(|stop| *stop).await;
}
