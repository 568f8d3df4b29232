//! One serving process: HTTP and the lanes on one store, wired top to bottom; and the order in which it stops.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use egress::{Egress, SystemResolver};
use provider::target::TargetPolicy;
use store::{Chance, Clock, StoreError, StoreResult};
use store_postgres::Hints;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use web::{Dashboard, Halves, Limits, WebSettings};
use webinar::{RuleUpdate, Zones};
use wire::NodeId;
use workers::{Bounds, Janitor, LaneSupervisor, NoticeSender, ReplayTurner, RuleWatcher, TestSender};

use crate::clock::{SystemChance, SystemClock};
use crate::engine::Engine;
use crate::presence::{self, Presence};
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
    pub(crate) engine: Engine,
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
    engine: Engine,
    is_ready: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
    http: JoinHandle<io::Result<()>>,
    lanes: Option<JoinHandle<()>>,
    replays: Option<JoinHandle<()>>,
    handlers: Option<JoinHandle<()>>,
    has_disk_failed: bool,
    janitor: JoinHandle<()>,
    attending: Option<JoinHandle<()>>,
    /// Where it takes no lanes, and there may be others that do.
    presence: Option<Presence>,
}

impl Server {
    /// Starts everything; when it returns, requests are answered.
    pub(crate) async fn start(parts: Parts) -> anyhow::Result<Server> {
        let address = parts.listener.local_addr()?;
        let is_ready = Arc::new(AtomicBool::new(true));
        let (stop, stopped) = watch::channel(false);
        let asked = Hints::default();
        let (working, attending) = parts.engine.attend(&asked, stopped.clone());

        let egress = way_out(&parts)?;
        let half = match &parts.receiving {
            Some(settings) => {
                let (hint, stop) = (working.runs.clone(), stopped.clone());
                Some(receiving::prepare(settings, parts.engine.store(), egress.clone(), hint, stop).await?)
            }
            None => None,
        };
        let window = half.as_ref().map(|half| half.dedupe_window).unwrap_or_default();
        let parts = Parts { engine: parts.engine.with_dedupe_window(window), ..parts };
        let store = parts.engine.store();
        let delivering = match parts.halves {
            Halves::Both | Halves::Provider => Some(delivering(&parts, egress, working.lanes.clone())),
            Halves::Receiver => None,
        };
        let test_send = delivering.clone().map(|context| test_send(TestSender::new(context, parts.zones.clone())));
        let replays = delivering.as_ref().map(|_| {
            let (hint, lanes_hint) = (working.replays.clone(), asked.lanes.clone());
            ReplayTurner::new(store.clone(), Arc::new(SystemClock), hint, lanes_hint, stopped.clone()).run()
        });
        let presence = match delivering {
            None => seen_without_lanes(&parts, address),
            Some(_) => None,
        };
        let lanes = delivering.map(|context| sending(&parts, address, context, stopped.clone()));
        let context = web::Context {
            store: store.clone(),
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
            zones: parts.zones,
            targets: Arc::new(parts.targets),
            lanes_hint: asked.lanes,
            replays_hint: asked.replays,
            runs_hint: asked.runs,
            test_send,
            configured_sources: half.as_ref().map(|half| half.sources.clone()).unwrap_or_default(),
            calendar_feed: half.as_ref().and_then(|half| half.calendar_feed.clone()),
            readiness: readiness(parts.engine.clone(), is_ready.clone()),
            settings: WebSettings {
                dashboard: parts.dashboard,
                halves: parts.halves,
                limits: Limits { drain_time: DRAIN_TIME, ..Limits::default() },
            },
        };
        let janitor = Janitor::new(store, Arc::new(SystemClock));
        let janitor = tokio::spawn(janitor.run(stopped.clone()));
        let http = tokio::spawn(web::serve(parts.listener, context, told_to_stop(stopped)));
        Ok(Server {
            address,
            engine: parts.engine,
            is_ready,
            stop,
            http,
            lanes: lanes.map(tokio::spawn),
            janitor,
            attending: attending.map(tokio::spawn),
            replays: replays.map(tokio::spawn),
            handlers: half.map(|half| tokio::spawn(half.supervisor.run(DRAIN_TIME))),
            has_disk_failed: false,
            presence,
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
            why = self.engine.failed() => {
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
        let lanes = ended(self.lanes.take(), "the lanes have failed").await;
        let janitor = self.janitor.await.context("the janitor has failed");
        let replays = ended(self.replays.take(), "the replays have failed").await;
        let handlers = ended(self.handlers.take(), "the handlers have failed").await;
        let attending = ended(self.attending.take(), "what runs beside the others has failed").await;
        let http = match self.http.is_finished() {
            // How it ended has been told already.
            true => Ok(()),
            false => (&mut self.http).await.context("the HTTP server has failed").and_then(|ended| Ok(ended?)),
        };
        if let Some(presence) = self.presence {
            presence.end().await;
        }
        // Whatever failed before, what is acknowledged belongs into the file.
        let finished = self.engine.finish().await;
        lanes.and(replays).and(handlers).and(janitor).and(attending).and(http).and(finished)
    }
}

/// Waits for the end of a task, where there is one.
async fn ended(task: Option<JoinHandle<()>>, failed: &'static str) -> anyhow::Result<()> {
    match task {
        Some(task) => task.await.context(failed),
        None => Ok(()),
    }
}

/// What all that sends webhooks shares: above all, the one way out.
fn delivering(parts: &Parts, egress: Egress, hint: Arc<Notify>) -> workers::Context {
    workers::Context {
        lanes: parts.engine.store(),
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
    address: SocketAddr,
    context: workers::Context,
    stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + use<> {
    let store = parts.engine.store();
    let notices = NoticeSender::new(store.clone(), context.clone(), stopped.clone());
    let rules = RuleWatcher::new(store, context.clone(), parts.zones.clone(), parts.rule_updates, stopped.clone());
    let lanes = LaneSupervisor::new(context, new_node(), stopped);
    let lanes = match parts.engine.nodes() {
        None => lanes,
        Some(nodes) => lanes.among(nodes, presence::name_of(address)),
    };
    async move {
        tokio::join!(lanes.run(DRAIN_TIME), notices.run(DRAIN_TIME), rules.run());
    }
}

/// A process that sends nothing is seen by the other nodes, too, if there may be any.
fn seen_without_lanes(parts: &Parts, address: SocketAddr) -> Option<Presence> {
    parts.engine.nodes().map(|nodes| Presence::begin(nodes, new_node(), presence::name_of(address)))
}

fn new_node() -> NodeId {
    let chance: &dyn Chance = &SystemChance;
    NodeId::from_bytes(chance.id_bytes(SystemClock.now()))
}

fn test_send(sender: TestSender) -> web::TestSend {
    Arc::new(move |endpoint| {
        let sender = sender.clone();
        Box::pin(async move { sender.send(&endpoint).await })
    })
}

fn readiness(engine: Engine, is_ready: Arc<AtomicBool>) -> web::ReadinessCheck {
    let latest = Arc::new(Mutex::<Option<(Instant, StoreResult<()>)>>::new(None));
    Arc::new(move || {
        let (engine, is_ready, latest) = (engine.clone(), is_ready.clone(), latest.clone());
        Box::pin(async move {
            if !is_ready.load(Ordering::Relaxed) {
                return Err(StoreError::broken("the server is stopping"));
            }
            let mut latest = latest.lock().await;
            match latest.as_ref().filter(|(at, _)| at.elapsed() < READINESS_INTERVAL) {
                Some((_, Ok(()))) => return engine.check_standing(),
                Some((_, Err(error))) => return Err(error.again()),
                None => {}
            }
            let checked = engine.check().await;
            *latest = Some((Instant::now(), checked.as_ref().copied().map_err(StoreError::again)));
            checked
        })
    })
}

async fn told_to_stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the server was dropped without being stopped, which is also an end.
    let _ = stopped.wait_for(|stop| *stop).await;
}
