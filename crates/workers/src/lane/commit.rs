//! The commit under way: one at a time, and asked of the store until it answers. What was delivered must be known, or it
//! is delivered again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use store::{FailPoint, Lanes, Lease, Settled, Settlement, StoreError, StoreResult};
use tokio::time::{Instant, sleep};

/// After a store could not write.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A commit that takes so long may never be answered: a store cut off says nothing at all. Far longer than a busy disk takes.
const HANGS_AFTER: Duration = Duration::from_secs(2);

type Settling = Pin<Box<dyn Future<Output = StoreResult<Settled>> + Send>>;

/// A settlement on its way to the disk, if there is one.
#[derive(Default)]
pub(crate) struct Commit {
    under_way: Option<Settling>,
    began: Option<Instant>,
    outcomes: usize,
    is_refused: Arc<AtomicBool>,
}

impl Commit {
    /// Begins to write a settlement of so many outcomes.
    pub(crate) fn start(&mut self, lanes: Arc<dyn Lanes>, lease: Lease, settlement: Settlement, outcomes: usize) {
        let is_refused = self.is_refused.clone();
        self.outcomes = outcomes;
        self.began = Some(Instant::now());
        self.under_way = Some(Box::pin(settle_surely(lanes, lease, Arc::new(settlement), is_refused)));
    }

    /// The writing itself, to be waited for.
    pub(crate) fn under_way(&mut self) -> Option<&mut Settling> {
        self.under_way.as_mut()
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Notes that it has ended.
    pub(crate) fn end(&mut self) {
        self.under_way = None;
        self.began = None;
        self.outcomes = 0;
    }

    /// Outcomes in it.
    pub(crate) fn outcomes(&self) -> usize {
        self.outcomes
    }

    /// The store cannot write, or does not say so: whatever is sent now may be sent again.
    pub(crate) fn is_in_doubt(&self) -> bool {
        let hangs = self.began.is_some_and(|began| began.elapsed() > HANGS_AFTER);
        hangs || self.is_refused.load(Ordering::Relaxed)
    }
}

async fn settle_surely(
    lanes: Arc<dyn Lanes>,
    lease: Lease,
    settlement: Arc<Settlement>,
    is_refused: Arc<AtomicBool>,
) -> StoreResult<Settled> {
    loop {
        FailPoint::SettleBefore.pass();
        let settled = lanes.settle(lease, settlement.clone()).await;
        FailPoint::SettleAfter.pass();
        match settled {
            Err(error @ (StoreError::Busy(_) | StoreError::Unwritable(_))) => {
                if !is_refused.swap(true, Ordering::Relaxed) {
                    tracing::warn!(endpoint = %lease.endpoint, %error, "outcomes cannot be saved; sending waits for it");
                }
                sleep(AGAIN_AFTER).await;
            }
            result => {
                is_refused.store(false, Ordering::Relaxed);
                return result;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn while_a_commit_hangs_whatever_is_sent_is_in_doubt() {
        let mut commit = Commit::default();
        assert!(!commit.is_in_doubt());
        commit.under_way = Some(Box::pin(pending()));
        commit.began = Some(Instant::now());
        advance(HANGS_AFTER).await;
        assert!(!commit.is_in_doubt());
        advance(Duration::from_millis(1)).await;
        assert!(commit.is_in_doubt());
        commit.end();
        assert!(!commit.is_in_doubt());
    }
}
