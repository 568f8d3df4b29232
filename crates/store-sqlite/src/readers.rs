//! Read-only connections, used from blocking threads: reads never wait for the writer in WAL mode.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use store::{StoreError, StoreResult};
use tokio::sync::Semaphore;

use crate::columns::broken;
use crate::open;

/// More readers than cores only add page caches.
const READERS_MAX: usize = 4;

#[derive(Clone)]
pub(crate) struct Readers {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(path: &Path) -> Readers {
        Readers { path: Arc::new(path.to_owned()), idle: Arc::default(), places: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `read` in one read transaction, so that all its queries see one state.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let place = self.places.clone().acquire_owned().await.map_err(StoreError::broken)?;
        let (path, idle) = (self.path.clone(), self.idle.clone());
        let result = tokio::task::spawn_blocking(move || {
            let taken = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = match taken {
                Some(connection) => connection,
                None => open::readable(&path).map_err(broken)?,
            };
            let transaction = connection.unchecked_transaction().map_err(broken)?;
            let result = read(&transaction);
            drop(transaction);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(place);
            result
        });
        result.await.map_err(StoreError::broken)?
    }
}
