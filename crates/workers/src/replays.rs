//! The replay loop: gives each replay that revives failed deliveries its turn, at its pace, a chunk at a time. Replays
//! that resend need no loop: their fan-outs are the lanes' work.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use provider::replay::{LOOK_AGAIN_AFTER, turn};
use store::{Clock, DueReplay, ReplayState, Replays, StoreResult};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use wire::ReplayId;

use crate::trouble::Trouble;

/// Replays that have a turn at a time: some tens of milliseconds of the writer. The others are due for longer then, and
/// come first.
const REPLAYS_AT_ONCE: usize = 32;
/// Hints are lost when a process dies, and commands give none; a replay begins at most this late.
const POLL_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Gives replays their turns.
pub struct ReplayTurner {
    replays: Arc<dyn Replays>,
    clock: Arc<dyn Clock>,
    /// Poked when a replay has been started or resumed.
    hint: Arc<Notify>,
    /// Poked by us when deliveries have become due.
    lanes_hint: Arc<Notify>,
    stop: watch::Receiver<bool>,
    /// Replays that could not go on at their last turn.
    stuck: HashSet<ReplayId>,
}

impl ReplayTurner {
    /// A loop over `replays` that ends when `stop` holds `true`, or nobody is left to say so. It listens to `hint` and
    /// pokes `lanes_hint`.
    pub fn new(
        replays: Arc<dyn Replays>,
        clock: Arc<dyn Clock>,
        hint: Arc<Notify>,
        lanes_hint: Arc<Notify>,
        stop: watch::Receiver<bool>,
    ) -> ReplayTurner {
        ReplayTurner { replays, clock, hint, lanes_hint, stop, stuck: HashSet::new() }
    }

    /// Runs until told to stop. A turn is one transaction, so there is nothing to finish.
    pub async fn run(mut self) {
        let mut trouble = Trouble::with("replays could not go on");
        while !*self.stop.borrow() && self.stop.has_changed().is_ok() {
            let pause = match trouble.heed(self.turn().await) {
                Some(0) | None => POLL_INTERVAL_MAX,
                Some(_) => LOOK_AGAIN_AFTER,
            };
            tokio::select! {
                biased;
                _ = self.stop.changed() => {}
                () = self.hint.notified() => {}
                () = sleep(pause) => {}
            }
        }
    }

    /// One turn for each replay that is due; how many had one. One that cannot go on holds up none of the others.
    pub async fn turn(&mut self) -> StoreResult<usize> {
        let now = self.clock.now();
        let due = self.replays.due_replays(now, REPLAYS_AT_ONCE).await?;
        let mut failed = None;
        for replay in &due {
            match self.further(replay, now).await {
                Ok(()) => drop(self.stuck.remove(&replay.id)),
                Err(error) => {
                    if self.stuck.insert(replay.id) {
                        tracing::error!(account = %replay.account, replay = %replay.id, %error, "a replay could not go on");
                    }
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(due.len()), Err)
    }

    async fn further(&self, replay: &DueReplay, now: Timestamp) -> StoreResult<()> {
        let turn = turn(replay.rate, replay.waiting, replay.due_at, now);
        let revived = self.replays.revive(*replay, turn, now).await?;
        if revived.deliveries > 0 {
            self.lanes_hint.notify_one();
        }
        if revived.state == ReplayState::Done {
            tracing::info!(account = %replay.account, replay = %replay.id, "a replay has put everything into the queue");
        }
        Ok(())
    }
}
