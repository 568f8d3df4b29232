//! Accepting messages once, in SQL: all that wait in one transaction. A repetition is looked for by a hash of 64 bits, in a
//! table with one small row for each slot; what is found there is compared, so that a hash decides nothing
//! (docs/decisions/0025-inbox-on-postgres.md).
//!
//! Who accepts for an account holds the row of its counter until the commit. So numbers rise in the order in which messages
//! come to be seen, and of two nodes that are brought the same message the second finds what the first has kept.

mod batch;

use std::sync::Arc;

use receiver::Verified;
use store::{Acceptance, DedupeWindow, StoreError, StoreResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::columns::{Columns, List, list, run, values};
use crate::gather::Gathering;
use crate::session::{Pool, Session};
use batch::{Batch, Newest, Slot};

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
const KEEP: &str = "insert into message (account, number, source, dedupe_key, digest, message_id, headers, received_at,
                                         fan_out, fan_out_index, fan_out_total, body)
    select * from unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::text[],
                         $8::bigint[], $9::bytea[], $10::bigint[], $11::bigint[], $12::bytea[])";
const TAKE_SLOTS: &str = "insert into message_seen (account, fingerprint, number)
    select * from unnest($1::bigint[], $2::bigint[], $3::bigint[])
    on conflict (account, fingerprint) do update set number = excluded.number";
const NOTE_DUPLICATES: &str = "insert into message_duplicate as known (account, number, copies, conflicts, last_at)
    select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    on conflict (account, number) do update
    set copies = known.copies + excluded.copies, conflicts = known.conflicts + excluded.conflicts,
        last_at = excluded.last_at";
const COUNT_ON: &str = "update message_counter as counter set newest = counted.newest
    from unnest($1::bigint[], $2::bigint[]) as counted (account, newest) where counter.account = counted.account";

/// The way into the inbox: messages wait here for the transaction that keeps them.
pub(crate) struct Accepting {
    gathering: Gathering<Waiting, Acceptance>,
    room: Arc<Semaphore>,
}

/// A message that waits, and the room that it takes.
struct Waiting {
    message: Verified,
    window: DedupeWindow,
    _room: OwnedSemaphorePermit,
}

impl Accepting {
    pub(crate) fn new(pool: Pool) -> Accepting {
        let write = move |batch| {
            let pool = pool.clone();
            let answers: crate::gather::Answers<Acceptance> =
                Box::pin(async move { Ok(accept_all(&pool, batch).await) });
            answers
        };
        let room = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
        Accepting { gathering: Gathering::new(BATCH_MAX, WAITING_MAX, write), room }
    }

    /// Keeps a message, or counts it as a copy of the one it repeats. `Busy` where too many wait.
    pub(crate) async fn accept(&self, message: Verified, window: DedupeWindow) -> StoreResult<Acceptance> {
        let bytes = u32::try_from(message.body().len()).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| StoreError::Busy(WAITING_MAX))?;
        self.gathering.ask_or_refuse(Waiting { message, window, _room: room }).await
    }
}

/// Accepts what waits, a transaction for as many as fit one. The answers are in its order.
async fn accept_all(pool: &Pool, waiting: Vec<Waiting>) -> Vec<StoreResult<Acceptance>> {
    let mut answers = Vec::with_capacity(waiting.len());
    let mut rest = &waiting[..];
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(first_piece(rest));
        rest = others;
        match accept(pool, piece).await {
            Ok(accepted) => answers.extend(accepted.into_iter().map(Ok)),
            Err(error) if piece.len() > 1 && may_be_of_one(&error) => {
                for one in piece.chunks(1) {
                    answers.push(accept(pool, one).await.and_then(only));
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

fn only(mut accepted: Vec<Acceptance>) -> StoreResult<Acceptance> {
    accepted.pop().ok_or_else(|| StoreError::broken("a message that was accepted got no answer"))
}

/// Accepts these in one transaction, or none of them.
async fn accept(pool: &Pool, waiting: &[Waiting]) -> StoreResult<Vec<Acceptance>> {
    let messages: Vec<(&Verified, DedupeWindow)> = waiting.iter().map(|one| (&one.message, one.window)).collect();
    let slots: Vec<Slot> = messages.iter().map(|(message, _)| Slot::of(message)).collect();
    let (session, counters) = hold_counters(pool, &slots).await?;
    // Only now, so that whatever was kept before is seen: each statement sees what was committed when it began.
    let known = look(&session, &slots).await?;
    let mut batch = Batch::new(counters, known);
    let accepted = messages.iter().zip(slots).map(|((message, window), slot)| batch.take(message, slot, *window));
    let accepted = accepted.collect();
    write(&session, &batch).await?;
    session.commit().await?;
    Ok(accepted)
}

/// A transaction that holds the counters of these accounts, and how far they have counted. Who comes first to an account
/// begins to count there, in a transaction of its own: so counters are always waited for in their order.
async fn hold_counters(pool: &Pool, slots: &[Slot]) -> StoreResult<(Session, Vec<(i64, i64)>)> {
    let mut accounts: Vec<i64> = slots.iter().map(|slot| slot.account).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let (count, accounts) = (accounts.len(), List(accounts));
    let mut session = pool.session().await?;
    session.begin(None);
    let counters = list(&session, HOLD, values![accounts], |row| Ok((row.value(0)?, row.value(1)?))).await?;
    if counters.len() == count {
        return Ok((session, counters));
    }
    drop(session);
    let mut session = pool.session().await?;
    run(&session, BEGIN_COUNTING, values![accounts]).await?;
    session.begin(None);
    let counters = list(&session, HOLD, values![accounts], |row| Ok((row.value(0)?, row.value(1)?))).await?;
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

/// Writes what has become of a batch. The statements do not need each other, so all of them are sent at once.
async fn write(session: &Session, batch: &Batch<'_>) -> StoreResult<()> {
    let keep = async {
        if batch.kept.is_empty() {
            return Ok(());
        }
        let column = batch.columns();
        let values = values![
            column.accounts,
            column.numbers,
            column.sources,
            column.keys,
            column.digests,
            column.message_ids,
            column.headers,
            column.received_at,
            column.fan_outs,
            column.indexes,
            column.totals,
            column.bodies,
        ];
        run(session, KEEP, values).await
    };
    let take_slots = async {
        let (accounts, fingerprints, numbers) = batch.slots_taken();
        if accounts.0.is_empty() {
            return Ok(());
        }
        run(session, TAKE_SLOTS, values![accounts, fingerprints, numbers]).await
    };
    let count_on = async {
        let (accounts, newest) = batch.counted();
        if batch.kept.is_empty() {
            return Ok(());
        }
        run(session, COUNT_ON, values![accounts, newest]).await
    };
    let note_duplicates = async {
        if batch.duplicates.is_empty() {
            return Ok(());
        }
        let [accounts, numbers, copies, conflicts, last_at] = batch.duplicates_noted();
        run(session, NOTE_DUPLICATES, values![accounts, numbers, copies, conflicts, last_at]).await
    };
    tokio::try_join!(keep, take_slots, count_on, note_duplicates).map(drop)
}
