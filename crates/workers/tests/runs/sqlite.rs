//! The same worker on the real store, with messages that are verified and read as they are in production.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use handlers::{Filter, Handler};
use jiff::Timestamp;
use receiver::HandlerStart;
use receiver::handling::HandlerRules;
use store::{
    Acceptance, Clock, Inbox, MessageNumber, RunFilter, RunOrder, RunPiece, RunRecord, RunScope, RunStanding, RunState,
    Runs, SealingKey, SkipReason, Vault,
};
use store_spec::world::Sender;
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::sync::{Notify, watch};
use webinar::Zones;
use wire::{AccountId, NodeId};
use workers::{MessageRead, RunContext, RunHandler, RunSupervisor, SourceLabel};

use crate::deeds::{Deed, Deeds};
use crate::world::Counter;

struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

struct World {
    spec: store_spec::World<SqliteStore>,
    account: AccountId,
    sender: Sender,
    clock: Arc<HandClock>,
    stop: watch::Sender<bool>,
    sent: Mutex<u32>,
    _directory: TempDir,
}

impl World {
    async fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let vault = Vault::new([SealingKey::from_bytes([1; 32])], Arc::new(Counter(AtomicU64::new(1)))).unwrap();
        let store = SqliteStore::open(&directory.path().join("world.db"), Zones::bundled(), vault).unwrap();
        let mut spec = store_spec::World::new(store);
        let account = spec.account().await.unwrap();
        let sender = spec.sender(account).await.unwrap();
        let clock = Arc::new(HandClock(AtomicI64::new(spec.now().as_millisecond())));
        let (stop, _) = watch::channel(false);
        World { spec, account, sender, clock, stop, sent: Mutex::new(0), _directory: directory }
    }

    fn supervisor(&self, deeds: &Arc<Deeds>, filter: Option<&str>) -> RunSupervisor {
        let label = SourceLabel { name: "courses".into(), event: None };
        let context = RunContext {
            store: Arc::new(self.spec.store.clone()),
            clock: self.clock.clone(),
            chance: Arc::new(Counter(AtomicU64::new(1))),
            node: NodeId::from_bytes([1; 16]),
            sources: [(self.sender.source(), label)].into(),
            read: MessageRead::of,
        };
        let rules = HandlerRules { start: HandlerStart::Oldest, ..HandlerRules::named("crm") };
        let filter = filter.map(|filter| Filter::parse(filter).unwrap());
        let handler: Arc<dyn Handler> = deeds.clone();
        let handlers = vec![RunHandler { account: self.account, rules, filter, handler }];
        RunSupervisor::new(context, handlers, Arc::new(Notify::new()), self.stop.subscribe())
    }

    /// Accepts what Fanfare tells this person of one version of one series.
    async fn tell(&self, person: &str, version: u32) -> MessageNumber {
        let body = format!(
            r#"{{"name":"{person}","email":"{person}@example.com","phone":1234567890,"timezone":"+05:30","callList":[{{
            "webinar":"Version {version}","webinarId":"634fc35ddaf58580e2418c40","webinarLink":"https://meet.example/a",
            "webinarFromTime":"2024-03-15T10:00:00.000Z","webinarToTime":"2024-03-15T11:00:00.000Z",
            "webinarFromTimeInCreatorTimezone":"2024-03-15T15:30:00.000Z",
            "webinarToTimeInCreatorTimezone":"2024-03-15T16:30:00.000Z","creatorTimezone":"+05:30"}}],"mangoes":"Gold"}}"#
        );
        let headers = [
            ("fanfare-event", "webinar.created.recurring".to_owned()),
            ("fanfare-series", "65f0c0ffee0000000000a001".to_owned()),
            ("fanfare-series-version", version.to_string()),
        ];
        self.accept(&body, &headers).await
    }

    async fn accept(&self, body: &str, headers: &[(&str, String)]) -> MessageNumber {
        let id = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            *sent += 1;
            format!("msg_{sent}")
        };
        let message = self.sender.message_with(&id, body, headers, self.clock.now());
        match self.spec.store.accept(message).await.unwrap() {
            Acceptance::Stored(number) => number,
            Acceptance::Duplicate { .. } => panic!("a new message"),
        }
    }

    async fn runs(&self) -> Vec<RunRecord> {
        let page = self.spec.store.runs(self.account, RunFilter::default(), None, 500).await.unwrap();
        page.items.into_iter().rev().collect()
    }

    async fn states(&self) -> Vec<RunState> {
        self.runs().await.into_iter().map(|run| run.state).collect()
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_millis() as i64, Ordering::SeqCst);
    }
}

fn well() -> Arc<Deeds> {
    Deeds::new(|_, _| Deed::Succeed)
}

#[tokio::test]
async fn every_message_is_handled_once_and_what_is_not_taken_leaves_no_row() {
    let (world, deeds) = (World::new().await, well());
    let mut supervisor = world.supervisor(&deeds, Some("'Gold' in mangoes and event == 'webinar.created.recurring'"));
    for number in 0..400 {
        world.tell(&format!("person{number}"), 1).await;
    }
    let last = world.accept("{\"type\":\"refund\"}", &[]).await;
    supervisor.turn().await;
    supervisor.turn().await;
    assert_eq!(deeds.begun().len(), 400);
    let standing = world.spec.store.handlers(world.account).await.unwrap().remove(0);
    assert_eq!((standing.done, standing.ahead, standing.cursor), (400, 0, last));
    assert_eq!(world.runs().await.len(), 400);
}

#[tokio::test]
async fn an_older_version_never_follows_a_newer_one() {
    let (world, deeds) = (World::new().await, well());
    let mut supervisor = world.supervisor(&deeds, None);
    world.tell("ann", 2).await;
    supervisor.turn().await;
    world.tell("ann", 1).await;
    world.tell("bob", 1).await;
    world.tell("ann", 3).await;
    // A process that knows nothing but the store.
    drop(supervisor);
    world.supervisor(&deeds, None).turn().await;
    let outdated = RunState::Skipped(SkipReason::Outdated);
    assert_eq!(world.states().await, [RunState::Done, outdated, RunState::Done, RunState::Done]);
    assert!(!deeds.done().iter().any(|body| body.contains("ann") && body.contains("Version 1")));
}

#[tokio::test]
async fn failures_wait_are_tried_again_and_parked_and_an_order_runs_them_anew() {
    let world = World::new().await;
    let deeds = Deeds::new(|body, _| if body.contains("ann") { Deed::Panic } else { Deed::Succeed });
    let mut supervisor = world.supervisor(&deeds, None);
    world.tell("bob", 1).await;
    let number = world.tell("ann", 1).await;
    world.tell("cid", 1).await;
    for attempt in 1..=8 {
        supervisor.turn().await;
        let run = world.runs().await.remove(1);
        assert_eq!(run.attempts, attempt);
        assert_eq!(matches!(run.state, RunState::Waiting { .. }), attempt < 8, "{run:?}");
        world.pass(Duration::from_secs(12 * 3600));
    }
    assert_eq!(deeds.done().len(), 2);

    let scope = RunScope {
        handler: "crm".to_owned(),
        message: None,
        source: None,
        standing: Some(RunStanding::Parked),
        from: None,
        to: None,
    };
    let (now, quick) = (world.clock.now(), well());
    let rerun = RunOrder::Rerun { first: now, spacing: Duration::ZERO };
    let piece = RunPiece { after: 0, limit: 100, now };
    assert_eq!(world.spec.store.order_runs(world.account, &scope, rerun, piece).await.unwrap().runs, 1);
    world.supervisor(&quick, None).turn().await;
    assert_eq!((quick.begun().len(), quick.begun()[0].attempt), (1, 1));
    let run = world.runs().await.into_iter().find(|run| run.number == number).unwrap();
    assert_eq!((run.state, run.generation), (RunState::Done, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_die_under_load_lose_nothing() {
    let world = World::new().await;
    // It dies in the midst of its work: each time it has begun some more.
    let (begun, time_to_die) = (AtomicU64::new(0), Arc::new(Notify::new()));
    let ring = time_to_die.clone();
    let deeds = Deeds::in_batches(8, move |_, _| {
        if begun.fetch_add(1, Ordering::SeqCst) % 90 == 89 {
            ring.notify_one();
        }
        Deed::Take(Duration::from_millis(1))
    });
    for number in 0..1_000 {
        world.tell(&format!("person{number}"), 1).await;
    }
    // Eight times ninety are fewer than there are messages.
    for _ in 0..8 {
        let running = tokio::spawn(world.supervisor(&deeds, None).run(Duration::ZERO));
        time_to_die.notified().await;
        running.abort();
        assert!(running.await.is_err());
    }
    world.supervisor(&deeds, None).turn().await;
    let standing = world.spec.store.handlers(world.account).await.unwrap().remove(0);
    assert_eq!((standing.done, standing.waiting, standing.ahead), (1_000, 0, 0));
}
