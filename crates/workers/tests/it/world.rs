//! A provider with its store in a temporary file, a clock that is moved by hand, and receivers on loopback.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use egress::{Egress, Limits, Resolve};
use jiff::{SignedDuration, Timestamp};
use provider::api_key::ApiKey;
use provider::attempt::TestReport;
use provider::settings::EndpointSettings;
use provider::target::TargetPolicy;
use store::{
    Account, Accounts, Backlog, Catalog, Chance, Clock, DeliveryFilter, DeliveryStatus, DeliverySummary, Ending,
    EndpointChange, Erase, Erasures, EventSummary, Group, Journal, Mango, NewEvent, NewMember, NewSubscription, Roster,
    SaveSeries, SealingKey, Steer, Subscriptions, Vault, Whom,
};
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use webinar::{EventType, MangoId, Participant, RuleUpdate, Series, SeriesDraft, SeriesId, SeriesPart, Trigger, Zones};
use wire::{AccountId, EndpointId, ErasureId, EventId, NodeId, SigningSecret, SubscriptionId};
use workers::{Bounds, Context, LaneSupervisor, NoticeSender, ReplayTurner, RuleWatcher, TestSender, Turn};

use crate::receiver::Receiver;

/// Three days would take a test too long.
const DISABLE_AFTER: Duration = Duration::from_secs(24 * 3600);
pub(crate) const ACCOUNT: AccountId = AccountId::from_u32(1);
const MANGO: MangoId = MangoId::from_bytes([9; 12]);
pub(crate) const SERIES: SeriesId = SeriesId::from_bytes([8; 12]);

/// What the first secret of every endpoint is made of.
pub(crate) const FIRST_SECRET: u8 = 5;

/// Moves only by hand.
pub(crate) struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

/// Counts up: every id is different, every run the same.
struct Counter(AtomicU64);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
            chunk.copy_from_slice(&next[8 - chunk.len()..]);
        }
    }
}

pub(crate) struct World {
    pub(crate) store: SqliteStore,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) stop: watch::Sender<bool>,
    context: Context,
    supervisor: LaneSupervisor,
    notices: NoticeSender,
    replays: ReplayTurner,
    versions: u32,
    directory: TempDir,
}

impl World {
    /// A world with one account, one mango and this many members of it, named `Person 1` and so on.
    pub(crate) async fn with_members(count: usize) -> World {
        let directory = tempfile::tempdir().unwrap();
        let chance: Arc<dyn Chance> = Arc::new(Counter(AtomicU64::new(1)));
        let store = SqliteStore::open(&directory.path().join("world.db"), Zones::bundled(), vault(&chance)).unwrap();
        let clock = Arc::new(HandClock(AtomicI64::new(1_790_000_000_000)));
        let targets = TargetPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], ..TargetPolicy::default() };
        let names: Arc<dyn Resolve> = Arc::new(egress::SystemResolver::from_system().unwrap());
        let egress = Egress::new(targets.clone(), Limits::default(), names).unwrap();
        let context = Context {
            lanes: Arc::new(store.clone()),
            egress: Arc::new(egress),
            targets: Arc::new(targets),
            clock: clock.clone(),
            chance,
            hint: Arc::new(Notify::new()),
            bounds: Bounds { disable_after: DISABLE_AFTER, ..Bounds::default() },
        };
        let (stop, stopped) = watch::channel(false);
        let replays = replay_turner(&store, &clock, &context, Arc::new(Notify::new()), stopped.clone());
        let supervisor = LaneSupervisor::new(context.clone(), NodeId::from_bytes([1; 16]), stopped);
        let notices = NoticeSender::new(Arc::new(store.clone()), context.clone(), stop.subscribe());
        let world = World { store, clock, stop, context, supervisor, notices, replays, versions: 0, directory };
        world.people(count).await;
        world
    }

    async fn people(&self, count: usize) {
        let now = self.clock.now();
        let account = Account { id: ACCOUNT, name: "Acme".into(), timezone: "Asia/Kolkata".into(), created_at: now };
        let key = ApiKey::from_chance([1; 8], [1; 32]).to_stored();
        self.store.create_account(account, key).await.unwrap();
        let mango = Mango { id: MANGO, name: "Gold".into(), created_at: now };
        self.store.create_mango(ACCOUNT, mango).await.unwrap();
        let members = (1..=count).map(|number| NewMember {
            participant: Participant::parse(
                &format!("Person {number}"),
                &format!("person{number}@example.com"),
                "",
                "",
                &Zones::bundled(),
            )
            .unwrap(),
            attributes: None,
        });
        self.store.enrol(ACCOUNT, Group::Mango(MANGO), members.collect()).await.unwrap();
    }

    /// A new receiver that is told of every recurring webinar.
    pub(crate) async fn subscriber(&self) -> (Receiver, EndpointId) {
        let receiver = Receiver::start().await;
        let endpoint = self.subscribe(&format!("http://{}/hook", receiver.address)).await;
        (receiver, endpoint)
    }

    pub(crate) async fn subscribe(&self, url: &str) -> EndpointId {
        self.subscribe_to(url, EventType::WebinarCreatedRecurring).await
    }

    pub(crate) async fn subscribe_to(&self, url: &str, event: EventType) -> EndpointId {
        let id = self.context.chance.id_bytes(self.clock.now());
        let new = NewSubscription {
            id: SubscriptionId::from_bytes(id),
            url: url.to_owned(),
            endpoint: EndpointId::from_bytes(id),
            secret: SigningSecret::from_random([FIRST_SECRET; 32]).into(),
            event,
            webinar: None,
            now: self.clock.now(),
        };
        self.store.subscribe(ACCOUNT, new).await.unwrap();
        EndpointId::from_bytes(id)
    }

    /// Changes how an endpoint is served.
    pub(crate) async fn serve(&self, endpoint: EndpointId, settings: EndpointSettings) {
        let change = EndpointChange::Serve(settings);
        self.store.change_endpoint(ACCOUNT, endpoint, change, self.clock.now()).await.unwrap().unwrap();
    }

    /// Gives an order to all fan-outs of an event.
    pub(crate) async fn steer(&self, event: EventId, steer: Steer) {
        let steered = self.store.steer(ACCOUNT, event, None, steer, self.clock.now()).await.unwrap().unwrap();
        assert_eq!(steered.fan_outs, 1);
    }

    /// Saves the next version of the one series.
    pub(crate) async fn save_series(&mut self) -> EventId {
        self.save_series_in("Asia/Kolkata", &Zones::bundled()).await
    }

    /// Saves the next version of the one series, in this zone by these rules.
    pub(crate) async fn save_series_in(&mut self, zone: &str, zones: &Zones) -> EventId {
        let (event, version) = self.save(SERIES, self.versions, (zone, zones)).await;
        self.versions = version;
        event
    }

    /// Saves the first version of a further series.
    pub(crate) async fn save_another_series_in(&mut self, zone: &str, zones: &Zones, number: u8) {
        self.save(SeriesId::from_bytes([number + 100; 12]), 0, (zone, zones)).await;
    }

    async fn save(&self, id: SeriesId, from_version: u32, (zone, zones): (&str, &Zones)) -> (EventId, u32) {
        let draft = SeriesDraft { timezone: zone.to_owned(), ..serde_json_draft(from_version) };
        let series = Series::parse(id, draft, zones).unwrap();
        let part = SeriesPart::render(series.sessions(), &["Gold"]);
        let id = EventId::from_bytes(self.context.chance.id_bytes(self.clock.now()));
        let event = NewEvent {
            id,
            event: EventType::WebinarCreatedRecurring,
            trigger: if from_version == 0 { Trigger::Created } else { Trigger::Updated },
            series_part: part.as_bytes().to_vec().into(),
            attendee_instant: part.attendee_instant(),
            tzdb_version: zones.version().to_owned(),
        };
        let now = self.clock.now();
        let save = SaveSeries { series, from_version, ending: Ending::GoesOn, event, now };
        (id, self.store.save_series(ACCOUNT, save).await.unwrap().version)
    }

    /// What a server does at its start: one turn of comparing what was announced with the bundled rules.
    pub(crate) async fn compare_rules(&self, updates: RuleUpdate) -> Turn {
        self.watcher(updates).turn().await.unwrap()
    }

    /// The same to its end.
    pub(crate) async fn compare_all_rules(&self, updates: RuleUpdate) {
        self.watcher(updates).run().await;
    }

    fn watcher(&self, updates: RuleUpdate) -> RuleWatcher {
        let store = Arc::new(self.store.clone());
        RuleWatcher::new(store, self.context.clone(), Zones::bundled(), updates, self.stop.subscribe())
    }

    /// Lets the lanes do everything that is due now.
    pub(crate) async fn work(&mut self) {
        loop {
            let started = self.supervisor.turn().await.unwrap();
            self.supervisor.settled().await;
            if started == 0 {
                return;
            }
        }
    }

    /// Sends a test webhook to an endpoint.
    pub(crate) async fn test(&self, endpoint: EndpointId) -> TestReport {
        let endpoint = self.store.endpoint(ACCOUNT, endpoint).await.unwrap().unwrap();
        TestSender::new(self.context.clone(), Zones::bundled()).send(&endpoint).await.unwrap()
    }

    /// Gives each replay that is due its turn.
    pub(crate) async fn turn_replays(&mut self) {
        self.replays.turn().await.unwrap();
    }

    /// The file of the store.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("world.db")
    }

    pub(crate) fn chance(&self) -> Arc<dyn Chance> {
        self.context.chance.clone()
    }

    /// Runs lanes and replays as a server does; the hint of the replays, and what stops both.
    pub(crate) fn run_in_the_background(&self) -> (Arc<Notify>, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        let hint = Arc::new(Notify::new());
        tokio::spawn(
            LaneSupervisor::new(self.context.clone(), NodeId::from_bytes([3; 16]), stopped.clone()).run(Duration::ZERO),
        );
        tokio::spawn(replay_turner(&self.store, &self.clock, &self.context, hint.clone(), stopped).run());
        (hint, stop)
    }

    /// Runs lanes as a node does that may have others beside it; what ends when it has stopped, and what stops it.
    pub(crate) fn run_among_others(&self, name: &str) -> (JoinHandle<()>, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        let node = LaneSupervisor::new(self.context.clone(), NodeId::from_bytes([4; 16]), stopped);
        let node = node.among(Arc::new(self.store.clone()), name.to_owned());
        (tokio::spawn(node.run(Duration::from_secs(30))), stop)
    }

    /// A process that takes over: it knows nothing but the store, and the old one's leases have ended.
    pub(crate) async fn restart(&mut self) {
        self.advance(60).await;
        let (stop, stopped) = watch::channel(false);
        self.stop = stop;
        self.replays = replay_turner(&self.store, &self.clock, &self.context, Arc::new(Notify::new()), stopped.clone());
        self.supervisor = LaneSupervisor::new(self.context.clone(), NodeId::from_bytes([2; 16]), stopped);
    }

    /// Starts what is due without waiting for its end; whether anything is.
    pub(crate) async fn start_work(&mut self) -> bool {
        self.supervisor.turn().await.unwrap() > 0
    }

    /// Erases a member by name.
    pub(crate) async fn erase(&self, name: &str) -> ErasureId {
        let number = name.split(' ').nth(1).unwrap();
        let id = ErasureId::from_bytes(self.context.chance.id_bytes(self.clock.now()));
        let erase = Erase { id, whom: Whom::Email(format!("person{number}@example.com")), now: self.clock.now() };
        let erased = self.store.erase(ACCOUNT, erase).await.unwrap().unwrap();
        assert_eq!(erased.participant, number.parse().ok());
        id
    }

    /// Waits until the lanes that were started have nothing more to do.
    pub(crate) async fn finish_work(&mut self) {
        self.supervisor.settled().await;
    }

    /// Sends the notices that are due now, and waits for what comes of them.
    pub(crate) async fn send_notices(&mut self) {
        self.start_notices().await;
        self.notices.settled().await;
    }

    /// Starts the notices that are due without waiting for their end.
    pub(crate) async fn start_notices(&mut self) {
        self.notices.turn().await.unwrap();
    }

    pub(crate) async fn advance(&mut self, seconds: i64) {
        self.clock.0.fetch_add(SignedDuration::from_secs(seconds).as_millis() as i64, Ordering::SeqCst);
    }

    pub(crate) async fn event(&self, id: EventId) -> EventSummary {
        self.store.event(ACCOUNT, id).await.unwrap().unwrap().summary
    }

    pub(crate) async fn deliveries(&self) -> Vec<DeliverySummary> {
        self.store.deliveries(ACCOUNT, DeliveryFilter::default(), None, 1000).await.unwrap().items
    }

    pub(crate) async fn deliveries_that_are(&self, status: DeliveryStatus) -> Vec<DeliverySummary> {
        let filter = DeliveryFilter { status: Some(status), ..DeliveryFilter::default() };
        self.store.deliveries(ACCOUNT, filter, None, 1000).await.unwrap().items
    }
}

fn vault(chance: &Arc<dyn Chance>) -> Vault {
    Vault::new([SealingKey::from_bytes([1; 32])], chance.clone()).unwrap()
}

fn replay_turner(
    store: &SqliteStore,
    clock: &Arc<HandClock>,
    context: &Context,
    hint: Arc<Notify>,
    stopped: watch::Receiver<bool>,
) -> ReplayTurner {
    ReplayTurner::new(Arc::new(store.clone()), clock.clone(), hint, context.hint.clone(), stopped)
}

fn serde_json_draft(version: u32) -> SeriesDraft {
    SeriesDraft {
        title: format!("Design clinic {version}"),
        link: "https://meet.example.com/abc".into(),
        timezone: "Asia/Kolkata".into(),
        start: "2026-12-04T15:30".into(),
        duration_minutes: 60,
        recurrence: Some("FREQ=WEEKLY;COUNT=3".into()),
        except: vec![],
        overrides: vec![],
        mangoes: vec![MANGO.to_string()],
        exclude_mangoes: vec![],
        late_joiners: webinar::LateJoiners::Wait,
    }
}
