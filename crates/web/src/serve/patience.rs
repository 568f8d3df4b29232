//! A connection whose client has to take what it is sent. hyper bounds how long a request may take to come, not how
//! long its answer may take to go, so a client that never reads would hold its connection for ever.

#[cfg(test)]
mod tests;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Sleep, sleep};

/// So much of a waiting answer has to be taken in each span of patience: about 1.6 KB/s with the default, less than any
/// network that people use. Answers that fit into the system's buffers wait for nobody.
pub(super) const TAKEN_BYTES_MIN: usize = 16 * 1024;

/// A connection that gives up on a client that does not take its answers.
pub(super) struct Patient<Io> {
    io: Io,
    patience: Duration,
    stall: Option<Stall>,
}

/// An answer that has to wait for its client.
struct Stall {
    until: Pin<Box<Sleep>>,
    taken: usize,
}

impl<Io> Patient<Io> {
    pub(super) fn new(io: Io, patience: Duration) -> Patient<Io> {
        Patient { io, patience, stall: None }
    }

    /// Counts what was taken; an error where it was too little for too long.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            // Everything there was is on its way.
            Poll::Ready(Ok(taken)) if taken >= offered => self.stall = None,
            Poll::Ready(Ok(taken)) => {
                if let Some(stall) = &mut self.stall {
                    stall.taken += taken;
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => loop {
                let begun = || Stall { until: Box::pin(sleep(self.patience)), taken: 0 };
                let stall = self.stall.get_or_insert_with(begun);
                ready!(stall.until.as_mut().poll(context));
                if stall.taken < TAKEN_BYTES_MIN {
                    let error = io::Error::new(io::ErrorKind::TimedOut, "the client does not take its answer");
                    return Poll::Ready(Err(error));
                }
                self.stall = None;
            },
        }
        written
    }
}

impl<Io: Read + Unpin> Read for Patient<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<Io: Write + Unpin> Write for Patient<Io> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.judge(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = pieces.iter().map(|piece| piece.len()).sum();
        let written = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.judge(context, offered, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
