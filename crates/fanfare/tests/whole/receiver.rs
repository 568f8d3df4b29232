//! A receiver that answers 200 and counts how often each message id came, for which event.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

/// Copies of each message, by fan-out and message id.
pub(crate) type Copies = BTreeMap<String, BTreeMap<String, usize>>;

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    /// How long it takes to answer.
    takes: Duration,
    copies: Arc<Mutex<Copies>>,
    /// When each message of a fan-out came, in order.
    times: Arc<Mutex<BTreeMap<String, Vec<Instant>>>>,
    /// By event and trigger.
    bodies: Arc<Mutex<BTreeMap<(String, String), Bytes>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
        Receiver::that_takes(Duration::ZERO).await
    }

    /// One that answers only after this time.
    pub(crate) async fn that_takes(takes: Duration) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver {
            address: listener.local_addr().unwrap(),
            takes,
            copies: Arc::default(),
            times: Arc::default(),
            bodies: Arc::default(),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let receiver = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| receiver.clone().count(request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        receiver
    }

    pub(crate) fn copies(&self) -> Copies {
        self.copies.lock().unwrap().clone()
    }

    /// When messages came, by fan-out.
    pub(crate) fn times(&self) -> BTreeMap<String, Vec<Instant>> {
        self.times.lock().unwrap().clone()
    }

    /// The newest body of this event and trigger; notices have no trigger.
    pub(crate) fn body_of(&self, event: &str, trigger: &str) -> Option<Bytes> {
        self.bodies.lock().unwrap().get(&(event.to_owned(), trigger.to_owned())).cloned()
    }

    async fn count(self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
        let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (fan_out, id) = (header("fanfare-fanout"), header("webhook-id"));
        let kind = (header("fanfare-event"), header("fanfare-trigger"));
        // A sender that is killed midway has not sent it.
        if let Ok(body) = request.into_body().collect().await {
            self.times.lock().unwrap().entry(fan_out.clone()).or_default().push(Instant::now());
            *self.copies.lock().unwrap().entry(fan_out).or_default().entry(id).or_default() += 1;
            self.bodies.lock().unwrap().insert(kind, body.to_bytes());
        }
        sleep(self.takes).await;
        Ok(Response::new(Empty::new()))
    }
}
