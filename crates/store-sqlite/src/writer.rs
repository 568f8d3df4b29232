//! The one writer, as callers see it: a write waits in line, the thread behind it commits all that wait together and
//! only then answers each. An answer therefore means: on disk. Under load one fsync serves many.

mod standing;
mod thread;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rusqlite::Connection;
use store::{AuditNote, StoreError, StoreResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::Instant;

use crate::audit::noted;
use crate::open::OpenError;
use standing::Standing;
use thread::WriterThread;

/// Writes that may wait. Beyond it senders to the inbox are told to come back, and lanes hold still.
pub(crate) const WAITING_MAX: usize = 4_096;
/// Bytes that webhooks of the inbox may hold in memory while they wait; with bodies of 1 MiB few of them may.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Task>,
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
    stats: Arc<Stats>,
    standing: watch::Receiver<Standing>,
    /// What is kept beside each write that changes something.
    note: Option<Arc<AuditNote>>,
}

/// How the writer has been doing.
#[derive(Clone, Debug, Default)]
pub struct CommitStats {
    /// Transactions committed.
    pub commits: u64,
    /// Writes within them.
    pub writes: u64,
    /// Times of the latest commits in microseconds, from `begin` to the disk's answer; unordered.
    pub recent_micros: Vec<u32>,
}

#[derive(Default)]
struct Stats {
    commits: AtomicU64,
    writes: AtomicU64,
    recent_micros: Mutex<Vec<u32>>,
}

/// What a failing write needs so that others of its batch go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Several statements: a savepoint.
    Savepoint,
    /// Nothing that fails halfway leaves a trace.
    NotNeeded,
}

enum Task {
    Write(Box<dyn Write>),
    Truncate(Cleaning, oneshot::Sender<StoreResult<()>>),
}

/// What is done to the file between two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cleaning {
    /// The log is moved into it and emptied.
    Checkpoint,
    /// It is rewritten first.
    Rewrite,
}

/// One waiting write.
trait Write: Send {
    /// Does it inside the open transaction and remembers the result.
    fn run(&mut self, connection: &Connection) -> Ran;
    fn isolation(&self) -> Isolation;
    /// Tells whoever waits what became of it.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

/// How a write went.
enum Ran {
    Done,
    /// By itself, with this reason; others of its batch go on.
    Failed(StoreError),
    /// A bug. Nobody knows how far it got, so its batch is taken back.
    Panicked,
}

struct Pending<F, T> {
    write: Option<F>,
    result: Option<StoreResult<T>>,
    isolation: Isolation,
    reply: oneshot::Sender<StoreResult<T>>,
    _place: OwnedSemaphorePermit,
}

impl<T, F> Write for Pending<F, T>
where
    T: Send,
    F: FnOnce(&Connection) -> StoreResult<T> + Send,
{
    fn run(&mut self, connection: &Connection) -> Ran {
        let Some(write) = self.write.take() else { return Ran::Failed(stopped()) };
        // The connection outlives a panic: statements are reset as they are dropped, and the batch is taken back.
        match catch_unwind(AssertUnwindSafe(|| write(connection))) {
            Ok(result) => {
                let ran = result.as_ref().map_or_else(|error| Ran::Failed(error.again()), |_| Ran::Done);
                self.result = Some(result);
                ran
            }
            Err(panic) => {
                let words = words_of(&*panic);
                tracing::error!(panic = words, "a write to the store panicked; it is taken back");
                self.result = Some(Err(StoreError::broken(format!("a write to the store panicked: {words}"))));
                Ran::Panicked
            }
        }
    }

    fn isolation(&self) -> Isolation {
        self.isolation
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let result = match (self.result, commit) {
            // It failed by itself: its own reason tells more than the fate of the batch.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(stopped()),
        };
        // Nobody may be waiting any more; what is committed stands all the same.
        let _ = self.reply.send(result);
    }
}

impl Writer {
    pub(crate) fn start(connection: Connection) -> Result<Writer, OpenError> {
        let (queue, tasks) = mpsc::channel();
        let stats = Arc::new(Stats::default());
        let (thread, standing) = WriterThread::new(connection, stats.clone());
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.run(&tasks))
            .map_err(|error| OpenError::SettingRefused(format!("no thread for the writer: {error}")))?;
        let (places, room) = (Arc::new(Semaphore::new(WAITING_MAX)), Arc::new(Semaphore::new(WAITING_BYTES_MAX)));
        Ok(Writer { queue, places, room, stats, standing, note: None })
    }

    /// One that refuses every write, for a database that was opened to be read.
    pub(crate) fn refusing() -> Writer {
        let closed = || Arc::new(Semaphore::const_new(0));
        let writer = Writer {
            queue: mpsc::channel().0,
            places: closed(),
            room: closed(),
            stats: Arc::default(),
            standing: watch::channel(Standing::Sound).1,
            note: None,
        };
        writer.places.close();
        writer
    }

    /// Completes with the reason once the writer takes no more writes in this process.
    pub(crate) async fn stopped(&self) -> String {
        let mut standing = self.standing.clone();
        match standing.wait_for(|standing| matches!(standing, Standing::Stopped(_))).await.as_deref() {
            Ok(Standing::Stopped(why)) => why.clone(),
            _ => "the thread that writes has ended".to_owned(),
        }
    }

    /// Why writes are refused at this time, if any was just now.
    pub(crate) fn check(&self) -> StoreResult<()> {
        self.standing.borrow().check(Instant::now())
    }

    /// The same writer for one act, which is noted beside what it changes.
    pub(crate) fn noting(&self, note: AuditNote) -> Writer {
        Writer { note: Some(Arc::new(note)), ..self.clone() }
    }

    /// Writes in a transaction shared with others; answers when it is on disk. Waits where many are waiting.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| stopped())?;
        let note = self.note.clone();
        let write = move |connection: &Connection| noted(connection, note.as_deref(), write);
        self.submit(write, Isolation::Savepoint, place).await
    }

    /// Like [`Writer::write`], but refuses with `Busy` instead of waiting in line, for a write that holds so many bytes
    /// in memory. `write` leaves no trace where it fails.
    pub(crate) async fn write_or_refuse<T: Send + 'static>(
        &self,
        bytes: usize,
        write: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let full = |_| StoreError::Busy(WAITING_MAX);
        let place = self.places.clone().try_acquire_owned().map_err(full)?;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let _room = self.room.clone().try_acquire_many_owned(bytes).map_err(full)?;
        self.submit(write, Isolation::NotNeeded, place).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
        isolation: Isolation,
        place: OwnedSemaphorePermit,
    ) -> StoreResult<T> {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { write: Some(write), result: None, isolation, reply, _place: place };
        self.queue.send(Task::Write(Box::new(pending))).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    pub(crate) async fn checkpoint(&self) -> StoreResult<()> {
        self.clean(Cleaning::Checkpoint).await
    }

    /// Rewrites the whole file; nothing else is written meanwhile.
    pub(crate) async fn rewrite(&self) -> StoreResult<()> {
        self.clean(Cleaning::Rewrite).await
    }

    async fn clean(&self, cleaning: Cleaning) -> StoreResult<()> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Task::Truncate(cleaning, reply)).map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    pub(crate) fn stats(&self) -> CommitStats {
        CommitStats {
            commits: self.stats.commits.load(Ordering::Relaxed),
            writes: self.stats.writes.load(Ordering::Relaxed),
            recent_micros: self.stats.recent_micros.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

fn stopped() -> StoreError {
    StoreError::broken("the store is closed, or was opened only to be read")
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}
