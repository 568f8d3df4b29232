//! Receivers that do exactly what a test says, and the way out set up to reach them.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use provider::target::TargetPolicy;

use crate::{Addresses, Egress, Exchange, Limits, Origin, Resolve, client_config};

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Far more than any test takes, so that only the limit under test can end it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listener whose every connection runs a script.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Receiver {
    pub(super) fn run(script: impl Fn(Visit) + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", script)
    }

    /// A receiver that should never be reached.
    pub(super) fn canary(address: &str) -> Self {
        Self::listen(address, |_| ())
    }

    /// Answers each request of each connection with `answer`.
    pub(super) fn that_answers(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::run(move |mut visit| {
            while visit.read_request().is_some() {
                visit.write(&answer);
            }
        })
    }

    /// Answers the first request with `answer`, then closes.
    pub(super) fn that_answers_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::run(move |mut visit| {
            visit.read_request();
            visit.write(&answer);
        })
    }

    fn listen(address: &str, script: impl Fn(Visit) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        let script = Arc::new(script);
        thread::spawn(move || {
            for stream in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                let visit = Visit { stream: stream.unwrap() };
                let script = script.clone();
                thread::spawn(move || script(visit));
            }
        });
        Self { address, accepted }
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }
}

/// One accepted connection.
pub(super) struct Visit {
    pub(super) stream: TcpStream,
}

impl Visit {
    /// The next request, head and body, or nothing once the caller has closed.
    pub(super) fn read_request(&mut self) -> Option<String> {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            if self.stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            request.push(byte[0]);
        }
        let head = String::from_utf8(request).unwrap();
        let length: usize = head.split("content-length: ").nth(1)?.split('\r').next()?.parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some(head + &String::from_utf8(body).unwrap())
    }

    /// The head of the next request, for those without a body.
    pub(super) fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && self.stream.read(&mut byte).is_ok_and(|count| count > 0) {
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// Whether the caller was still there to read it.
    pub(super) fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub(super) fn write_nothing_more(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Returns once the caller has closed.
    pub(super) fn wait_for_close(&mut self) {
        let mut byte = [0];
        while self.stream.read(&mut byte).is_ok_and(|count| count > 0) {}
    }

    /// Writes one byte every few milliseconds until the caller closes.
    pub(super) fn drip(&mut self, byte: u8) {
        self.stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        while self.write(&[byte]) && self.stream.read(&mut [0]).is_err() {}
    }
}

/// Answers lookups in the order given, then never again.
pub(super) struct ScriptedNames {
    answers: Mutex<VecDeque<Result<Vec<IpAddr>, &'static str>>>,
    asked: AtomicUsize,
}

impl ScriptedNames {
    pub(super) fn new(answers: &[Result<&[&str], &'static str>]) -> Arc<Self> {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let answers = answers.iter().map(|answer| answer.map(parse)).collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for ScriptedNames {
    fn resolve<'a>(&'a self, _name: &'a str) -> Addresses<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            match answer {
                Some(answer) => answer.map_err(Into::into),
                None => std::future::pending().await,
            }
        })
    }
}

/// Limits under which only what a test shortens can end an attempt.
pub(super) fn patient() -> Limits {
    Limits { total: PATIENCE, dns: PATIENCE, connect: PATIENCE, tls: PATIENCE, idle_age: PATIENCE, ..Limits::default() }
}

/// An attempt that waits for the total limit waits this long.
pub(super) fn hurried() -> Limits {
    Limits { total: Duration::from_millis(100), ..patient() }
}

pub(super) fn allowing(rules: &[&str]) -> TargetPolicy {
    TargetPolicy { allow: rules.iter().map(|rule| rule.parse().unwrap()).collect(), ..TargetPolicy::default() }
}

pub(crate) fn roots(certificates: &[&[u8]]) -> rustls::RootCertStore {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.to_vec().into()).unwrap();
    }
    roots
}

/// An egress that may reach all of 127.0.0.0/8.
pub(super) fn egress(limits: Limits, names: Arc<ScriptedNames>) -> Egress {
    let stranger = super::tls::Identity::of("stranger.example.com");
    let config = client_config(roots(&[&stranger.certificate])).unwrap();
    Egress::with_tls(allowing(&["127.0.0.0/8"]), limits, names, config)
}

/// The way to one receiver, by its address.
pub(super) fn origin(receiver: &Receiver, limits: Limits) -> Origin {
    origin_of(&egress(limits, ScriptedNames::new(&[])), &receiver.url())
}

pub(super) fn origin_of(egress: &Egress, url: &str) -> Origin {
    let url = egress.policy().parse(url).unwrap();
    egress.origin(&url).unwrap()
}

pub(super) async fn post(origin: &Origin) -> Exchange {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "msg_1".parse().unwrap());
    origin.post(headers, Bytes::from_static(b"{\"n\":1}"), PATIENCE).await
}

pub(super) async fn status(origin: &Origin) -> u16 {
    post(origin).await.result.unwrap().status
}
