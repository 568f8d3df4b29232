//! A sender of unique signed messages over a fixed number of kept-alive connections: what the inbox is measured with.

mod content;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use store::Clock;
use tokio::net::TcpStream;
use tokio::time::Instant;
use wire::{FanOutId, MessageId, ParticipantNumber, Signer, SigningSecret};

use crate::clock::SystemClock;
use crate::output;
use content::Content;
pub(super) use content::ContentKind;

/// What to send, where.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// The server.
    #[arg(long)]
    address: SocketAddr,
    /// The path of the source.
    #[arg(long)]
    path: String,
    /// The secret of the source.
    #[arg(long, env = "FANFARE_BENCH_SECRET", hide_env_values = true)]
    secret: String,
    /// How many.
    #[arg(long)]
    messages: u64,
    /// Over how many connections.
    #[arg(long)]
    connections: usize,
    /// What they say.
    #[arg(long, value_enum, default_value_t)]
    content: ContentKind,
}

/// What the client saw.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    /// Answers of 200.
    pub(super) accepted: u64,
    /// Median time to an answer.
    pub(super) answer_micros_p50: u32,
    /// 99th percentile of the same.
    pub(super) answer_micros_p99: u32,
    /// The longest of all.
    pub(super) answer_micros_max: u32,
}

const FAN_OUT: FanOutId = FanOutId::from_bytes([3; 16]);

/// What the connections share.
struct Shared {
    next: AtomicU64,
    messages: u64,
    signer: Signer,
    path: String,
    host: String,
    content: Content,
}

pub(super) async fn run(args: LoadArgs) -> anyhow::Result<()> {
    let secret: SigningSecret = args.secret.parse().context("--secret")?;
    let shared = Arc::new(Shared {
        next: AtomicU64::new(1),
        messages: args.messages,
        signer: Signer::new([secret])?,
        path: args.path,
        host: args.address.to_string(),
        content: Content::new(args.content, args.messages)?,
    });
    let senders: Vec<_> = (0..args.connections).map(|_| tokio::spawn(send(args.address, shared.clone()))).collect();
    let mut micros = Vec::new();
    for sender in senders {
        micros.extend(sender.await??);
    }
    micros.sort_unstable();
    let quantile = |share: f64| micros.get((micros.len() as f64 * share) as usize).copied().unwrap_or(0);
    output::print_json(&Seen {
        accepted: micros.len() as u64,
        answer_micros_p50: quantile(0.5),
        answer_micros_p99: quantile(0.99),
        answer_micros_max: micros.last().copied().unwrap_or(0),
    })
}

async fn send(address: SocketAddr, shared: Arc<Shared>) -> anyhow::Result<Vec<u32>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut micros = Vec::new();
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        if number > shared.messages {
            return Ok(micros);
        }
        let started = Instant::now();
        send_one(&mut sender, &shared, number).await?;
        micros.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

async fn send_one(sender: &mut SendRequest<Full<Bytes>>, shared: &Shared, number: u64) -> anyhow::Result<()> {
    let body = shared.content.body(number)?;
    let id = MessageId::new(FAN_OUT, ParticipantNumber::new(number)?).text();
    let now = SystemClock.now().as_second();
    let signature = shared.signer.sign(&id, now, &body);
    let mut request = Request::post(shared.path.as_str())
        .header("host", &shared.host)
        .header("content-type", "application/json")
        .header(wire::headers::WEBHOOK_ID, id.as_str())
        .header(wire::headers::WEBHOOK_TIMESTAMP, now)
        .header(wire::headers::WEBHOOK_SIGNATURE, signature)
        .body(Full::new(Bytes::from(body)))?;
    shared.content.add_headers(number, request.headers_mut());
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let text = response.into_body().collect().await?.to_bytes();
    ensure!(status == StatusCode::OK, "the inbox answered {status}: {}", String::from_utf8_lossy(&text));
    Ok(())
}
