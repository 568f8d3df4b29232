//! Accepting messages once, in SQL: all that wait in one transaction. A repetition is looked for by a hash of 64 bits, in a
//! table with one small row for each slot; what is found there is compared, so that a hash decides nothing
//! (docs/decisions/0025-inbox-on-postgres.md).
//!
//! Who accepts for an account holds the row of its counter until the commit. So numbers rise in the order in which messages
//! come to be seen, and of two nodes that are brought the same message the second finds what the first has kept.

mod batch;
mod writing;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use receiver::Verified;
use store::{Acceptance, DedupeWindow, StoreError, StoreResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Row;
use wire::AccountId;

use crate::columns::{Columns, List, list, run, values};
use crate::gather::{Answers, Gathering};
use crate::session::{Pool, Session};
use batch::{Batch, Newest, Slot};
use writing::write;

/// Messages in one transaction. More of them would only make the first ones wait.
const BATCH_MAX: usize = 512;
/// Bytes of bodies in one transaction, and in the memory that sending it takes; but for a first that is longer.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages that may wait. Beyond it senders are told to come back.
const WAITING_MAX: usize = 4_096;
/// Bytes that their bodies may hold in memory; with bodies of 1 MiB few of them may.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

const HOLD: &str = "select account, newest from message_counter where account = any($1) order by account
    for no key update";
/// Those that nobody else holds: another node that is stopped at a wrong moment may hold one for long.
const HOLD_FREE: &str = "select account, newest from message_counter where account = any($1) order by account
    for no key update skip locked";
const COUNTING: &str = "select account from message_counter where account = any($1)";
const BEGIN_COUNTING: &str = "insert into message_counter (account, newest)
    select account, 0 from unnest($1::bigint[]) as of (account) order by account on conflict do nothing";
/// Each slot is looked up by itself, however few rows the planner takes the tables to have.
pub(crate) const SEEN: &str =
    "select asked.account, asked.fingerprint, m.number, m.source, m.dedupe_key, m.received_at, m.digest
    from unnest($1::bigint[], $2::bigint[]) as asked (account, fingerprint)
    cross join lateral (select s.number from message_seen as s
        where s.account = asked.account and s.fingerprint = asked.fingerprint limit 1) as seen
    cross join lateral (select * from message as m
        where m.account = asked.account and m.number = seen.number limit 1) as m";
/// Accounts whose counters are waited for at once, each on a connection.
const WAITED_FOR_MAX: usize = 2;

/// The way into the inbox: messages wait here for the transaction that keeps them.
pub(crate) struct Accepting {
    gathering: Gathering<Waiting, Answer>,
    /// Of accounts whose counters others hold just now, which are waited for: each by itself, so that one that is held for
    /// long holds up no other for longer than `HELD_FOR`.
    crossed: Gathering<Waiting, Answer>,
    room: Arc<Semaphore>,
}

/// What becomes of a message in a transaction.
enum Answer {
    Accepted(Acceptance),
    /// Another holds the counter of its account.
    PassedOver(Box<Waiting>),
}

/// What to do about a counter that another holds.
#[derive(Clone, Copy)]
enum Crossing {
    Pass,
    Wait,
}

/// A message that waits, and the room that it takes.
struct Waiting {
    message: Verified,
    window: DedupeWindow,
    _room: OwnedSemaphorePermit,
}

impl Accepting {
    pub(crate) fn new(pool: Pool) -> Accepting {
        let own = pool.clone();
        let write = move |batch| -> Answers<Answer> {
            let pool = pool.clone();
            Box::pin(async move { Ok(accept_all(&pool, batch, Crossing::Pass).await) })
        };
        let write_crossed = move |batch| -> Answers<Answer> {
            let pool = own.clone();
            Box::pin(async move { Ok(accept_crossed(&pool, batch).await) })
        };
        Accepting {
            gathering: Gathering::new(BATCH_MAX, WAITING_MAX, write),
            crossed: Gathering::new(BATCH_MAX, WAITING_MAX, write_crossed),
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
        }
    }

    /// Keeps a message, or counts it as a copy of the one it repeats. `Busy` where too many wait, or another holds the counter
    /// of its account for long.
    pub(crate) async fn accept(&self, message: Verified, window: DedupeWindow) -> StoreResult<Acceptance> {
        let bytes = u32::try_from(message.body().len()).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| StoreError::Busy(WAITING_MAX))?;
        let waiting = match self.gathering.ask_or_refuse(Waiting { message, window, _room: room }).await? {
            Answer::Accepted(acceptance) => return Ok(acceptance),
            Answer::PassedOver(waiting) => *waiting,
        };
        match self.crossed.ask_or_refuse(waiting).await? {
            Answer::Accepted(acceptance) => Ok(acceptance),
            Answer::PassedOver(_) => Err(StoreError::Busy(0)),
        }
    }
}

/// Accepts messages whose counters others hold: account by account, a few at a time. The answers are in their order.
async fn accept_crossed(pool: &Pool, waiting: Vec<Waiting>) -> Vec<StoreResult<Answer>> {
    let total = waiting.len();
    let mut accounts: BTreeMap<AccountId, (Vec<usize>, Vec<Waiting>)> = BTreeMap::new();
    for (nth, one) in waiting.into_iter().enumerate() {
        let of_account = accounts.entry(one.message.account()).or_default();
        of_account.0.push(nth);
        of_account.1.push(one);
    }
    let accept = async |(places, waiting): (Vec<usize>, Vec<Waiting>)| {
        places.into_iter().zip(accept_all(pool, waiting, Crossing::Wait).await).collect::<Vec<_>>()
    };
    let mut answers: Vec<_> =
        stream::iter(accounts.into_values()).map(accept).buffer_unordered(WAITED_FOR_MAX).concat().await;
    debug_assert_eq!(answers.len(), total);
    answers.sort_unstable_by_key(|(nth, _)| *nth);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Accepts what waits, a transaction for as many as fit one. The answers are in its order.
async fn accept_all(pool: &Pool, waiting: Vec<Waiting>, crossing: Crossing) -> Vec<StoreResult<Answer>> {
    let accepted = accept_pieces(pool, &waiting, crossing).await;
    let answer = |(accepted, waiting): (StoreResult<Option<Acceptance>>, Waiting)| {
        Ok(accepted?.map_or_else(|| Answer::PassedOver(Box::new(waiting)), Answer::Accepted))
    };
    accepted.into_iter().zip(waiting).map(answer).collect()
}

/// Accepts these; nothing comes of those that are passed over.
async fn accept_pieces(pool: &Pool, waiting: &[Waiting], crossing: Crossing) -> Vec<StoreResult<Option<Acceptance>>> {
    let mut answers = Vec::with_capacity(waiting.len());
    let mut rest = waiting;
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(first_piece(rest));
        rest = others;
        match accept(pool, piece, crossing).await {
            Ok(accepted) => answers.extend(accepted.into_iter().map(Ok)),
            Err(error) if piece.len() > 1 && may_be_of_one(&error) => {
                for one in piece.chunks(1) {
                    answers.push(accept(pool, one, crossing).await.and_then(only));
                }
            }
            Err(error) if may_be_of_one(&error) => answers.push(Err(error)),
            // What waits behind it would fail alike, each after a wait of its own.
            Err(error) => answers.resize_with(waiting.len(), || Err(error.again())),
        }
        if answers.len() == waiting.len() {
            break;
        }
    }
    answers
}

/// How many of those that wait fit one transaction.
fn first_piece(waiting: &[Waiting]) -> usize {
    let mut bytes = 0;
    let fits = |one: &&Waiting| {
        bytes += one.message.body().len();
        bytes <= BATCH_BYTES_MAX
    };
    waiting.iter().take_while(fits).count().max(1)
}

/// Whether one message may be to blame, and the others would be kept without it.
fn may_be_of_one(error: &StoreError) -> bool {
    match error {
        StoreError::Missing(_) | StoreError::Exists(_) | StoreError::Broken(_) => true,
        StoreError::Busy(_)
        | StoreError::Fenced
        | StoreError::VersionConflict { .. }
        | StoreError::Unwritable(_)
        | StoreError::DiskFailed(_)
        | StoreError::Unconfirmed(_) => false,
    }
}

fn only(mut accepted: Vec<Option<Acceptance>>) -> StoreResult<Option<Acceptance>> {
    accepted.pop().ok_or_else(|| StoreError::broken("a message that was accepted got no answer"))
}

/// Accepts these in one transaction, or none of them; but for those whose counters are passed over.
async fn accept(pool: &Pool, waiting: &[Waiting], crossing: Crossing) -> StoreResult<Vec<Option<Acceptance>>> {
    let asked: Vec<Slot> = waiting.iter().map(|one| Slot::of(&one.message)).collect();
    let (session, counters) = hold_counters(pool, &asked, crossing).await?;
    let held: HashSet<i64> = counters.iter().map(|(account, _)| *account).collect();
    if held.is_empty() {
        return Ok(asked.iter().map(|_| None).collect());
    }
    let slots: Vec<Slot> = asked.iter().filter(|slot| held.contains(&slot.account)).copied().collect();
    // Only now, so that whatever was kept before is seen: each statement sees what was committed when it began.
    let known = look(&session, &slots).await?;
    let mut batch = Batch::new(counters, known);
    let take = |(one, slot): (_, Slot)| {
        let Waiting { message, window, .. }: &Waiting = one;
        held.contains(&slot.account).then(|| batch.take(message, slot, *window))
    };
    let accepted = waiting.iter().zip(asked).map(take).collect();
    write(&session, &batch).await?;
    session.commit().await?;
    Ok(accepted)
}

/// A transaction that holds the counters of these accounts, and how far they have counted. Who comes first to an account
/// begins to count there, in a transaction of its own: so counters are always waited for in their order.
async fn hold_counters(pool: &Pool, slots: &[Slot], crossing: Crossing) -> StoreResult<(Session, Vec<(i64, i64)>)> {
    let mut accounts: Vec<i64> = slots.iter().map(|slot| slot.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let (count, accounts) = (accounts.len(), List(accounts));
    let hold = match crossing {
        Crossing::Pass => HOLD_FREE,
        Crossing::Wait => HOLD,
    };
    let read = |row: &Row| Ok((row.value(0)?, row.value(1)?));
    let mut session = pool.session().await?;
    session.begin(None);
    let counters = list(&session, hold, values![accounts], read).await?;
    if counters.len() == count {
        return Ok((session, counters));
    }
    if list(&session, COUNTING, values![accounts], |row| row.value::<i64>(0)).await?.len() == count {
        // Some are passed over.
        return Ok((session, counters));
    }
    drop(session);
    let mut session = pool.session().await?;
    run(&session, BEGIN_COUNTING, values![accounts]).await?;
    session.begin(None);
    let counters = list(&session, hold, values![accounts], read).await?;
    Ok((session, counters))
}

/// The newest messages of these slots.
async fn look(session: &Session, slots: &[Slot]) -> StoreResult<Vec<(Slot, Newest)>> {
    let mut slots = slots.to_vec();
    slots.sort_unstable();
    slots.dedup();
    let accounts = List(slots.iter().map(|slot| slot.account).collect());
    let fingerprints = List(slots.iter().map(|slot| slot.fingerprint).collect());
    list(session, SEEN, values![accounts, fingerprints], |row| {
        let slot = Slot { account: row.value(0)?, fingerprint: row.value(1)? };
        let (number, source, key) = (row.value(2)?, row.id(3)?, row.value(4)?);
        Ok((slot, Newest { number, source, key, received_at: row.value(5)?, digest: row.value(6)? }))
    })
    .await
}
