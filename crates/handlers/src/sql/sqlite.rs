//! The handler on an SQLite file: one connection, used on a blocking thread, one transaction at a time.

mod connection;
mod failure;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::InterruptHandle;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::trouble::{Trouble, retry};
use super::work::Work;
use crate::{Job, RunFailure};
use connection::{Broken, File, Link};

pub(super) struct Sqlite {
    file: Arc<File>,
    work: Arc<Work>,
    timeout: Duration,
    link: Arc<Mutex<Option<Link>>>,
}

/// Stops the statement that runs when the run is given up, so that the next need not wait for it. Where that one has
/// begun meanwhile it is stopped in its place, and tried again.
struct InterruptOnDrop {
    handle: InterruptHandle,
    is_armed: bool,
}

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        if self.is_armed {
            self.handle.interrupt();
        }
    }
}

impl Sqlite {
    pub(super) fn new(
        path: PathBuf,
        forbidden: Option<&Path>,
        work: Arc<Work>,
        timeout: Duration,
        create: bool,
    ) -> Result<Sqlite, String> {
        let file = File { path, forbidden: forbidden.map(Path::to_owned), create };
        file.refuse_the_inbox()?;
        Ok(Sqlite { file: Arc::new(file), work, timeout, link: Arc::default() })
    }

    pub(super) async fn check(&self) -> Result<(), RunFailure> {
        self.opened().await.map(drop)
    }

    /// One transaction for all these.
    pub(super) async fn transact(&self, jobs: &[Job]) -> Result<Vec<String>, Trouble> {
        let mut guard = self.opened().await.map_err(Trouble::Failed)?;
        let Some(handle) = guard.as_ref().map(Link::interrupt_handle) else { return Err(gone()) };
        let mut interrupt = InterruptOnDrop { handle, is_armed: true };
        let (work, jobs) = (self.work.clone(), jobs.to_vec());
        let running = tokio::task::spawn_blocking(move || {
            let Some(link) = guard.as_mut() else { return Err(gone()) };
            match link.transact(&work, &jobs) {
                Ok(words) => Ok(words),
                Err(Broken::Transaction(trouble)) => Err(trouble),
                Err(Broken::Connection(failure)) => {
                    *guard = None;
                    Err(Trouble::Failed(failure))
                }
            }
        });
        let Ok(outcome) = tokio::time::timeout(self.timeout, running).await else {
            let seconds = self.timeout.as_secs();
            return Err(Trouble::Failed(retry(format!("it took longer than the handler's timeout of {seconds} s"))));
        };
        interrupt.is_armed = false;
        outcome.unwrap_or_else(|_| Err(gone()))
    }

    async fn opened(&self) -> Result<OwnedMutexGuard<Option<Link>>, RunFailure> {
        let mut guard = self.link.clone().lock_owned().await;
        if guard.is_some() {
            return Ok(guard);
        }
        let (file, work) = (self.file.clone(), self.work.clone());
        let opening = tokio::task::spawn_blocking(move || Link::open(&file, &work)).await;
        *guard = Some(opening.unwrap_or_else(|_| Err(retry(ENDED.to_owned())))?);
        Ok(guard)
    }
}

const ENDED: &str = "the handler failed while it used the file; the run is tried again";

fn gone() -> Trouble {
    Trouble::Failed(retry(ENDED.to_owned()))
}
