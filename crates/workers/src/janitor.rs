//! The janitor: ends erasures that were begun, and lets go of what is older than its account keeps it. A little at a time,
//! and all progress is in the store, so that a crash costs nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use receiver::PersonMarks;
use store::{Account, Clock, Message, MessageNumber, Prunable, Search, Searched, Store, StoreError, StoreResult};
use tokio::sync::watch;
use tokio::time::sleep;
use wire::AccountId;

use crate::Turn;
use crate::trouble::Trouble;

/// Messages looked at in one step; the store gives fewer where they are large.
const SEARCHED_AT_ONCE: usize = 256;
/// Searches begun side by side, so that a long one does not hold up the others.
const SEARCHES_AT_ONCE: usize = 8;
/// Rows let go of in one transaction: some milliseconds of the writer.
const PRUNED_AT_ONCE: usize = 512;
/// Dedupe keys looked at in one transaction: some 25 pages.
const KEYS_AT_ONCE: usize = 4_096;
/// Between two rounds through all accounts: what is a day old may be an hour older.
const ROUND_EVERY: Duration = Duration::from_secs(3_600);
/// While there is work, others get the store's writer in between; without work, an erasure waits at most this long.
const PAUSE_AT_WORK: Duration = Duration::from_millis(20);
const PAUSE_AT_REST: Duration = Duration::from_secs(1);
/// An erasure that could not be taken further is left alone for so long.
const ERASURES_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// One kind of thing to let go of.
#[derive(Clone, Copy)]
enum Chore {
    Prune(AccountId, Prunable),
    /// Of all accounts.
    ForgetKeys,
}

/// Ends erasures and lets go of what is old.
pub struct Janitor {
    /// What the janitor looks after.
    rooms: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// What is left of this round.
    round: VecDeque<Chore>,
    next_round: Timestamp,
    next_erasures: Timestamp,
}

impl Janitor {
    /// A janitor whose first round begins at once.
    pub fn new(rooms: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Janitor {
        Janitor { rooms, clock, round: VecDeque::new(), next_round: Timestamp::MIN, next_erasures: Timestamp::MIN }
    }

    /// Works until `stop` holds `true`, or nobody is left to say so. A step under way is given up then: ending an erasure
    /// may take as long as reading the inbox does.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.work() => {}
            // An error means that nobody is left to say it.
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn work(&mut self) {
        let mut of_erasures = Trouble::with("erasures could not be taken further");
        let mut of_round = Trouble::with("what is old could not be let go of");
        loop {
            let mut turns = [None, None];
            if self.clock.now() >= self.next_erasures {
                turns[0] = of_erasures.heed(self.further_erasures().await);
                if turns[0].is_none() {
                    self.next_erasures = self.clock.now() + ERASURES_AGAIN_AFTER;
                }
            }
            turns[1] = of_round.heed(self.further_round().await);
            sleep(if turns.contains(&Some(Turn::Worked)) { PAUSE_AT_WORK } else { PAUSE_AT_REST }).await;
        }
    }

    /// One step of every open erasure, and one of the round, whatever became of the erasures.
    pub async fn turn(&mut self) -> StoreResult<Turn> {
        let erasures = self.further_erasures().await;
        let round = self.further_round().await?;
        Ok(if erasures? == Turn::Worked { Turn::Worked } else { round })
    }

    /// One step of every open erasure. A command that erased somebody does these alone.
    pub async fn further_erasures(&self) -> StoreResult<Turn> {
        let searches = self.rooms.searches(SEARCHES_AT_ONCE).await?;
        let mut turn = Turn::Idle;
        for search in searches {
            turn = Turn::Worked;
            let messages = self.rooms.messages_to_search(&search, SEARCHED_AT_ONCE).await?;
            let searched = look_through(&search, &messages);
            self.rooms.note_search(search, searched).await?;
        }
        match self.rooms.seal(self.clock.now()).await {
            Ok(0) => Ok(turn),
            Ok(_) => Ok(Turn::Worked),
            // Somebody reads; there is a next turn.
            Err(StoreError::Busy(_)) => Ok(turn),
            Err(error) => Err(error),
        }
    }

    async fn further_round(&mut self) -> StoreResult<Turn> {
        let now = self.clock.now();
        if self.round.is_empty() {
            if now < self.next_round {
                return Ok(Turn::Idle);
            }
            let expired = self.rooms.remove_expired_secrets(now).await?;
            tracing::debug!(expired, "removed signing secrets whose overlap was over");
            let accounts = self.rooms.accounts().await?;
            let of_account = |account: &Account| Prunable::ALL.map(|what| Chore::Prune(account.id, what));
            self.round = accounts.iter().flat_map(of_account).chain([Chore::ForgetKeys]).collect();
            self.next_round = now + ROUND_EVERY;
        }
        let gone = match self.round.front().copied() {
            None => return Ok(Turn::Idle),
            Some(Chore::Prune(account, what)) => self.prune(account, what, now).await.inspect_err(|error| {
                tracing::error!(%account, ?what, %error, "what is old could not be let go of; the next round tries again");
            }),
            Some(Chore::ForgetKeys) => self.rooms.forget_keys(now, KEYS_AT_ONCE).await,
        };
        // What cannot be done for one account is done for the others.
        if !matches!(gone, Ok(1..)) {
            self.round.pop_front();
        }
        gone.map(|_| Turn::Worked)
    }

    async fn prune(&self, account: AccountId, what: Prunable, now: Timestamp) -> StoreResult<usize> {
        let kept_from = self.rooms.retention(account).await?.before(what, now);
        // A message that is gone cannot be recognised.
        let is_limited = what == Prunable::Messages;
        let before = if is_limited { kept_from.min(self.rooms.dedupe_window().begin(now)) } else { kept_from };
        let gone = self.rooms.prune(account, what, before, PRUNED_AT_ONCE).await?;
        if gone > 0 {
            tracing::debug!(%account, ?what, gone, "let go of what is old");
        }
        Ok(gone)
    }
}

/// Decides which of these messages name the person who is searched for.
fn look_through(search: &Search, messages: &[Message]) -> Searched {
    let marks = PersonMarks::new(&search.email, search.phone.as_deref());
    let is_named = |message: &&Message| marks.are_in(&message.body) || marks.are_in(message.headers.as_bytes());
    let naming: Vec<MessageNumber> = messages.iter().filter(is_named).map(|message| message.number).collect();
    let read_to = messages.last().map(|message| message.number);
    Searched { naming, count: messages.len() as u64, read_to }
}
