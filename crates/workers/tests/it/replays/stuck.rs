//! A replay that cannot go on.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::replay::Turn;
use store::{
    Clock, DueReplay, Foreseen, NewReplay, Page, Replay, ReplayScope, Replays, Revived, Started, Steer, Steered,
    StoreError, StoreResult,
};
use store_sqlite::SqliteStore;
use tokio::sync::{Notify, watch};
use wire::{AccountId, ReplayId};
use workers::ReplayTurner;

use super::Failed;

/// The real store, but for one replay that fails.
struct Damaged {
    store: SqliteStore,
    stuck: ReplayId,
}

#[async_trait]
impl Replays for Damaged {
    async fn foresee(&self, account: AccountId, scope: ReplayScope, now: Timestamp) -> StoreResult<Option<Foreseen>> {
        self.store.foresee(account, scope, now).await
    }

    async fn start_replay(&self, account: AccountId, new: NewReplay) -> StoreResult<Started> {
        self.store.start_replay(account, new).await
    }

    async fn replay(&self, account: AccountId, id: ReplayId) -> StoreResult<Option<Replay>> {
        self.store.replay(account, id).await
    }

    async fn replays(
        &self,
        account: AccountId,
        after: Option<ReplayId>,
        limit: usize,
    ) -> StoreResult<Page<Replay, ReplayId>> {
        self.store.replays(account, after, limit).await
    }

    async fn steer_replay(
        &self,
        account: AccountId,
        id: ReplayId,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        self.store.steer_replay(account, id, steer, now).await
    }

    async fn due_replays(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<DueReplay>> {
        self.store.due_replays(now, limit).await
    }

    async fn revive(&self, due: DueReplay, turn: Turn, now: Timestamp) -> StoreResult<Revived> {
        if due.id == self.stuck {
            return Err(StoreError::broken("a row that does not hold what it should"));
        }
        self.store.revive(due, turn, now).await
    }
}

#[tokio::test]
async fn one_that_cannot_go_on_holds_up_no_other() {
    let failed = Failed::of(10, &[3, 7]).await;
    let stuck = failed.start(failed.all_failed(), None).await.id;
    let other = failed.start(failed.all_failed(), None).await.id;
    let now = failed.world.clock.now();
    let due = failed.world.store.due_replays(now, 10).await.unwrap();
    assert_eq!(due.iter().map(|due| due.id).collect::<Vec<_>>(), [stuck, other], "it has the first turn");

    let store = Arc::new(Damaged { store: failed.world.store.clone(), stuck });
    let (_stop, stopped) = watch::channel(false);
    let hint = Arc::new(Notify::new());
    let mut turner = ReplayTurner::new(store, failed.world.clock.clone(), hint.clone(), hint, stopped);
    let turn = turner.turn().await;
    assert!(matches!(turn, Err(StoreError::Broken(_))), "{turn:?}");
    assert_eq!((failed.shown(stuck).await.begun, failed.shown(other).await.begun), (0, 2));
}
