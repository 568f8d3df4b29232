//! Many callers, one transaction: what is asked while a batch is being written makes up the next one. Each is answered only
//! when its batch is on disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use store::{StoreError, StoreResult};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

/// The answers to a batch, in its order; or one failure of all of them.
pub(crate) type Answers<T> = Pin<Box<dyn Future<Output = StoreResult<Vec<StoreResult<T>>>> + Send>>;
type Asked<Q, T> = (Q, oneshot::Sender<StoreResult<T>>);

/// How long a batch waits for company. Where the last one began longer ago, nothing waits.
pub(crate) struct Linger<Q> {
    /// From the beginning of one batch to that of the next.
    pub(crate) apart: Duration,
    /// A batch of this weight waits for nothing more.
    pub(crate) enough: usize,
    /// What something weighs.
    pub(crate) weigh: fn(&Q) -> usize,
}

/// Gathers what is asked, and has it written together.
pub(crate) struct Gathering<Q, T> {
    waiting: OnceLock<mpsc::Sender<Asked<Q, T>>>,
    write: Arc<dyn Fn(Vec<Q>) -> Answers<T> + Send + Sync>,
    /// Writes in one batch.
    batch_max: usize,
    /// Writes that may wait for the next one.
    waiting_max: usize,
    linger: Arc<Linger<Q>>,
}

impl<Q: Send + 'static, T: Send + 'static> Gathering<Q, T> {
    /// Writes by `write`, which answers each of a batch in order.
    pub(crate) fn new(
        batch_max: usize,
        waiting_max: usize,
        write: impl Fn(Vec<Q>) -> Answers<T> + Send + Sync + 'static,
    ) -> Gathering<Q, T> {
        let linger = Arc::new(Linger { apart: Duration::ZERO, enough: usize::MAX, weigh: |_| 1 });
        Gathering { waiting: OnceLock::new(), write: Arc::new(write), batch_max, waiting_max, linger }
    }

    /// The same whose batches wait for company.
    pub(crate) fn lingering(self, linger: Linger<Q>) -> Gathering<Q, T> {
        Gathering { linger: Arc::new(linger), ..self }
    }

    /// Waits in line, then for the disk.
    pub(crate) async fn ask(&self, asked: Q) -> StoreResult<T> {
        let (reply, answer) = oneshot::channel();
        self.line().send((asked, reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Like `ask`, but says `Busy` instead of waiting in line.
    pub(crate) async fn ask_or_refuse(&self, asked: Q) -> StoreResult<T> {
        let (reply, answer) = oneshot::channel();
        self.line().try_send((asked, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy(self.waiting_max),
            mpsc::error::TrySendError::Closed(_) => ended(),
        })?;
        answer.await.map_err(|_| ended())?
    }

    /// The line of those who wait. Whoever comes first opens it, since only within a runtime can it be served.
    fn line(&self) -> &mpsc::Sender<Asked<Q, T>> {
        self.waiting.get_or_init(|| {
            let (sender, line) = mpsc::channel(self.waiting_max);
            tokio::spawn(serve(line, self.write.clone(), self.batch_max, self.linger.clone()));
            sender
        })
    }
}

async fn serve<Q, T: Send + 'static>(
    mut line: mpsc::Receiver<Asked<Q, T>>,
    write: Arc<dyn Fn(Vec<Q>) -> Answers<T> + Send + Sync>,
    batch_max: usize,
    linger: Arc<Linger<Q>>,
) {
    let mut until = Instant::now();
    while let Some(batch) = gather(&mut line, batch_max, &linger, until).await {
        until = Instant::now() + linger.apart;
        let (asked, replies): (Vec<Q>, Vec<_>) = batch.into_iter().unzip();
        // In a task of its own: a bug that panics there ends this batch, not all that follow.
        let written = tokio::spawn(write(asked)).await.unwrap_or_else(|_| Err(panicked()));
        match written {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // Nobody may be waiting any more; what is committed stands all the same.
                    let _ = reply.send(answer);
                }
            }
            // Each of a failed batch gets the reason of all.
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.again()));
                }
            }
        }
    }
}

/// What waits, and what comes until there is enough of it; `None` once nobody can ask any more.
async fn gather<Q, T>(
    line: &mut mpsc::Receiver<Asked<Q, T>>,
    batch_max: usize,
    linger: &Linger<Q>,
    until: Instant,
) -> Option<Vec<Asked<Q, T>>> {
    let mut batch = Vec::new();
    // All that is there at once: one by one a task is made to pause after some.
    if line.recv_many(&mut batch, batch_max).await == 0 {
        return None;
    }
    let mut weight: usize = batch.iter().map(|(asked, _)| (linger.weigh)(asked)).sum();
    while batch.len() < batch_max && weight < linger.enough && Instant::now() < until {
        let Ok(Some(next)) = timeout_at(until, line.recv()).await else { break };
        weight += (linger.weigh)(&next.0);
        batch.push(next);
    }
    Some(batch)
}

fn panicked() -> StoreError {
    StoreError::Unconfirmed("a write to the store panicked; the log says where".to_owned())
}

fn ended() -> StoreError {
    StoreError::Unconfirmed("the task that writes has ended".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_that_panics_fails_its_batch_and_no_later_one() {
        let write = |asked: Vec<u32>| -> Answers<u32> {
            Box::pin(async move {
                assert!(!asked.contains(&13), "a bug");
                Ok(asked.into_iter().map(Ok).collect())
            })
        };
        let gathering = Gathering::new(8, 8, write);
        assert!(matches!(gathering.ask(13).await, Err(StoreError::Unconfirmed(_))));
        assert_eq!(gathering.ask(1).await.unwrap(), 1);
    }
}
