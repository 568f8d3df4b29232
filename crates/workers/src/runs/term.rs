//! How long a handler is surely ours, by this machine's monotonic clock and counted from when the store was asked: the store
//! began to count later. A process that was stopped, or cut off from its store, thus knows by itself that its time is over.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::LEASE_FOR;

/// A lease that was not renewed for so long may be over soon: nothing begins that another owner might begin, too.
pub(super) const SURE_FOR: Duration = Duration::from_secs(LEASE_FOR.as_secs() * 2 / 3);
/// One that was not renewed for so long is as good as over: what is in flight ends before another owner may begin it anew.
const OVER_AFTER: Duration = Duration::from_secs(LEASE_FOR.as_secs() - 1);

/// The term of a lease. Clones tell of the same.
#[derive(Clone)]
pub(super) struct Term {
    renewed_at: Arc<Mutex<Instant>>,
}

impl Term {
    /// Of a lease that was asked for at this moment.
    pub(super) fn begin(asked_at: Instant) -> Term {
        Term { renewed_at: Arc::new(Mutex::new(asked_at)) }
    }

    /// It was renewed by what was asked at this moment.
    pub(super) fn renew(&self, asked_at: Instant) {
        *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner) = asked_at;
    }

    pub(super) fn renewed_at(&self) -> Instant {
        *self.renewed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something may begin.
    pub(super) fn is_sure(&self) -> bool {
        self.renewed_at().elapsed() < SURE_FOR
    }

    fn is_over(&self) -> bool {
        self.renewed_at().elapsed() >= OVER_AFTER
    }

    /// Goes on with some work until it ends or the term does; `None` where that is first. Looked at before each step, so
    /// that a process that was stopped takes none when it is woken too late.
    pub(super) async fn keep<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut end = pin!(self.end());
        std::future::poll_fn(|context| {
            if self.is_over() {
                return Poll::Ready(None);
            }
            match work.as_mut().poll(context) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending => end.as_mut().poll(context).map(|()| None),
            }
        })
        .await
    }

    async fn end(&self) {
        while !self.is_over() {
            sleep_until(self.renewed_at() + OVER_AFTER).await;
        }
    }
}
