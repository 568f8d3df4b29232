//! The one writer: a thread that takes all waiting writes, commits them together and only then answers each.
//! An answer therefore means: on disk. Under load one fsync serves many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rusqlite::Connection;
use store::{AuditNote, FailPoint, StoreError, StoreResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::audit::noted;
use crate::columns::{broken, run};
use crate::open::{BUSY_TIMEOUT, OpenError};

/// Writes that may wait. Beyond it senders to the inbox are told to come back, and lanes hold still.
pub(crate) const WAITING_MAX: usize = 4_096;
/// Writes in one transaction: a bound on how long the first of them waits for the last.
const BATCH_MAX: usize = 512;
/// Bytes that webhooks of the inbox may hold in memory while they wait; with bodies of 1 MiB few of them may.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A checkpoint copies pages out of the log; every this many commits keeps the log a few MiB long.
const COMMITS_BETWEEN_CHECKPOINTS: u32 = 256;
/// One checkpoint in this many waits for readers, so that the log can begin anew although some reader is always busy.
const CHECKPOINTS_BETWEEN_RESTARTS: u32 = 16;
/// After this time without writes the log is emptied.
const IDLE_BEFORE_TRUNCATE: Duration = Duration::from_millis(500);
/// How long a checkpoint that was asked for waits for readers; no write is done meanwhile.
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(500);
/// How many of the latest commit times are kept for the statistics.
const KEPT_COMMIT_TIMES: usize = 4_096;

#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Task>,
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
    stats: Arc<Stats>,
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
    Truncate(oneshot::Sender<StoreResult<()>>),
}

/// One waiting write.
trait Write: Send {
    /// Does it inside the open transaction and remembers the result; the reason again where it failed.
    fn run(&mut self, connection: &Connection) -> StoreResult<()>;
    fn isolation(&self) -> Isolation;
    /// Tells whoever waits what became of it.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
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
    fn run(&mut self, connection: &Connection) -> StoreResult<()> {
        self.result = self.write.take().map(|write| write(connection));
        match &self.result {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(same_again(error)),
            None => Err(stopped()),
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
        let thread = WriterThread { connection, stats: stats.clone(), health: Health::Sound };
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || thread.run(&tasks))
            .map_err(|error| OpenError::SettingRefused(format!("no thread for the writer: {error}")))?;
        let (places, room) = (Arc::new(Semaphore::new(WAITING_MAX)), Arc::new(Semaphore::new(WAITING_BYTES_MAX)));
        Ok(Writer { queue, places, room, stats, note: None })
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
        let (reply, answer) = oneshot::channel();
        self.queue.send(Task::Truncate(reply)).map_err(|_| stopped())?;
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

/// Whether the disk can still be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Sound,
    /// A commit met an I/O error. What an fsync has lost once, a second one does not bring back, so nothing more is
    /// acknowledged until a restart has read the file anew.
    Poisoned,
}

struct WriterThread {
    connection: Connection,
    stats: Arc<Stats>,
    health: Health,
}

impl WriterThread {
    fn run(mut self, tasks: &mpsc::Receiver<Task>) {
        let mut batch: Vec<Box<dyn Write>> = Vec::with_capacity(BATCH_MAX);
        let (mut commits_since_checkpoint, mut checkpoints) = (0, 0_u32);
        loop {
            let next = match commits_since_checkpoint {
                0 => tasks.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
                _ => tasks.recv_timeout(IDLE_BEFORE_TRUNCATE),
            };
            let mut truncate = Vec::new();
            match next {
                Ok(task) => collect(task, tasks, &mut batch, &mut truncate),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    // Nobody is waiting: the best time to bring the file up to date.
                    if self.checkpoint("truncate", Duration::ZERO).is_ok() {
                        commits_since_checkpoint = 0;
                    }
                    continue;
                }
            }
            if !batch.is_empty() {
                self.commit(&mut batch);
                commits_since_checkpoint += 1;
            }
            if !truncate.is_empty() {
                for reply in truncate {
                    let _ = reply.send(self.checkpoint("truncate", CHECKPOINT_PATIENCE));
                }
            } else if commits_since_checkpoint > COMMITS_BETWEEN_CHECKPOINTS {
                checkpoints = checkpoints.wrapping_add(1);
                let _ = match checkpoints % CHECKPOINTS_BETWEEN_RESTARTS {
                    0 => self.checkpoint("restart", CHECKPOINT_PATIENCE),
                    _ => self.checkpoint("passive", Duration::ZERO),
                };
                commits_since_checkpoint = 1;
            }
        }
        let _ = self.checkpoint("truncate", Duration::ZERO);
    }

    fn commit(&mut self, batch: &mut Vec<Box<dyn Write>>) {
        let started = Instant::now();
        let outcome = match self.health {
            Health::Sound => self.run_batch(batch),
            Health::Poisoned => Err(poisoned()),
        };
        if outcome.is_ok() {
            FailPoint::BatchAfterCommit.pass();
            self.note(started, batch.len());
        }
        for write in batch.drain(..) {
            write.answer(outcome.as_ref().copied().map_err(same_again));
        }
    }

    /// One transaction for the whole batch. An error is the batch's: nothing of it is kept.
    fn run_batch(&mut self, batch: &mut [Box<dyn Write>]) -> StoreResult<()> {
        let connection = &self.connection;
        let outcome = run(connection, "begin immediate", []).and_then(|()| {
            for write in batch {
                run_one(connection, write.as_mut())?;
            }
            FailPoint::BatchBeforeCommit.pass();
            run(connection, "commit", [])
        });
        if outcome.is_err() && !connection.is_autocommit() {
            // The rollback may fail for the reason the commit did; the transaction is void either way.
            let _ = run(connection, "rollback", []);
        }
        if matches!(outcome, Err(StoreError::Broken(_))) {
            self.health = Health::Poisoned;
            tracing::error!("the store met an I/O error at a commit and accepts no more writes; restart the server");
        }
        outcome
    }

    fn note(&self, started: Instant, writes: usize) {
        let micros = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
        let nth = self.stats.commits.fetch_add(1, Ordering::Relaxed) as usize;
        self.stats.writes.fetch_add(writes as u64, Ordering::Relaxed);
        let mut recent = self.stats.recent_micros.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() < KEPT_COMMIT_TIMES {
            recent.push(micros);
        } else {
            recent[nth % KEPT_COMMIT_TIMES] = micros;
        }
    }

    /// Moves the log into the file. `Busy` where readers or another process hold it up: it is then done at a later
    /// turn, since waiting for them would hold up every write.
    fn checkpoint(&self, mode: &str, patience: Duration) -> StoreResult<()> {
        FailPoint::CheckpointBefore.pass();
        let connection = &self.connection;
        connection.busy_timeout(patience).map_err(broken)?;
        let done = connection.query_row(&format!("pragma wal_checkpoint({mode})"), [], |row| row.get(0));
        connection.busy_timeout(BUSY_TIMEOUT).map_err(broken)?;
        match done.map_err(broken) {
            Ok(true) => Err(StoreError::Busy(0)),
            Ok(false) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be moved into the database file");
                Err(error)
            }
        }
    }
}

/// Takes what is waiting, up to a batch.
fn collect(
    first: Task,
    tasks: &mpsc::Receiver<Task>,
    batch: &mut Vec<Box<dyn Write>>,
    truncate: &mut Vec<oneshot::Sender<StoreResult<()>>>,
) {
    let mut next = Some(first);
    while let Some(task) = next {
        match task {
            Task::Write(write) => batch.push(write),
            Task::Truncate(reply) => truncate.push(reply),
        }
        next = if batch.len() < BATCH_MAX { tasks.try_recv().ok() } else { None };
    }
}

/// An error here is the transaction's; a write that fails by itself only loses its own changes.
fn run_one(connection: &Connection, write: &mut dyn Write) -> StoreResult<()> {
    let needs_savepoint = write.isolation() == Isolation::Savepoint;
    if needs_savepoint {
        run(connection, "savepoint one_write", [])?;
    }
    let ran = write.run(connection);
    // Where the disk is full or fails, SQLite ends the whole transaction by itself; what came after would stand alone.
    if connection.is_autocommit() {
        return ran.and(Err(StoreError::broken("a write ended its transaction")));
    }
    if !needs_savepoint {
        return Ok(());
    }
    if ran.is_err() {
        run(connection, "rollback to one_write", [])?;
    }
    run(connection, "release one_write", [])
}

/// Each of a failed batch gets the reason of all.
fn same_again(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unwritable(reason) => StoreError::Unwritable(reason.clone()),
        StoreError::Busy(waiting) => StoreError::Busy(*waiting),
        other => StoreError::broken(other.to_string()),
    }
}

fn poisoned() -> StoreError {
    StoreError::Unwritable("an earlier commit met an I/O error; restart the server".to_owned())
}

fn stopped() -> StoreError {
    StoreError::broken("the store has been closed")
}
