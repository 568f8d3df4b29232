//! The commits of lanes: segments, cursors, exceptions and health in one transaction, under each lease's epoch. Those of all
//! lanes of a process that wait are one transaction, of the same few statements however many they are
//! (docs/decisions/0023-lanes-on-postgres.md). What every settlement writes is in `settle/progress.rs`, what few do in
//! `settle/rest.rs`.

mod progress;
mod rest;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::{FailPoint, LANES_OF_NODE_MAX, Lease, Settled, Settlement, StoreError, StoreResult};
use tokio::sync::Semaphore;

use crate::gather::{Answers, Gathering, Linger};
use crate::lanes::{Crossing, LeaseStanding, standings};
use crate::outcome::{Fate, Mark};
use crate::session::{Pool, Session};
use rest::Rest;

/// Settlements in one transaction. Its lanes are held until it ends, some tens of milliseconds at the most.
const TOGETHER_MAX: usize = 1_024;
/// With so many outcomes each costs little: a transaction is three statements where all is well.
const ENOUGH: usize = 1_024;
/// From one transaction to the next, unless there is enough for it. At full speed one lane alone has some hundreds of
/// outcomes by then, and so have many lanes that have a few each; at a low speed nothing waits, since the last one is long
/// ago. It adds less to what a crash repeats than the 50 ms for which a lane waits for company anyway.
const APART: Duration = Duration::from_millis(25);
/// How often a settlement is passed over because its lane is in other hands (an order, a save that wakes many lanes), before
/// it waits for the lane in a transaction of its own: about a second.
const PASSED_OVER_MAX: usize = 40;
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
    /// The store's `lease_now`.
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
        let gathering = Gathering::new(TOGETHER_MAX, LANES_OF_NODE_MAX, write).lingering(linger);
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
        match settle(&self.pool, std::slice::from_ref(&asked), Crossing::Wait).await?.first() {
            Some(LeaseStanding::Ours(signal)) => Ok(Settled { signal: *signal }),
            Some(LeaseStanding::Over) => Err(StoreError::Fenced),
            Some(LeaseStanding::Busy) | None => Err(StoreError::Busy(0)),
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
    // A lane has one settlement under way; a second one of it, perhaps under another lease, is not of the same transaction.
    let mut lanes = HashSet::new();
    let first: Vec<bool> =
        asked.iter().map(|asked| lanes.insert((asked.lease.account, asked.lease.endpoint))).collect();
    let total = asked.len();
    let once: Vec<Asked> = asked.into_iter().zip(&first).filter_map(|(asked, first)| first.then_some(asked)).collect();
    let mut standings = match settle(pool, &once, Crossing::Pass).await {
        Ok(standings) => standings.into_iter(),
        Err(error @ (StoreError::Unwritable(_) | StoreError::Unconfirmed(_))) => return Err(error),
        Err(error) => {
            tracing::warn!(settlements = total, %error, "settlements do not fit one transaction; each gets its own");
            return Ok((0..total).map(|_| Ok(Answer::Alone)).collect());
        }
    };
    let mut answer = |is_first: bool| match if is_first { standings.next() } else { None } {
        Some(LeaseStanding::Ours(signal)) => Ok(Answer::Settled(Settled { signal })),
        Some(LeaseStanding::Busy) | None => Ok(Answer::PassedOver),
        Some(LeaseStanding::Over) => Err(StoreError::Fenced),
    };
    Ok(first.into_iter().map(&mut answer).collect())
}

/// One transaction: how the lease of each stands, in their order. Those that are ours are settled, and known to be.
async fn settle(pool: &Pool, asked: &[Asked], crossing: Crossing) -> StoreResult<Vec<LeaseStanding>> {
    let mut session = pool.session().await?;
    session.begin(None);
    let (standings, mark) = before_commit(write(&session, asked, crossing).await)?;
    // Nobody's lease stands: nothing was written.
    let Some(mark) = mark else { return Ok(standings) };
    FailPoint::BatchBeforeCommit.pass();
    commit(pool, session, &mark, asked.iter().zip(&standings).filter(is_ours).map(|(asked, _)| asked)).await?;
    FailPoint::BatchAfterCommit.pass();
    Ok(standings)
}

async fn write(
    session: &Session,
    asked: &[Asked],
    crossing: Crossing,
) -> StoreResult<(Vec<LeaseStanding>, Option<Mark>)> {
    let (held, mark) = progress::save(session, asked, crossing).await?;
    let leases: Vec<Lease> = asked.iter().map(|asked| asked.lease).collect();
    let standings = standings(session, &leases, &held).await?;
    let ours = asked.iter().zip(&standings).filter(is_ours).map(|(asked, _)| asked);
    rest::save(session, &Rest::of(ours)).await?;
    Ok((standings, mark))
}

fn is_ours((_, standing): &(&Asked, &LeaseStanding)) -> bool {
    matches!(standing, LeaseStanding::Ours(_))
}

/// What is lost before the commit is sent was not kept: it may be asked for again.
fn before_commit<T>(result: StoreResult<T>) -> StoreResult<T> {
    result.map_err(|error| match error {
        StoreError::Unconfirmed(why) => StoreError::Unwritable(why),
        other => other,
    })
}

/// Commits what these have written. Where the answer is lost it is found out, so that nothing is written twice and nothing is
/// sent twice.
async fn commit<'a>(
    pool: &Pool,
    session: Session,
    mark: &Mark,
    ours: impl Iterator<Item = &'a Asked>,
) -> StoreResult<()> {
    let why = match session.commit().await {
        Err(StoreError::Unconfirmed(why)) => why,
        committed => return committed,
    };
    tracing::warn!(why, "a commit of lanes was not answered; finding out what became of it");
    match progress::find_out(pool, mark, ours).await {
        Fate::Kept => Ok(()),
        Fate::TakenBack => Err(StoreError::Unwritable(format!("{why}; nothing was kept"))),
        Fate::Unknown(why) => Err(StoreError::Unconfirmed(why)),
    }
}
