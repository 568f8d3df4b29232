//! A handler at work, by hand.

use std::time::Duration;

use receiver::HandlerStart;
use store::{
    Acceptance, DueRun, HandlerLease, MessageNumber, Ordered, RunOrder, RunPiece, RunScope, RunSettlement, RunState,
    RunsWanted, SettledRun, Store, StoreResult,
};
use wire::AccountId;

use super::{LEASE, NODE, Sender, World};

/// Due runs a look may bring, and bytes: as good as all.
const ALL_AT_ONCE: usize = 100;
const BYTES_MAX: usize = 1 << 30;

/// A run that ended so.
pub fn ended(number: MessageNumber, state: RunState) -> SettledRun {
    SettledRun { number, attempts: 1, generation: 0, state, handled: None }
}

/// Every message of a handler, whatever has become of it.
pub fn everything(handler: &str) -> RunScope {
    let handler = handler.to_owned();
    RunScope { handler, message: None, source: None, standing: None, from: None, to: None }
}

impl<S: Store> World<S> {
    /// A handler that is new and begins with the oldest message, claimed.
    pub async fn handler(&self, account: AccountId, handler: &str) -> StoreResult<HandlerLease> {
        self.store.introduce_handler(account, handler, HandlerStart::Oldest).await?;
        Ok(self.store.claim_handler(account, handler, NODE, self.now, LEASE).await?.expect("nobody else has it"))
    }

    /// Messages of a sender, `msg_0` and on.
    pub async fn messages(&self, sender: &Sender, count: usize) -> StoreResult<Vec<MessageNumber>> {
        let mut numbers = Vec::new();
        for nth in 0..count {
            match self.accept(sender, &format!("msg_{nth}"), "{}").await? {
                Acceptance::Stored(number) => numbers.push(number),
                other => panic!("a new message, not {other:?}"),
            }
        }
        Ok(numbers)
    }

    /// What a handler has to do after a message.
    pub async fn due_runs(&self, lease: &HandlerLease, after: MessageNumber) -> StoreResult<Vec<DueRun>> {
        let wanted = RunsWanted { after, busy: Vec::new(), limit: ALL_AT_ONCE, bytes_max: BYTES_MAX };
        self.store.due_runs(lease, self.now, wanted).await
    }

    /// The messages of what a handler has to do.
    pub async fn due_numbers(&self, lease: &HandlerLease, after: MessageNumber) -> StoreResult<Vec<MessageNumber>> {
        Ok(self.due_runs(lease, after).await?.iter().map(|run| run.message.number).collect())
    }

    /// Writes how runs ended.
    pub async fn end_runs(&self, lease: &HandlerLease, cursor: MessageNumber, runs: &[SettledRun]) -> StoreResult<()> {
        let settlement = RunSettlement { cursor, runs: runs.to_vec(), now: self.now };
        self.store.settle_runs(lease, settlement).await
    }

    /// All pieces of an order, each of two messages: how many runs it was about.
    pub async fn order(&self, account: AccountId, scope: &RunScope, order: RunOrder) -> StoreResult<u64> {
        let (mut after, mut runs) = (0, 0);
        loop {
            let piece = RunPiece { after, limit: 2, now: self.now };
            let order = match order {
                RunOrder::Rerun { first, spacing } => RunOrder::Rerun { first: first + spacing * runs as u32, spacing },
                other => other,
            };
            let Ordered { runs: more, next } = self.store.order_runs(account, scope, order, piece).await?;
            runs += more;
            match next {
                Some(next) => after = next,
                None => return Ok(runs),
            }
        }
    }

    /// Waits a while and is due then.
    pub fn waiting(&self, wait: Duration) -> RunState {
        RunState::Waiting { due: self.now + wait, reason: "the other side hung up".to_owned() }
    }
}
