//! The examples of this kind, read as they stand and done against a receiver on loopback.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use egress::{Addresses, Egress, Limits, Resolve};
use handlers::forward::Forward;
use handlers::http::Http;
use handlers::{Filter, Handler, Job, JobMessage, Templates};
use provider::target::TargetPolicy;
use receiver::KeptHeaders;
use toml::de::DeTable;
use wire::{AccountId, InboxMessageId, KeyRing, SignedHeaders, SourceId, VerificationKey};

use super::super::section::{Report, Section};
use super::super::{forward, http};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"name":"John Doe","email":"john@example.com","phone":1234567890,"timezone":"+05:30","callList":[{
"webinar":"Digital Marketing","webinarId":"634fc35ddaf58580e2418c40","webinarLink":"https://meet.google.com/abc-defg-hij",
"webinarFromTime":"2024-03-15T10:00:00.000Z","webinarToTime":"2024-03-15T11:00:00.000Z",
"webinarFromTimeInCreatorTimezone":"2024-03-15T15:30:00.000Z",
"webinarToTimeInCreatorTimezone":"2024-03-15T16:30:00.000Z","creatorTimezone":"+05:30"}],"mangoes":"mango1, mango2"}"#;

/// Keys that every handler has, which are read elsewhere.
const COMMON: [&str; 10] =
    ["name", "type", "sources", "events", "filter", "concurrency", "rate", "retry", "timeout", "start"];

/// Reads the only handler of an example.
fn read<T>(text: &str, url: &str, read: impl Fn(&Section<'_>, &Templates) -> Option<T>) -> T {
    let secrets = |name: &str| match name {
        "env:N8N_URL" => Ok(url.to_owned()),
        "env:N8N_SECRET" => Ok(SECRET.to_owned()),
        "env:WHATSAPP_TOKEN" => Ok("s3cret".to_owned()),
        _ => Err(format!("{name} is not set")),
    };
    let table = DeTable::parse(text).unwrap();
    let report = Report::new(text, &secrets);
    let settings = {
        let file = Section::new(table.get_ref(), 0..0, String::new(), &report);
        let handler = file.sections("handler").pop().unwrap();
        for key in COMMON {
            handler.has(key);
        }
        if let Some(filter) = handler.text("filter") {
            Filter::parse(filter).unwrap();
        }
        let settings = read(&handler, &Templates::default());
        handler.refuse_the_rest();
        settings
    };
    assert_eq!(report.finish(), []);
    settings.unwrap()
}

/// Takes one request and answers 200.
fn receive(listener: TcpListener) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        let mut piece = [0; 4096];
        loop {
            let count = stream.read(&mut piece).unwrap();
            request.push_str(std::str::from_utf8(&piece[..count]).unwrap());
            let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
            let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                return request;
            }
        }
    })
}

struct NoNames;

impl Resolve for NoNames {
    fn resolve<'a>(&'a self, _name: &'a str) -> Addresses<'a> {
        Box::pin(async { Err("no names here".into()) })
    }
}

fn egress() -> Egress {
    let policy = TargetPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], ..TargetPolicy::default() };
    Egress::new(policy, Limits::default(), Arc::new(NoNames)).unwrap()
}

fn job() -> Job {
    let headers = KeptHeaders::from_text("content-type: application/json\n".to_owned());
    let message = JobMessage {
        id: InboxMessageId::from_u64(1),
        source: SourceId::from_bytes([1; 16]),
        source_name: "tagmango".into(),
        message_id: None,
        received_at: "2026-03-01T10:00:00Z".parse().unwrap(),
        reading: receiver::reading::read(&headers, BODY.as_bytes(), None),
        headers,
        body: BODY.into(),
    };
    let now = "2026-03-01T10:00:01Z".parse().unwrap();
    Job {
        account: AccountId::from_u32(1),
        handler: "x".into(),
        message: Arc::new(message),
        attempt: 1,
        generation: 0,
        now,
    }
}

#[tokio::test]
async fn forward_n8n_hands_the_bytes_on_signed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/webhook/x", listener.local_addr().unwrap());
    let received = receive(listener);
    let settings = read(include_str!("../../../../../examples/forward-n8n.toml"), &url, forward::read);

    let note = Forward::new(settings, &egress()).unwrap().handle(&job()).await.unwrap();

    assert!(note.ends_with("answered 200, signed"), "{note}");
    let request = received.join().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let headers = head.lines().filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.as_bytes()));
    let keys = KeyRing::new([SECRET.parse::<VerificationKey>().unwrap()]).unwrap();
    assert!(keys.verify(&SignedHeaders::find_in(headers).unwrap(), body.as_bytes(), job().now.as_second()).is_ok());
    assert_eq!(body, BODY);
}

#[tokio::test]
async fn whatsapp_http_tells_a_participant_by_the_template() {
    let text = include_str!("../../../../../examples/whatsapp-http.toml");
    let settings = read(text, "", http::read);
    assert_eq!(settings.url.origin(), "https://graph.facebook.com/v24.0/106540352242922/messages");

    let shown = Http::new(settings, &egress()).unwrap().foresee(&job()).await.unwrap();

    let body: serde_json::Value = serde_json::from_str(shown.split("\n\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["to"], "1234567890");
    let parameters = body["template"]["components"][0]["parameters"].as_array().unwrap();
    let texts: Vec<_> = parameters.iter().map(|parameter| parameter["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["John Doe", "Digital Marketing", "1", "https://meet.google.com/abc-defg-hij"]);
    assert!(!shown.contains("s3cret"), "{shown}");
}
