//! Many callers, one transaction: what is asked while a batch is being written makes up the next one. Each is answered only
//! when its batch is on disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use store::{StoreError, StoreResult};
use tokio::sync::{mpsc, oneshot};

/// The answers to a batch, in its order; or one failure of all of them.
pub(crate) type Answers<T> = Pin<Box<dyn Future<Output = StoreResult<Vec<StoreResult<T>>>> + Send>>;
type Asked<Q, T> = (Q, oneshot::Sender<StoreResult<T>>);

/// Gathers what is asked, and has it written together.
pub(crate) struct Gathering<Q, T> {
    waiting: OnceLock<mpsc::Sender<Asked<Q, T>>>,
    write: Arc<dyn Fn(Vec<Q>) -> Answers<T> + Send + Sync>,
    /// Writes in one batch.
    batch_max: usize,
    /// Writes that may wait for the next one.
    waiting_max: usize,
}

impl<Q: Send + 'static, T: Send + 'static> Gathering<Q, T> {
    /// Writes by `write`, which answers each of a batch in order.
    pub(crate) fn new(
        batch_max: usize,
        waiting_max: usize,
        write: impl Fn(Vec<Q>) -> Answers<T> + Send + Sync + 'static,
    ) -> Gathering<Q, T> {
        Gathering { waiting: OnceLock::new(), write: Arc::new(write), batch_max, waiting_max }
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
            tokio::spawn(serve(line, self.write.clone(), self.batch_max));
            sender
        })
    }
}

async fn serve<Q, T>(
    mut line: mpsc::Receiver<Asked<Q, T>>,
    write: Arc<dyn Fn(Vec<Q>) -> Answers<T> + Send + Sync>,
    batch_max: usize,
) {
    let mut batch = Vec::with_capacity(batch_max);
    while line.recv_many(&mut batch, batch_max).await > 0 {
        let (asked, replies): (Vec<Q>, Vec<_>) = batch.drain(..).unzip();
        match write(asked).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // Nobody may be waiting any more; what is committed stands all the same.
                    let _ = reply.send(answer);
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(same_again(&error)));
                }
            }
        }
    }
}

/// Each of a failed batch gets the reason of all.
pub(crate) fn same_again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unwritable(reason) => StoreError::Unwritable(reason.clone()),
        StoreError::Unconfirmed(reason) => StoreError::Unconfirmed(reason.clone()),
        StoreError::DiskFailed(reason) => StoreError::DiskFailed(reason.clone()),
        StoreError::Busy(waiting) => StoreError::Busy(*waiting),
        other => StoreError::broken(other.to_string()),
    }
}

fn ended() -> StoreError {
    StoreError::Unconfirmed("the task that writes has ended".to_owned())
}
