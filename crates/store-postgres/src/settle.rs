//! The commits of lanes: segments, cursors, exceptions and health in one transaction, under each lease's epoch. Those of all
//! lanes of a process that wait are one transaction, of the same few statements however many they are
//! (docs/decisions/0023-lanes-on-postgres.md). What is written is in `settle/rows.rs`.

mod batch;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::{FailPoint, Lease, Settled, Settlement, StoreError, StoreResult};
use tokio::sync::Semaphore;

use crate::gather::{Answers, Gathering, Linger};
use crate::lanes::{Crossing, Held, Standing, hold};
use crate::outcome::{Fate, find_out};
use crate::session::{Pool, Session};
use batch::Batch;

/// Settlements in one transaction. Its lanes are held until it ends, some tens of milliseconds at the most.
const TOGETHER_MAX: usize = 1_024;
/// As many lanes as a process works on; each has one settlement under way.
const WAITING_MAX: usize = 4_096;
/// With so many outcomes each costs little: a transaction is five statements where all is well.
const ENOUGH: usize = 1_024;
/// From one transaction to the next, unless there is enough for it. At full speed one lane alone has some 500 outcomes by
/// then, and so have many lanes that have a few each; at a low speed nothing waits, since the last one is long ago. It adds
/// less to what a crash repeats than the 50 ms for which a lane waits for company anyway.
const APART: Duration = Duration::from_millis(20);
/// How often a settlement is passed over because its lane is in other hands (an order, a save that wakes many lanes), before
/// it waits for the lane in a transaction of its own: about a second.
const PASSED_OVER_MAX: usize = 50;
/// Settlements that wait for their lane each hold a connection meanwhile.
const ALONE_MAX: usize = 2;

/// Where lanes bring their settlements.
pub(crate) struct Settling {
    gathering: Gathering<Asked, Answer>,
    pool: Pool,
    alone: Semaphore,
}

/// A settlement, and for whom.
pub(crate) struct Asked {
    lease: Lease,
    settlement: Arc<Settlement>,
    /// What rows that are due at once are due by; null for the database's own time.
    now: Option<i64>,
}

/// What becomes of a settlement in a transaction.
enum Answer {
    Settled(Settled),
    /// Its lane is in other hands just now.
    PassedOver,
    /// One of those in the transaction does not fit, and it may be this one.
    Alone,
}

impl Settling {
    pub(crate) fn new(pool: Pool) -> Settling {
        let own = pool.clone();
        let write = move |asked| -> Answers<Answer> {
            let pool = pool.clone();
            Box::pin(async move { settle_together(&pool, asked).await })
        };
        let linger = Linger { apart: APART, enough: ENOUGH, weigh: Asked::weight };
        let gathering = Gathering::new(TOGETHER_MAX, WAITING_MAX, write).lingering(linger);
        Settling { gathering, pool: own, alone: Semaphore::new(ALONE_MAX) }
    }

    /// Writes a settlement, or nothing where the lane has another owner. `now` is the store's `lease_now`.
    pub(crate) async fn settle(
        &self,
        lease: Lease,
        settlement: Arc<Settlement>,
        now: Option<i64>,
    ) -> StoreResult<Settled> {
        for _ in 0..PASSED_OVER_MAX {
            let asked = Asked { lease, settlement: settlement.clone(), now };
            match self.gathering.ask(asked).await? {
                Answer::Settled(settled) => return Ok(settled),
                Answer::PassedOver => {}
                Answer::Alone => break,
            }
        }
        self.settle_alone(Asked { lease, settlement, now }).await
    }

    async fn settle_alone(&self, asked: Asked) -> StoreResult<Settled> {
        let _place = self.alone.acquire().await.map_err(StoreError::broken)?;
        let mut answers = settle(&self.pool, std::slice::from_ref(&asked), Crossing::Wait).await?;
        match answers.pop() {
            Some(Ok(Answer::Settled(settled))) => Ok(settled),
            Some(Err(error)) => Err(error),
            Some(Ok(Answer::PassedOver | Answer::Alone)) | None => Err(StoreError::Busy(0)),
        }
    }
}

impl Asked {
    /// Outcomes in it.
    fn weight(&self) -> usize {
        let outcomes: usize = self.settlement.segments.iter().map(|(_, segment)| segment.count as usize).sum();
        outcomes.max(1)
    }
}

/// The end of the last attempt of which something is left to do.
pub(crate) fn last_failure(settlement: &Settlement) -> Option<Timestamp> {
    settlement.exceptions.iter().filter_map(|exception| exception.last).map(|(_, at)| at).max()
}

/// Settles all in one transaction. Where one of them does not fit, each goes alone: it fails none of the others.
async fn settle_together(pool: &Pool, asked: Vec<Asked>) -> StoreResult<Vec<StoreResult<Answer>>> {
    match settle(pool, &asked, Crossing::Pass).await {
        Err(StoreError::Unwritable(why)) => Err(StoreError::Unwritable(why)),
        Err(StoreError::Unconfirmed(why)) => Err(StoreError::Unconfirmed(why)),
        Err(error) => {
            tracing::warn!(settlements = asked.len(), %error, "settlements do not fit one transaction; each gets its own");
            Ok(asked.iter().map(|_| Ok(Answer::Alone)).collect())
        }
        answers => answers,
    }
}

/// One transaction. The answers are in the order of those who ask.
async fn settle(pool: &Pool, asked: &[Asked], crossing: Crossing) -> StoreResult<Vec<StoreResult<Answer>>> {
    let mut session = pool.session().await?;
    session.begin(None);
    let leases: Vec<Lease> = asked.iter().map(|asked| asked.lease).collect();
    let held = before_commit(hold(&session, &leases, crossing).await)?;
    let ours = asked.iter().zip(&held.standings).filter(|(_, standing)| matches!(standing, Standing::Ours(_)));
    let batch = Batch::of(ours.map(|(asked, _)| asked));
    if !batch.is_empty() {
        before_commit(rows::write(&session, &batch).await)?;
        FailPoint::BatchBeforeCommit.pass();
        commit(pool, session, &held, &batch).await?;
        FailPoint::BatchAfterCommit.pass();
    }
    Ok(held.standings.iter().map(answer).collect())
}

fn answer(standing: &Standing) -> StoreResult<Answer> {
    match standing {
        Standing::Ours(signal) => Ok(Answer::Settled(Settled { signal: *signal })),
        Standing::Busy => Ok(Answer::PassedOver),
        Standing::Over => Err(StoreError::Fenced),
    }
}

/// What is lost before the commit is sent was not kept: it may be asked for again.
fn before_commit<T>(result: StoreResult<T>) -> StoreResult<T> {
    result.map_err(|error| match error {
        StoreError::Unconfirmed(why) => StoreError::Unwritable(why),
        other => other,
    })
}

/// Commits. Where the answer is lost it is found out, so that nothing is written twice and nothing is sent twice.
async fn commit(pool: &Pool, session: Session, held: &Held, batch: &Batch<'_>) -> StoreResult<()> {
    let why = match session.commit().await {
        Err(StoreError::Unconfirmed(why)) => why,
        committed => return committed,
    };
    let Some(mark) = &held.mark else { return Err(StoreError::Unconfirmed(why)) };
    tracing::warn!(why, "a commit of lanes was not answered; finding out what became of it");
    match batch.find_out(pool, mark).await {
        Fate::Kept => Ok(()),
        Fate::TakenBack => Err(StoreError::Unwritable(format!("{why}; nothing was kept"))),
        Fate::Unknown(why) => Err(StoreError::Unconfirmed(why)),
    }
}
