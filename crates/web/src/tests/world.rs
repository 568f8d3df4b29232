//! A server without sockets: the router over a database in a temporary directory, a clock that stands still, and two
//! accounts that should never see each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use provider::api_key::ApiKey;
use provider::attempt::{Failure, FailureDetail, Outcome, Phases, Reason};
use provider::frontier::Place;
use provider::segment::{Entry, Segment};
use provider::target::TargetPolicy;
use receiver::HandlerStart;
use serde_json::{Value, json};
use store::{
    Account, Accounts, Chance, Clock, DisabledBecause, Exception, ExceptionState, FailedAttempt, Lanes, NewNotice,
    Notices, RunSettlement, RunState, Runs, SealingKey, SettledRun, Settlement, Vault,
};
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::sync::Notify;
use tower::ServiceExt;
use webinar::Zones;
use wire::{AccountId, InboxMessageId, NodeId, NoticeId};

use crate::app::App;
use crate::ingest::Ingest;
use crate::{ConfiguredSources, Context, Dashboard, WebSettings};

/// A clock that moves only when told.
pub(crate) struct StandingClock(Mutex<Timestamp>);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Bytes that never repeat.
struct Counter(AtomicU64);

impl Chance for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let mixed = (count + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            piece.copy_from_slice(&mixed[..piece.len()]);
        }
    }
}

pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) store: SqliteStore,
    clock: Arc<StandingClock>,
    pub(crate) account: AccountId,
    /// The key of `account`.
    pub(crate) key: String,
    _directory: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks the status; the body as JSON.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// Checks that it is a problem at these places of the body.
    #[track_caller]
    pub(crate) fn refuses(self, status: u16, pointers: &[&str]) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let json = self.json();
        assert_eq!(json["status"], status);
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        let found: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
        assert_eq!(found, pointers, "{json}");
        json["detail"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(WebSettings { dashboard: Dashboard::Open, ..WebSettings::default() }).await
    }

    pub(crate) async fn with(settings: WebSettings) -> World {
        let directory = TempDir::new().unwrap();
        let chance: Arc<dyn Chance> = Arc::new(Counter(AtomicU64::new(0)));
        let vault = Vault::new([SealingKey::from_bytes([1; 32])], chance.clone()).unwrap();
        let store = SqliteStore::open(&directory.path().join("test.db"), Zones::bundled(), vault).unwrap();
        let clock = Arc::new(StandingClock(Mutex::new("2024-03-01T10:00:00Z".parse().unwrap())));
        let context = Context {
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            chance,
            zones: Zones::bundled(),
            targets: Arc::new(TargetPolicy::default()),
            lanes_hint: Arc::new(Notify::new()),
            replays_hint: Arc::new(Notify::new()),
            runs_hint: Arc::new(Notify::new()),
            test_send: None,
            configured_sources: ConfiguredSources::default(),
            calendar_feed: None,
            readiness: Arc::new(|| Box::pin(async { Ok(()) })),
            settings,
        };
        let account = AccountId::from_u32(1);
        let mut world = World { context, store, clock, account, key: String::new(), _directory: directory };
        world.key = world.add_account(account, "Asha's school").await;
        world
    }

    /// Another account; its key.
    pub(crate) async fn another_account(&self) -> String {
        self.add_account(AccountId::from_u32(2), "Bo's school").await
    }

    async fn add_account(&self, id: AccountId, name: &str) -> String {
        let key = ApiKey::from_chance(self.context.chance.bytes(), self.context.chance.bytes());
        let created_at = self.clock.now();
        let account = Account { id, name: name.to_owned(), timezone: "Asia/Kolkata".to_owned(), created_at };
        self.store.create_account(account, key.to_stored()).await.unwrap();
        key.reveal().to_owned()
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.clock.0.lock().unwrap() += by;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        World::send_to(crate::router(self.context.clone()), request).await
    }

    /// A request to a router that has been serving for a while.
    pub(crate) async fn send_to(router: axum::Router, request: Request<Body>) -> Answer {
        let response = router.oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: head.status, headers: head.headers, text }
    }

    /// A webhook to the inbox, which takes it.
    pub(crate) async fn receive(&self, request: Request<Body>) {
        let ingest = Ingest::new(App::new(self.context.clone()));
        assert_eq!(ingest.answer(request).await.status(), 200);
    }

    /// A request of the first account, without a body.
    pub(crate) async fn call(&self, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header("x-api-key", &self.key);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).await
    }

    /// A request of the first account with a JSON body.
    pub(crate) async fn call_with(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("x-api-key", &self.key);
        let request = request.header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call_with("POST", path, body).await
    }

    /// A member list of the first account.
    pub(crate) async fn post_list(&self, path: &str, media: &str, list: &str) -> Answer {
        let request = Request::post(path).header("x-api-key", &self.key).header("content-type", media);
        self.send(request.body(Body::from(list.to_owned())).unwrap()).await
    }

    /// A mango with so many members `p1@example.com`, …; its id.
    pub(crate) async fn mango_of(&self, members: usize) -> String {
        let mango = self.post("/api/v1/mangoes", json!({"name": "Gold"})).await.is(201);
        let id = mango["id"].as_str().unwrap().to_owned();
        let lines: String = (1..=members).map(|n| format!("Person {n},p{n}@example.com,,+05:30\n")).collect();
        let path = format!("/api/v1/mangoes/{id}/members");
        let list = format!("name,email,phone,timezone\n{lines}");
        self.post_list(&path, "text/csv", &list).await.is(200);
        id
    }

    /// A receiver of announcements of series; the registration's result.
    pub(crate) async fn receiver(&self) -> Value {
        let body = json!({"hookUrl": "https://receiver.example/hook?secret=s", "event": "webinar.created.recurring"});
        self.post("/api/v1/integration/webhook/webhook", body).await.is(200)["result"].clone()
    }

    /// A notice that this endpoint is disabled; its id.
    pub(crate) async fn notice_of(&self, endpoint: &str) -> String {
        let now = self.clock.now();
        let id = NoticeId::from_bytes(self.context.chance.id_bytes(now));
        let notice = NewNotice::endpoint_disabled(id, endpoint.parse().unwrap(), DisabledBecause::Gone, now);
        self.store.raise_notice(self.account, notice).await.unwrap();
        id.to_string()
    }

    /// Makes a handler known that has come to these ends with the first of these messages, and no further.
    pub(crate) async fn handled(&self, name: &str, messages: &[String], ends: Vec<RunState>) {
        let (store, now, node) = (&self.store, self.clock.now(), NodeId::from_bytes([7; 16]));
        store.introduce_handler(self.account, name, HandlerStart::Oldest).await.unwrap();
        let lease = store.claim_handler(self.account, name, node, now, Duration::from_secs(30)).await;
        let lease = lease.unwrap().expect("nobody else has it");
        let numbers = messages.iter().map(|id| id.parse::<InboxMessageId>().unwrap().as_u64());
        let run = |(number, state)| SettledRun { number, attempts: 1, generation: 0, state, handled: None };
        let runs: Vec<_> = numbers.zip(ends).map(run).collect();
        let cursor = runs.last().map_or(0, |run| run.number);
        store.settle_runs(&lease, RunSettlement { cursor, runs, now }).await.unwrap();
    }

    /// Saves a weekly series for the members of a mango; the answer.
    pub(crate) async fn weekly_series(&self, mango: &str) -> Value {
        self.post("/api/v1/webinars", weekly(mango)).await.is(201)
    }

    /// Lets the first participant of everything announced be delivered, the second wait for a retry, and the third be
    /// given up; the rest are not reached.
    pub(crate) async fn deliver_to_three(&self) {
        let now = self.clock.now();
        let node = NodeId::from_bytes([9; 16]);
        let connect = Some(Duration::from_micros(1_234));
        let phases = Phases { connect, total: Duration::from_micros(12_340), ..Phases::default() };
        for lease in self.store.claim(node, now, Duration::from_secs(30), store::Room::of(10)).await.unwrap() {
            let work = self.store.work(lease).await.unwrap();
            for fan_out in work.fan_outs.iter().map(|work| &work.fan_out) {
                let page = self.store.audience_page(lease.account, fan_out.id, Place::default(), 3).await.unwrap();
                let places: Vec<Place> = page.iter().map(store::Member::place).collect();
                let [first, second, third] = places.try_into().expect("an audience of three");
                let entry = |place: Place, outcome| Entry {
                    participant: place.participant,
                    attempt: 1,
                    outcome,
                    finished_ms: now.as_millisecond(),
                    latency_tenth_ms: 123,
                };
                let timeout = Outcome::Failed(Failure::Timeout);
                let entries = vec![
                    entry(first, Outcome::Answered(200)),
                    entry(second, timeout),
                    entry(third, Outcome::Answered(404)),
                ];
                let exception =
                    |place, state, outcome| Exception { fan_out: fan_out.id, place, state, last: Some((outcome, now)) };
                let failed = |place: Place, reason| FailedAttempt {
                    fan_out: fan_out.id,
                    participant: place.participant,
                    attempt: 1,
                    finished_at: now,
                    detail: FailureDetail { phases, reason: Reason::of_text(reason) },
                };
                let due = now + Duration::from_secs(5);
                let settlement = Settlement {
                    segments: vec![(fan_out.id, Segment::pack(entries).unwrap())],
                    cursors: vec![(fan_out.id, third)],
                    exceptions: vec![
                        exception(second, ExceptionState::Retrying { due, attempt: 2, charged: 1 }, timeout),
                        exception(third, ExceptionState::Abandoned { attempts: 1 }, Outcome::Answered(404)),
                    ],
                    failures: vec![failed(second, "no answer head within 30 s"), failed(third, "HTTP 404")],
                    delivered: vec![(fan_out.id, 1)],
                    ..Settlement::default()
                };
                self.store.settle(lease, Arc::new(settlement)).await.unwrap();
            }
            self.store.release(lease, now).await.unwrap();
        }
    }
}

/// Four Fridays.
pub(crate) fn weekly(mango: &str) -> Value {
    json!({
        "title": "Introduction to Digital Marketing", "link": "https://meet.google.com/abc-defg-hij",
        "timezone": "Asia/Kolkata", "start": "2024-03-15T15:30", "durationMinutes": 60,
        "recurrence": "FREQ=WEEKLY;BYDAY=FR;COUNT=4", "mangoes": [mango]
    })
}
