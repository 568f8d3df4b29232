//! One HTTP/1.1 connection and the exchange of a request for an answer on it. No task of its own: the connection is
//! polled together with the answer and rests in between, which saves a wake-up and a switch per delivery.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use crate::exchange::{Answer, Progress};
use crate::failure::{Failure, FailureKind, Phase};
use crate::limits::{ANSWER_BYTES_MAX, BODY_BYTES_MAX, BODY_KEPT_BYTES_MAX, HEAD_BYTES_MAX};
use crate::stream::{Allowance, Stream, Transport};

/// An open connection, and when it was opened and last used.
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    /// None once it has ended.
    connection: Option<Connection<TokioIo<Stream>, Full<Bytes>>>,
    allowance: Allowance,
    pub(crate) peer: SocketAddr,
    pub(crate) opened_at: Instant,
    pub(crate) used_at: Instant,
}

/// A request that got no head of an answer.
pub(crate) enum Unanswered {
    /// Not a byte was written; it may be sent again on another connection.
    Unsent(Box<Request<Full<Bytes>>>, Failure),
    /// The receiver may have it.
    Sent(Failure),
}

impl Link {
    pub(crate) async fn open(transport: Transport, peer: SocketAddr) -> Result<Self, Failure> {
        let allowance = Allowance::default();
        let stream = TokioIo::new(Stream { transport, allowance: allowance.clone() });
        // The number of headers is left at hyper's 100: that many fit on the stack, any other limit costs an allocation.
        let (sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(stream)
            .await
            .map_err(|error| Failure::new(FailureKind::Connect, error.to_string()))?;
        let now = Instant::now();
        Ok(Self { sender, connection: Some(connection), allowance, peer, opened_at: now, used_at: now })
    }

    /// Sends the request and waits for the head of the answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Unanswered> {
        self.allowance.set(ANSWER_BYTES_MAX);
        let mut response = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            self.drive(cx);
            response.as_mut().poll(cx)
        })
        .await;
        answered.map_err(|mut error| {
            let returned = error.take_message();
            let failure = Failure::of_exchange(&error.into_error(), Phase::Head);
            match returned {
                Some(request) => Unanswered::Unsent(Box::new(request), failure),
                None => Unanswered::Sent(failure),
            }
        })
    }

    /// Reads the body as far as we care. Returns the answer, and whether the connection may serve again.
    pub(crate) async fn read_answer(
        &mut self,
        response: Response<Incoming>,
        progress: &mut Progress,
    ) -> Result<(Answer, Afterwards), Failure> {
        progress.phase = Phase::Body;
        let (head, mut body) = response.into_parts();
        let mut answer = Answer::from_head(head.status, &head.headers);
        let mut kept = BytesMut::new();
        let mut read = 0;
        while !body.is_end_stream() {
            let frame = match poll_fn(|cx| self.poll_body(cx, &mut body)).await {
                None => break,
                Some(frame) => frame.map_err(|error| cut_off(&error, head.status))?,
            };
            let Ok(bytes) = frame.into_data() else { continue };
            read += bytes.len();
            let room = BODY_KEPT_BYTES_MAX - kept.len();
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if read >= BODY_BYTES_MAX {
                // The status is known and the rest is of no use to anyone.
                answer.body_head = kept.freeze();
                return Ok((answer, Afterwards::Drop));
            }
        }
        answer.body_head = kept.freeze();
        Ok((answer, self.settle().await))
    }

    /// Whether another request may follow; one more poll lets the connection notice that the body has ended.
    async fn settle(&mut self) -> Afterwards {
        if !self.sender.is_ready() {
            poll_fn(|cx| {
                self.drive(cx);
                Poll::Ready(())
            })
            .await;
        }
        if self.sender.is_ready() && self.connection.is_some() { Afterwards::Keep } else { Afterwards::Drop }
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Often the body came with the head. If not, asking for it first lets one poll of the connection fetch it.
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        self.drive(cx);
        Pin::new(body).poll_frame(cx)
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else { return };
        // Its error also reaches whoever waits for the answer, with more context; here only the end counts.
        if Pin::new(connection).poll(cx).is_ready() {
            // A connection that ended before it took the request gives it back only when dropped.
            self.connection = None;
        }
    }
}

/// What to do with a connection after an answer.
pub(crate) enum Afterwards {
    Keep,
    Drop,
}

/// The receiver's code may have failed midway, so a status without its body does not count as an answer.
fn cut_off(error: &hyper::Error, status: http::StatusCode) -> Failure {
    let mut failure = Failure::of_exchange(error, Phase::Body);
    failure.detail.push_str(" (status ");
    failure.detail.push_str(status.as_str());
    failure.detail.push(')');
    failure
}
