//! The accept loop: a bounded number of connections, each with bounds on its time, and an orderly end.

mod patience;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::Service;

use crate::app::App;
use crate::caller::ClientAddress;
use crate::ingest::Ingest;
use crate::{Context, Limits, routes};
use patience::Patient;

/// Bytes of a request's head; what others take, and more than any sender of webhooks needs. hyper's own limit of 100
/// headers holds within it.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// After accepting failed for want of file descriptors or memory, neither of which comes back at once.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// What answers a request: the inbox's way in, or else the router.
struct Front {
    ingest: Option<Ingest>,
    router: Router,
}

/// Serves HTTP on `listener` until `shutdown` completes; then stops accepting, finishes what is under way (for at
/// most [`Limits::drain_time`]) and returns. Fails only where the listener does for good.
pub async fn serve(
    listener: TcpListener,
    context: Context,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let limits = context.settings.limits;
    let front = Arc::new(Front::new(context));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => note_end(ended),
            accepted = listener.accept(), if connections.len() < limits.connections => match accepted {
                Ok((stream, peer)) => {
                    let client = ClientAddress(peer.ip());
                    connections.spawn(converse(stream, client, front.clone(), limits, stopping.clone()));
                }
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let drained = timeout(limits.drain_time, async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off at the end of the drain time");
    }
    Ok(())
}

/// Errors of a single connection, which is gone before it was accepted.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

/// A request that panics ends its connection, and nothing else.
fn note_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task ended early");
    }
}

/// One connection, request after request.
async fn converse(
    stream: TcpStream,
    client: ClientAddress,
    front: Arc<Front>,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are small and wait for nothing; with Nagle's algorithm they would.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(client);
        let front = front.clone();
        async move { Ok::<_, Infallible>(front.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // From the first moment and after each answer, so it bounds the first byte and idle connections, too.
        .header_read_timeout(limits.header_time)
        .max_header_size(HEAD_BYTES_MAX)
        .serve_connection(Patient::new(TokioIo::new(stream), limits.answer_time), service);
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return note_result(result),
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    note_result(connection.await);
}

/// Clients that break off or send what is not HTTP are their own affair.
fn note_result(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended with an error");
    }
}

impl Front {
    fn new(context: Context) -> Front {
        let has_inbox = context.settings.halves.have_receiver();
        let app = App::new(context);
        Front { ingest: has_inbox.then(|| Ingest::new(app.clone())), router: routes::router(app) }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Either<Full<Bytes>, Body>> {
        match &self.ingest {
            Some(ingest) if Ingest::takes(request.uri().path()) => ingest.answer(request).await.map(Either::Left),
            // Boxed, so that a connection of the inbox does not carry the size of all other handlers.
            _ => Box::pin(self.route(request)).await.map(Either::Right),
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
