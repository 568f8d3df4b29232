//! As much HTTP as the driver needs: one request on a connection of its own, its status and its JSON.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A request that may meet a dead server: `None` where no answer came.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<(u16, Value)> {
    send(address, Request::post(path), headers, body.into()).await
}

pub(crate) async fn put(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<(u16, Value)> {
    send(address, Request::put(path), headers, body.into()).await
}

pub(crate) async fn patch(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<(u16, Value)> {
    send(address, Request::patch(path), headers, body.into()).await
}

pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Option<(u16, Value)> {
    send(address, Request::get(path), headers, Bytes::new()).await
}

async fn send(
    address: SocketAddr,
    mut request: Builder,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Option<(u16, Value)> {
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("host", address.to_string()).body(Full::new(body)).unwrap();
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    let driving = tokio::spawn(connection);
    let response = sender.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    assert!(status != 503 || response.headers().contains_key("retry-after"), "it says when to come again");
    let body = response.into_body().collect().await.ok()?.to_bytes();
    drop(sender);
    let _ = driving.await;
    Some((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}
