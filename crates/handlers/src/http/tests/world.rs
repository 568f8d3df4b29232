use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver as Requests, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use egress::{Addresses, Egress, Limits, Resolve};
use provider::target::TargetPolicy;
use receiver::reading::OtherEvent;
use receiver::{KeptHeaders, Reading};
use serde_json::{Value, json};
use wire::{AccountId, InboxMessageId, SourceId};

use crate::{Job, JobMessage};

/// A receiver on loopback that gives the same answer to everybody and remembers what it was asked.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: Mutex<Requests<String>>,
    connections: Arc<Mutex<usize>>,
}

impl Receiver {
    pub(crate) fn that_answers(answer: &str) -> Receiver {
        let answer = answer.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::<Mutex<usize>>::default();
        let (sender, requests) = channel();
        let counter = connections.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                *counter.lock().unwrap() += 1;
                let (mut stream, sender, answer) = (stream.unwrap(), sender.clone(), answer.clone());
                thread::spawn(move || {
                    while let Some(request) = read_request(&mut stream) {
                        let _ = sender.send(request);
                        if answer.is_empty() || stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Receiver { address, requests: Mutex::new(requests), connections }
    }

    pub(crate) fn that_answers_status(status: u16, body: &str) -> Receiver {
        Receiver::that_answers(&answer(status, "", body))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn next_request(&self) -> String {
        self.requests.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap()
    }

    pub(crate) fn got_nothing(&self) -> bool {
        self.requests.lock().unwrap().try_recv().is_err()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

/// An answer with further heads, each ending in CR LF.
pub(crate) fn answer(status: u16, heads: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Whatever\r\n{heads}content-length: {}\r\n\r\n{body}", body.len())
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let length =
        head.split("content-length: ").nth(1).map_or(0, |rest| rest.split('\r').next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}

/// A way out that may reach 127.0.0.0/8 and whose names all lead to 10.0.0.1.
pub(crate) fn egress() -> Egress {
    let policy = TargetPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], ..TargetPolicy::default() };
    let limits = Limits { total: Duration::from_millis(1500), ..Limits::default() };
    Egress::new(policy, limits, Arc::new(PrivateNames)).unwrap()
}

struct PrivateNames;

impl Resolve for PrivateNames {
    fn resolve<'a>(&'a self, _name: &'a str) -> Addresses<'a> {
        Box::pin(async { Ok(vec!["10.0.0.1".parse().unwrap()]) })
    }
}

/// A message as it came, of no known shape.
pub(crate) fn job_of(body: &[u8], headers: &str, message_id: Option<&str>) -> Job {
    let message = JobMessage {
        id: InboxMessageId::from_u64(7),
        source: SourceId::from_bytes([1; 16]),
        source_name: "tagmango".into(),
        message_id: message_id.map(str::to_owned),
        received_at: "2026-03-01T10:00:00Z".parse().unwrap(),
        headers: KeptHeaders::from_text(headers.to_owned()),
        body: Bytes::copy_from_slice(body),
        reading: Reading::Other(OtherEvent { event: Some("webinar.created.recurring".to_owned()) }),
    };
    Job {
        account: AccountId::from_u32(1),
        handler: "crm".into(),
        message: Arc::new(message),
        attempt: 1,
        generation: 0,
        now: "2026-03-01T10:00:01Z".parse().unwrap(),
    }
}

pub(crate) fn job() -> Job {
    job_of(br#"{"name":"Ana"}"#, "content-type: application/json\n", Some("msg_1"))
}

/// The event as a webinar's reading gives it.
pub(crate) fn event() -> Value {
    json!({
        "event": "webinar.created.recurring", "trigger": "created", "test": false,
        "person": { "name": "Ana\r\nX-Evil: 1 \"q\"", "email": "ana@x.org", "phone": "+4915112345678",
                    "phoneDigits": "4915112345678", "offset": "+01:00" },
        "series": { "id": "0123", "version": 2 },
        "sessions": [{ "id": "634f", "title": "Design & clinic", "link": "https://meet.example/a", "durationMinutes": 60 }],
        "mangoes": ["Gold"], "repairs": [], "body": {},
    })
}
