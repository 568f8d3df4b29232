//! The thread that writes: batches, their one commit, and the checkpoints between them.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::time::Duration;

use rusqlite::Connection;
use store::{FailPoint, StoreError, StoreResult};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::{Cleaning, Isolation, Ran, Standing, Stats, Task, Write};
use crate::columns::{broken, run};
use crate::open::BUSY_TIMEOUT;

/// Writes in one transaction: a bound on how long the first of them waits for the last.
const BATCH_MAX: usize = 512;
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

pub(super) struct WriterThread {
    connection: Connection,
    stats: Arc<Stats>,
    /// Dropped with the thread, which tells that it has ended.
    standing: watch::Sender<Standing>,
    /// Whether the latest checkpoint failed: the log is told when that changes, not each time.
    is_log_stuck: bool,
}

type Batch = Vec<Box<dyn Write>>;

impl WriterThread {
    pub(super) fn new(connection: Connection, stats: Arc<Stats>) -> (WriterThread, watch::Receiver<Standing>) {
        let (standing, told) = watch::channel(Standing::Sound);
        (WriterThread { connection, stats, standing, is_log_stuck: false }, told)
    }

    pub(super) fn run(mut self, tasks: &mpsc::Receiver<Task>) {
        let mut batch: Batch = Vec::with_capacity(BATCH_MAX);
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
                    if self.checkpoint("truncate", Duration::ZERO).is_ok() || self.is_stopped() {
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
                for (cleaning, reply) in truncate {
                    let _ = reply.send(self.clean(cleaning));
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

    fn clean(&mut self, cleaning: Cleaning) -> StoreResult<()> {
        if cleaning == Cleaning::Rewrite {
            run(&self.connection, "vacuum", [])?;
        }
        self.checkpoint("truncate", CHECKPOINT_PATIENCE)
    }

    fn commit(&mut self, batch: &mut Batch) {
        let started = Instant::now();
        let outcome = self.check_stopped().and_then(|()| self.run_batch(batch));
        self.judge(&outcome);
        if outcome.is_ok() {
            FailPoint::BatchAfterCommit.pass();
            self.note(started, batch.len());
        }
        for write in batch.drain(..) {
            write.answer(outcome.as_ref().copied().map_err(StoreError::again));
        }
    }

    /// One transaction for the whole batch. An error is the batch's: nothing of it is kept.
    fn run_batch(&self, batch: &mut Batch) -> StoreResult<()> {
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
        outcome
    }

    /// Takes note of what a commit or a checkpoint says about the disk, and tells the log what is new.
    fn judge(&self, outcome: &StoreResult<()>) {
        self.standing.send_if_modified(|standing| {
            if outcome.is_ok() && matches!(standing, Standing::Sound) {
                return false;
            }
            let next = standing.after(outcome, Instant::now());
            match (&*standing, &next) {
                (Standing::Sound, Standing::Refusing { why, .. }) => {
                    tracing::error!(%why, "the store cannot write; it refuses what comes and goes on trying");
                }
                (Standing::Refusing { .. }, Standing::Sound) => tracing::info!("the store can write again"),
                (Standing::Sound | Standing::Refusing { .. }, Standing::Stopped(why)) => {
                    tracing::error!(%why, "the disk failed the store, which accepts no more writes");
                }
                (Standing::Sound | Standing::Refusing { .. } | Standing::Stopped(_), _) => {}
            }
            *standing = next;
            true
        });
    }

    fn check_stopped(&self) -> StoreResult<()> {
        match &*self.standing.borrow() {
            Standing::Stopped(why) => Err(StoreError::DiskFailed(why.clone())),
            Standing::Sound | Standing::Refusing { .. } => Ok(()),
        }
    }

    fn is_stopped(&self) -> bool {
        self.check_stopped().is_err()
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
    /// turn, since waiting for them would hold up every write. After a failed commit it is left to the next process:
    /// what is in the log may be more than what the disk has of it.
    fn checkpoint(&mut self, mode: &str, patience: Duration) -> StoreResult<()> {
        FailPoint::CheckpointBefore.pass();
        self.check_stopped()?;
        let moved = self.move_log(mode, patience);
        match &moved {
            Ok(_) if self.is_log_stuck => tracing::info!("the write-ahead log moves into the database file again"),
            Err(error) if !self.is_log_stuck => {
                tracing::warn!(%error, "the write-ahead log cannot be moved into the database file; it grows meanwhile");
            }
            Ok(_) | Err(_) => {}
        }
        self.is_log_stuck = moved.is_err();
        match moved {
            Ok(Moved::All) => Ok(()),
            Ok(Moved::Part) => Err(StoreError::Busy(0)),
            Err(error) => {
                // The log still has everything, so a full disk is no harm here; a failing one is.
                if !matches!(error, StoreError::Unwritable(_)) {
                    self.judge(&Err(error.again()));
                }
                Err(error)
            }
        }
    }

    fn move_log(&self, mode: &str, patience: Duration) -> StoreResult<Moved> {
        let connection = &self.connection;
        connection.busy_timeout(patience).map_err(broken)?;
        let is_busy = connection.query_row(&format!("pragma wal_checkpoint({mode})"), [], |row| row.get(0));
        connection.busy_timeout(BUSY_TIMEOUT).map_err(broken)?;
        match is_busy.map_err(broken) {
            Ok(true) | Err(StoreError::Busy(_)) => Ok(Moved::Part),
            Ok(false) => Ok(Moved::All),
            Err(error) => Err(error),
        }
    }
}

/// How much of the log a checkpoint could move.
enum Moved {
    All,
    Part,
}

/// Takes what is waiting, up to a batch.
fn collect(
    first: Task,
    tasks: &mpsc::Receiver<Task>,
    batch: &mut Batch,
    truncate: &mut Vec<(Cleaning, oneshot::Sender<StoreResult<()>>)>,
) {
    let mut next = Some(first);
    while let Some(task) = next {
        match task {
            Task::Write(write) => batch.push(write),
            Task::Truncate(cleaning, reply) => truncate.push((cleaning, reply)),
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
    let ran = match write.run(connection) {
        Ran::Done => Ok(()),
        Ran::Failed(error) => Err(error),
        // The others may come again.
        Ran::Panicked => return Err(StoreError::Busy(0)),
    };
    // Where the disk is full or fails, SQLite ends the whole transaction by itself; what came after would stand alone.
    if connection.is_autocommit() {
        return ran.and(Err(StoreError::DiskFailed("a write ended its transaction".to_owned())));
    }
    if !needs_savepoint {
        return Ok(());
    }
    if ran.is_err() {
        run(connection, "rollback to one_write", [])?;
    }
    run(connection, "release one_write", [])
}
