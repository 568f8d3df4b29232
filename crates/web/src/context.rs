//! What every request is answered with: the store, time and chance, and the settings. Made once by the binary.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use provider::attempt::TestReport;
use provider::target::TargetPolicy;
use receiver::CalendarToken;
use store::{Chance, Clock, Endpoint, Store, StoreResult};
use tokio::sync::Notify;
use webinar::Zones;

use crate::ConfiguredSources;

/// Says whether this process can do its work now: what `/readyz` asks. An error is shown to whoever may read logs.
pub type ReadinessCheck = Arc<dyn Fn() -> BoxFuture<'static, StoreResult<()>> + Send + Sync>;

/// Sends one test webhook to an endpoint, now, and tells what came of it.
pub type TestSend = Arc<dyn Fn(Endpoint) -> BoxFuture<'static, StoreResult<TestReport>> + Send + Sync>;

/// Writes the calendar with this token, in iCalendar; `None` where there is none.
pub type CalendarFeed = Arc<dyn Fn(CalendarToken) -> BoxFuture<'static, StoreResult<Option<String>>> + Send + Sync>;

/// What the HTTP half of a process is given.
#[derive(Clone)]
pub struct Context {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids and secrets.
    pub chance: Arc<dyn Chance>,
    /// The tz database in use.
    pub zones: Zones,
    /// Which URLs may be registered.
    pub targets: Arc<TargetPolicy>,
    /// Poked after a save, so that lanes need not wait for their next poll. Only a hint.
    pub lanes_hint: Arc<Notify>,
    /// Poked when a replay of failed deliveries starts or goes on. Only a hint.
    pub replays_hint: Arc<Notify>,
    /// Poked when a message was accepted or is to be handled again. Only a hint.
    pub runs_hint: Arc<Notify>,
    /// How test webhooks are sent; `None` where this process delivers nothing.
    pub test_send: Option<TestSend>,
    /// Sources of the settings file, beside those of the database.
    pub configured_sources: ConfiguredSources,
    /// How calendars are written; `None` where no handler keeps any.
    pub calendar_feed: Option<CalendarFeed>,
    /// What `/readyz` asks.
    pub readiness: ReadinessCheck,
    /// What is served, and within which limits.
    pub settings: WebSettings,
}

/// What is served, and within which limits. The default is everything, with the page behind a key.
#[derive(Clone, Debug, Default)]
pub struct WebSettings {
    /// Who may see the page at `/`.
    pub dashboard: Dashboard,
    /// Which halves are served.
    pub halves: Halves,
    /// Bounds on what a client may make us hold or wait for.
    pub limits: Limits,
}

/// Who may see the page at `/`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dashboard {
    /// Whoever reaches it sees all accounts: for a demo or a machine of one's own.
    Open,
    /// HTTP Basic with an API key as the password; shows that key's account.
    #[default]
    Keyed,
}

/// Which halves are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Halves {
    /// Provider and receiver.
    #[default]
    Both,
    /// Series, audiences, subscriptions and deliveries only.
    Provider,
    /// Sources and the inbox only.
    Receiver,
}

/// Bounds on what a client may make us hold or wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. Beyond it new ones wait in the system's backlog: idle ones go after
    /// [`header_time`](Limits::header_time), so the wait is short, and a burst of senders is not refused.
    pub connections: usize,
    /// From a connection's start, or its last answer, to the end of the next request's head: bounds the first byte,
    /// slow heads and idle connections alike.
    pub header_time: Duration,
    /// For a whole body of the inbox or of the JSON routes, and for each silence within a streamed member list.
    pub body_time: Duration,
    /// In each span of this length a client has to take a part of an answer that waits for it (16 KiB).
    pub answer_time: Duration,
    /// The largest body of the inbox and of the JSON routes, bytes. Payloads of a long daily series are about 34 KB.
    pub body_bytes: usize,
    /// Bytes of unfinished bodies in memory at once, over all connections. Beyond it the answer is 503.
    pub unfinished_bytes: usize,
    /// Messages that one request with an order to a handler looks at; the next request goes on where it ended.
    pub order_messages: usize,
    /// How long requests under way may take to finish after the signal to stop.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 8_192,
            header_time: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
            answer_time: Duration::from_secs(10),
            body_bytes: 1024 * 1024,
            unfinished_bytes: 256 * 1024 * 1024,
            // Some seconds at most, well within what clients wait.
            order_messages: 20_000,
            drain_time: Duration::from_secs(35),
        }
    }
}

impl Halves {
    pub(crate) fn have_provider(self) -> bool {
        matches!(self, Halves::Both | Halves::Provider)
    }

    pub(crate) fn have_receiver(self) -> bool {
        matches!(self, Halves::Both | Halves::Receiver)
    }
}
