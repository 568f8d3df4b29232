//! The demo as a client: one request, one connection, JSON back; plain HTTP to our own address.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Our own server answers in milliseconds; a member list of a million takes a while to read.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);
/// Largest answer: a series with all its sessions is far below.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Calls the API with a key.
pub(super) struct Client {
    address: SocketAddr,
    key: String,
}

impl Client {
    pub(super) fn new(address: SocketAddr, key: String) -> Client {
        Client { address, key }
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None, Full::new(Bytes::new())).await
    }

    pub(super) async fn send_json(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(method, path, Some("application/json"), Full::new(Bytes::from(body.to_string()))).await
    }

    /// Sends a body that may be long; anything but a 2xx is an error that holds what the server said.
    pub(super) async fn send<B>(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: B,
    ) -> anyhow::Result<Value>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let call = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("accept", "application/json")
            .header("x-api-key", &self.key);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = timeout(ANSWER_WITHIN, self.exchange(request.body(body)?)).await;
        answer.context("no answer in time").flatten().with_context(|| call)
    }

    async fn exchange<B>(&self, request: Request<B>) -> anyhow::Result<Value>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what goes wrong in it, the request tells.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).context("the answer is not JSON")
    }
}
