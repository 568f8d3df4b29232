//! The network between lanes and receivers: requests travel by themselves, so one whose sender has died or given up may
//! still arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use egress::{Answer, Exchange, Failure as EgressFailure, FailureKind};
use http::HeaderMap;
use jiff::Timestamp;
use provider::attempt::{Failure, Outcome, Phases};
use provider::target::TargetUrl;
use store::Clock;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use wire::{EndpointId, KeyRing, SigningSecret};
use workers::{Outbound, Posting, Way};

use crate::machine::Run;
use crate::oracle::{Key, Request, SessionNumber};
use crate::receiver::{Asked, NO_ANSWER, Reply};
use crate::simulation::{Simulation, UnderWay};
use crate::sometimes::Sometimes;

/// The network as one process sees it.
pub(crate) struct Network {
    simulation: Arc<Simulation>,
    run: Arc<Run>,
}

impl Network {
    pub(crate) fn new(simulation: Arc<Simulation>, run: Arc<Run>) -> Network {
        Network { simulation, run }
    }
}

/// The id of the endpoint that stands at this place in the options.
pub(crate) fn endpoint_id(place: usize) -> EndpointId {
    EndpointId::from_bytes([0xe0 + place as u8; 16])
}

pub(crate) fn url(place: usize) -> String {
    format!("https://receiver-{place}.example/hook")
}

pub(crate) fn secret(place: usize) -> SigningSecret {
    SigningSecret::from_random([place as u8 + 1; 32])
}

impl Outbound for Network {
    fn way_to(&self, url: &TargetUrl) -> Option<Arc<dyn Way>> {
        let place = url.host_text().strip_prefix("receiver-")?.strip_suffix(".example")?.parse().ok()?;
        let session = self.run.session(endpoint_id(place))?;
        let keys = KeyRing::new([secret(place)]).ok()?;
        let (simulation, run) = (self.simulation.clone(), self.run.clone());
        Some(Arc::new(SimulatedWay { simulation, run, place, session, keys, posts: AtomicU64::new(0) }))
    }
}

/// The way of one owner of a lane to its endpoint.
struct SimulatedWay {
    simulation: Arc<Simulation>,
    run: Arc<Run>,
    place: usize,
    session: SessionNumber,
    keys: KeyRing,
    posts: AtomicU64,
}

impl SimulatedWay {
    /// The store's clock, where leases run on it and this machine could tell that one was over.
    fn lease_now(&self) -> Option<Timestamp> {
        let simulation = &self.simulation;
        let counts = simulation.options.has_own_clock() && self.run.clock.is_to_be_trusted();
        counts.then(|| simulation.now())
    }
}

impl Way for SimulatedWay {
    fn post(&self, headers: HeaderMap, body: Bytes, total: Duration) -> Posting {
        if !self.run.is_alive() || self.simulation.is_broken() {
            return Box::pin(std::future::pending());
        }
        let simulation = &self.simulation;
        simulation.stir();
        let request = Request {
            session: self.session,
            endpoint: endpoint_id(self.place),
            headers: &headers,
            body: &body,
            keys: &self.keys,
            now: self.run.clock.now(),
            latest: self.run.clock.latest(),
            lease_now: self.lease_now(),
        };
        let sent = simulation.oracle().sent(&request);
        let key = match sent {
            Ok(key) => key,
            Err(broken) => {
                simulation.require(Err(broken));
                return Box::pin(std::future::pending());
            }
        };
        let post = self.posts.fetch_add(1, Ordering::Relaxed);
        simulation.note("sent", &[self.place as u64, key.1, self.session.0 as u64, post], || format!("{}", key.0));
        if !simulation.oracle().is_first_attempt(key) {
            simulation.saw(Sometimes::Retried);
        }
        let (reply, replied) = oneshot::channel();
        tokio::spawn(travel(simulation.clone(), self.run.clone(), (self.place, key), reply));
        let flight = Flight {
            simulation: simulation.clone(),
            run: self.run.clone(),
            session: self.session,
            place: self.place,
            key,
            has_ended: false,
            _under_way: simulation.begin_call(),
        };
        Box::pin(flight.wait(replied, total))
    }
}

/// A request on its way there, and its answer on its way back.
async fn travel(
    simulation: Arc<Simulation>,
    run: Arc<Run>,
    (place, key): (usize, Key),
    reply: oneshot::Sender<(Reply, Duration)>,
) {
    run.plight.thawed().await;
    let transit = simulation.receivers()[place].transit(&mut simulation.dice());
    let started = Instant::now();
    pass(transit).await;
    if reply.is_closed() {
        if simulation.dice().one_in(2) {
            return;
        }
        simulation.saw(Sometimes::Late);
    }
    let reaction = simulation.receivers()[place].react(&mut simulation.dice(), key.0, key.1);
    simulation.note("arrived", &[place as u64, key.1, u64::from(reaction.has_acted)], || {
        format!("{} {:?}", key.0, reaction.reply)
    });
    if let Some(seen) = reaction.seen {
        simulation.saw(seen);
    }
    if reaction.has_acted && simulation.oracle().acted(key) {
        simulation.saw(Sometimes::Duplicate);
    }
    pass(reaction.after).await;
    match reaction.reply {
        // Nobody answers; the connection stays open.
        Reply::Silence => reply_never(reply).await,
        said => drop(reply.send((said, started.elapsed()))),
    }
}

async fn reply_never(mut reply: oneshot::Sender<(Reply, Duration)>) {
    reply.closed().await;
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// A request in flight, as its sender sees it.
struct Flight {
    simulation: Arc<Simulation>,
    run: Arc<Run>,
    session: SessionNumber,
    place: usize,
    key: Key,
    has_ended: bool,
    _under_way: UnderWay,
}

impl Flight {
    async fn wait(mut self, replied: oneshot::Receiver<(Reply, Duration)>, total: Duration) -> Exchange {
        let (reply, took) = match timeout(total, replied).await {
            Ok(Ok(replied)) => replied,
            // Without a reply the traveller holds the line; a lost one is the end of the world, which nobody sees.
            Ok(Err(_)) | Err(_) => (Reply::Break(NO_ANSWER), total),
        };
        self.run.plight.thawed().await;
        self.end(reply);
        let result = match reply {
            Reply::Answer(status, Asked { text, .. }) => {
                Ok(Answer { status, retry_after: text.map(str::to_owned), location: None, body_head: Bytes::new() })
            }
            Reply::Break(kind) => Err(EgressFailure { kind, reason: "simulated".into(), detail: String::new() }),
            Reply::Silence => std::future::pending().await,
        };
        Exchange { result, phases: Phases { total: took, ..Phases::default() }, peer: None }
    }

    fn end(&mut self, reply: Reply) {
        self.has_ended = true;
        let (outcome, asked) = outcome(reply);
        let number = u64::from(outcome.number());
        self.simulation
            .note("answered", &[self.place as u64, self.key.1, number], || format!("{} {outcome}", self.key.0));
        let now = self.run.clock.now();
        if self.simulation.oracle().answered(self.session, self.key, (outcome, asked), now) {
            self.simulation.saw(Sometimes::Opened);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.has_ended || self.simulation.is_over() {
            return;
        }
        let dropped = self.simulation.oracle().dropped(self.session, self.key);
        if self.run.is_alive() && self.run.may_drop() {
            self.simulation.saw(Sometimes::StoppedShort);
        }
        if !self.run.may_drop() {
            self.simulation.require(dropped);
        }
    }
}

fn outcome(reply: Reply) -> (Outcome, u64) {
    match reply {
        Reply::Answer(status, asked) => (Outcome::Answered(status), asked.seconds),
        Reply::Break(kind) => (Outcome::Failed(failure(kind)), 0),
        Reply::Silence => (Outcome::Failed(Failure::Timeout), 0),
    }
}

fn failure(kind: FailureKind) -> Failure {
    match kind {
        FailureKind::Dns => Failure::Dns,
        FailureKind::InvalidTarget => Failure::ForbiddenTarget,
        FailureKind::Connect => Failure::Connect,
        FailureKind::Tls => Failure::Tls,
        FailureKind::Timeout(_) => Failure::Timeout,
        FailureKind::ConnectionLost => Failure::ConnectionLost,
        FailureKind::BadAnswer | FailureKind::TooLarge => Failure::BadAnswer,
    }
}
