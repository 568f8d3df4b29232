//! Reads a body whole: within a size, a time, and a bound on what all unfinished bodies hold together.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::timeout;

use crate::Limits;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is larger than {0} bytes; send less at once")]
    TooLarge(usize),
    #[error("the body did not come whole in time")]
    TooSlow,
    #[error("the body broke off or is not framed as HTTP/1.1 says")]
    Broken,
    #[error("too many bodies are on their way at once; try again shortly")]
    Crowded,
}

/// Reads bodies; one for a process, because the bound is on all of them.
#[derive(Debug)]
pub(crate) struct BodyReader {
    bytes_max: usize,
    time: Duration,
    unfinished_max: usize,
    unfinished: AtomicUsize,
}

/// Bytes of one unfinished body, counted until it is dropped.
struct Held<'a> {
    all: &'a AtomicUsize,
    own: usize,
}

impl BodyReader {
    pub(crate) fn new(limits: &Limits) -> BodyReader {
        BodyReader {
            bytes_max: limits.body_bytes,
            time: limits.body_time,
            unfinished_max: limits.unfinished_bytes,
            unfinished: AtomicUsize::new(0),
        }
    }

    /// The whole body. A declared length that is too great is refused before anything is read.
    pub(crate) async fn read<B: Body<Data = Bytes>>(&self, body: B) -> Result<Bytes, BodyError> {
        self.read_within(self.bytes_max, body).await
    }

    /// The whole body, within a bound of its own; that of all bodies holds as well.
    pub(crate) async fn read_within<B: Body<Data = Bytes>>(&self, bytes: usize, body: B) -> Result<Bytes, BodyError> {
        let bytes_max = bytes.min(self.bytes_max);
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(BodyError::TooLarge(bytes_max));
        }
        timeout(self.time, self.collect(bytes_max, body)).await.unwrap_or(Err(BodyError::TooSlow))
    }

    async fn collect<B: Body<Data = Bytes>>(&self, bytes_max: usize, body: B) -> Result<Bytes, BodyError> {
        let mut body = pin!(body);
        let mut first = Bytes::new();
        while first.is_empty() {
            match body.frame().await {
                None => return Ok(first),
                Some(frame) => first = frame.map_err(|_| BodyError::Broken)?.into_data().unwrap_or_default(),
            }
        }
        if first.len() > bytes_max {
            return Err(BodyError::TooLarge(bytes_max));
        }
        // Most bodies come with their head, in one piece: no copy.
        if body.is_end_stream() {
            return Ok(first);
        }
        let mut held = Held { all: &self.unfinished, own: 0 };
        held.add(first.len(), self.unfinished_max)?;
        let mut whole = BytesMut::from(first);
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
            if whole.len() + piece.len() > bytes_max {
                return Err(BodyError::TooLarge(bytes_max));
            }
            held.add(piece.len(), self.unfinished_max)?;
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }
}

impl Held<'_> {
    fn add(&mut self, bytes: usize, all_max: usize) -> Result<(), BodyError> {
        self.own += bytes;
        let all = self.all.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if all > all_max { Err(BodyError::Crowded) } else { Ok(()) }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.own, Ordering::Relaxed);
    }
}
