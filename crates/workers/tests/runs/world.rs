//! An inbox in memory, handlers that do as told, and a wall clock that goes with tokio's paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use handlers::{Filter, Handler};
use jiff::{SignedDuration, Timestamp};
use receiver::handling::HandlerRules;
use receiver::reading::OtherEvent;
use receiver::{HandlerStart, KeptHeaders, Reading, Subject};
use store::{Chance, Clock, MessageNumber, RunState, Runs};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use wire::{AccountId, NodeId, SourceId};
use workers::{MessageRead, RunContext, RunHandler, RunSupervisor, SourceLabel, Turn};

use crate::deeds::Deeds;
use crate::memory::{Memory, Row};

pub(crate) const SOURCE: SourceId = SourceId::from_bytes([3; 16]);
const START_SECOND: i64 = 1_795_392_000;

/// Shows what paused time says, and can be stepped.
pub(crate) struct PausedClock {
    start: Instant,
    step_ms: AtomicI64,
}

impl PausedClock {
    pub(crate) fn new() -> PausedClock {
        PausedClock { start: Instant::now(), step_ms: AtomicI64::new(0) }
    }

    pub(crate) fn step(&self, by_ms: i64) {
        self.step_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    pub(crate) fn set_right(&self) {
        self.step_ms.store(0, Ordering::SeqCst);
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        let passed = self.start.elapsed().as_millis() as i64 + self.step_ms.load(Ordering::SeqCst);
        Timestamp::from_second(START_SECOND).unwrap() + SignedDuration::from_millis(passed)
    }
}

/// Counts up: every run the same.
pub(crate) struct Counter(pub(crate) AtomicU64);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).to_be_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

/// Reads `ann/2 words` as version 2 of what concerns Ann, and everything else as about nobody. The header `fanfare-event`
/// names the event; `unreadable` cannot be read.
pub(crate) fn read(headers: &KeptHeaders, body: &[u8], event: Option<&str>) -> MessageRead {
    let body = std::str::from_utf8(body).unwrap();
    assert!(body != "unreadable", "a poison body, as the test says");
    let about = body.split(' ').next().and_then(|word| word.split_once('/'));
    let number = |who: &str| who.bytes().fold(7, |number: u64, byte| number.wrapping_mul(31) + u64::from(byte));
    let event = headers.get("fanfare-event").or(event).map(str::to_owned);
    MessageRead {
        reading: Reading::Other(OtherEvent { event }),
        subject: about.map(|(who, _)| Subject(number(who))),
        version: about.map_or(0, |(_, version)| version.parse().unwrap()),
        is_test: headers.get("fanfare-test").is_some(),
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<Memory>,
    pub(crate) clock: Arc<PausedClock>,
    pub(crate) hint: Arc<Notify>,
    pub(crate) stop: watch::Sender<bool>,
    context: RunContext,
    handlers: Vec<RunHandler>,
    supervisor: Option<RunSupervisor>,
}

impl World {
    pub(crate) fn new() -> World {
        let (store, clock) = (Arc::new(Memory::default()), Arc::new(PausedClock::new()));
        let label = SourceLabel { name: "courses".into(), event: None };
        let context = RunContext {
            store: store.clone(),
            clock: clock.clone(),
            chance: Arc::new(Counter(AtomicU64::new(1))),
            node: NodeId::from_bytes([1; 16]),
            sources: [(SOURCE, label)].into(),
            read,
        };
        let (stop, _) = watch::channel(false);
        World { store, clock, hint: Arc::new(Notify::new()), stop, context, handlers: Vec::new(), supervisor: None }
    }

    /// A world with one handler, `crm`, that takes everything from the oldest message on.
    pub(crate) fn with(deeds: &Arc<Deeds>) -> World {
        World::with_rules(deeds, |_| {})
    }

    pub(crate) fn with_rules(deeds: &Arc<Deeds>, change: impl FnOnce(&mut HandlerRules)) -> World {
        let mut world = World::new();
        world.add("crm", deeds, None, change);
        world
    }

    pub(crate) fn add(
        &mut self,
        name: &str,
        deeds: &Arc<Deeds>,
        filter: Option<Filter>,
        change: impl FnOnce(&mut HandlerRules),
    ) {
        let mut rules = HandlerRules { start: HandlerStart::Oldest, ..HandlerRules::named(name) };
        change(&mut rules);
        let handler: Arc<dyn Handler> = deeds.clone();
        self.handlers.push(RunHandler { account: AccountId::from_u32(1), rules, filter, handler });
    }

    /// Whoever is started from now on is this node.
    pub(crate) fn be_node(&mut self, node: u8) {
        self.context.node = NodeId::from_bytes([node; 16]);
    }

    /// Another store before the one in memory.
    pub(crate) fn through(&mut self, store: Arc<dyn Runs>) {
        self.context.store = store;
    }

    pub(crate) fn accept(&self, body: &str) -> MessageNumber {
        self.accept_with("", body)
    }

    pub(crate) fn accept_with(&self, headers: &str, body: &str) -> MessageNumber {
        self.store.tables().accept(SOURCE, headers, body, self.clock.now())
    }

    pub(crate) fn accept_all<'b>(&self, bodies: impl IntoIterator<Item = &'b str>) {
        for body in bodies {
            self.accept(body);
        }
    }

    /// `message 0` and so on.
    pub(crate) fn accept_many(&self, count: usize) {
        for number in 0..count {
            self.accept(&format!("message {number}"));
        }
    }

    pub(crate) fn supervisor(&mut self) -> RunSupervisor {
        let handlers = std::mem::take(&mut self.handlers);
        RunSupervisor::new(self.context.clone(), handlers, self.hint.clone(), self.stop.subscribe())
    }

    pub(crate) async fn turn(&mut self) -> Turn {
        if self.supervisor.is_none() {
            self.supervisor = Some(self.supervisor());
        }
        self.supervisor.as_mut().unwrap().turn().await
    }

    /// Takes turns for so long.
    pub(crate) async fn turns_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.turn().await;
            tokio::time::advance(Duration::from_millis(250)).await;
        }
    }

    pub(crate) fn row(&self, handler: &str, number: MessageNumber) -> Option<Row> {
        self.store.tables().handlers[handler].rows.get(&number).cloned()
    }

    /// How the run of each message of `crm` stands, in their order.
    pub(crate) fn standings(&self) -> Vec<&'static str> {
        let tables = self.store.tables();
        let rows = &tables.handlers["crm"].rows;
        let standing = |number| match rows.get(number).map(|row| &row.state) {
            None => "none",
            Some(RunState::Waiting { .. }) => "waiting",
            Some(RunState::Done) => "done",
            Some(RunState::Skipped(_)) => "skipped",
            Some(RunState::Parked { .. }) => "parked",
        };
        tables.messages.keys().map(standing).collect()
    }

    pub(crate) fn cursor(&self) -> MessageNumber {
        self.store.tables().handlers["crm"].cursor
    }
}
