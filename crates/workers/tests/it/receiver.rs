//! A receiver on loopback that answers as it is told and remembers what it got.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// One webhook as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) id: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Arrived {
    pub(crate) fn name(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.split('"').nth(3).unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

type Script = dyn Fn(&Arrived) -> Answer + Send + Sync;

/// What to answer.
pub(crate) enum Answer {
    Status(u16),
    /// 503 with this `Retry-After`.
    ComeBackIn(&'static str),
    /// 301 to this place.
    Elsewhere(&'static str),
    /// 200, once this holds `true`.
    When(watch::Receiver<bool>),
    /// This status, once that holds `true`.
    StatusWhen(u16, watch::Receiver<bool>),
    /// 200, once it may: each takes a permit.
    WhenPermitted(Arc<Semaphore>),
    /// Never.
    Nothing,
}

/// A receiver; the connection ends with the process.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    script: Arc<Mutex<Arc<Script>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let always_ok: Arc<Script> = Arc::new(|_: &Arrived| Answer::Status(200));
        let receiver = Receiver {
            address: listener.local_addr().unwrap(),
            arrived: Arc::default(),
            script: Arc::new(Mutex::new(always_ok)),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let receiver = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| receiver.clone().answer(request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        receiver
    }

    pub(crate) fn answers(&self, script: impl Fn(&Arrived) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Waits until so many webhooks have come.
    pub(crate) async fn has_got(&self, count: usize) {
        let all_came = async {
            while self.arrived.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        };
        let patience = std::time::Duration::from_secs(30);
        tokio::time::timeout(patience, all_came).await.unwrap_or_else(|_| panic!("{count} webhooks did not come"));
    }

    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }

    /// How often each message id came.
    pub(crate) fn copies(&self) -> BTreeMap<String, usize> {
        let mut copies = BTreeMap::new();
        for arrived in self.arrived() {
            *copies.entry(arrived.id).or_default() += 1;
        }
        copies
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let headers: BTreeMap<String, String> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let body = request.into_body().collect().await.unwrap().to_bytes().to_vec();
        let arrived = Arrived { id: headers["webhook-id"].clone(), headers, body };
        let script = self.script.lock().unwrap().clone();
        let answer = script(&arrived);
        self.arrived.lock().unwrap().push(arrived);
        let response = Response::builder();
        let response = match answer {
            Answer::Status(status) => response.status(status),
            Answer::ComeBackIn(wait) => response.status(503).header("retry-after", wait),
            Answer::Elsewhere(place) => response.status(301).header("location", place),
            Answer::When(gate) => opened(gate, response).await.status(200),
            Answer::StatusWhen(status, gate) => opened(gate, response).await.status(status),
            Answer::WhenPermitted(gate) => {
                gate.acquire().await.unwrap().forget();
                response.status(200)
            }
            Answer::Nothing => std::future::pending().await,
        };
        Ok(response.body(Full::default()).unwrap())
    }
}

async fn opened<T>(mut gate: watch::Receiver<bool>, answer: T) -> T {
    gate.wait_for(|is_open| *is_open).await.unwrap();
    answer
}
