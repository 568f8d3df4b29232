//! Removes signing secrets when their overlap is over. They have stopped signing by then, whether they are removed or not.

use std::sync::Arc;
use std::time::Duration;

use store::{Clock, Secrets, StoreResult};
use tokio::sync::watch;
use tokio::time::timeout;

/// An expired secret lies in the store for at most this long: a statement that mostly finds nothing.
const ROUND_EVERY: Duration = Duration::from_secs(600);

/// Removes signing secrets when their overlap is over.
pub struct ExpiredSecrets {
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
}

impl ExpiredSecrets {
    /// Begins nothing yet.
    pub fn new(secrets: Arc<dyn Secrets>, clock: Arc<dyn Clock>) -> ExpiredSecrets {
        ExpiredSecrets { secrets, clock }
    }

    /// Works until `stop` holds `true`, or nobody is left to say so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        loop {
            match self.turn().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "signing secrets whose overlap was over were removed"),
                Err(error) => tracing::warn!(%error, "expired signing secrets could not be removed; trying again"),
            }
            if timeout(ROUND_EVERY, stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
        }
    }

    /// Removes those that have expired by now; how many.
    pub async fn turn(&self) -> StoreResult<u64> {
        self.secrets.remove_expired_secrets(self.clock.now()).await
    }
}
