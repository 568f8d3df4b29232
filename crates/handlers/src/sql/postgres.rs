//! The handler on PostgreSQL: two round trips for a transaction, however many messages and statements it has. The first
//! begins it, notes the runs and looks up what the plan needs; the second does the plan and commits.

mod bind;
mod failure;
mod link;
mod pool;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use receiver::HandlerRules;

use super::settings::PostgresTarget;
use super::trouble::Trouble;
use super::work::{ALREADY_DONE, Command, Rows, TRANSACTIONS_PER_PRUNING, Work};
use crate::{Job, RunFailure};
use link::{Broken, Link, Request};
use pool::Pool;

pub(super) struct Postgres {
    pool: Pool,
    work: Arc<Work>,
    transactions: AtomicU64,
}

impl Postgres {
    pub(super) fn new(
        target: PostgresTarget,
        work: Arc<Work>,
        rules: &HandlerRules,
        create_tables: bool,
    ) -> Result<Postgres, String> {
        let pool = Pool::new(target, work.clone(), rules, create_tables)?;
        Ok(Postgres { pool, work, transactions: AtomicU64::new(0) })
    }

    pub(super) async fn check(&self) -> Result<(), RunFailure> {
        let seat = self.pool.take().await?;
        self.pool.give_back(seat);
        Ok(())
    }

    /// One transaction for all these. On a connection that was idle and turns out to be lost it is tried once more on a
    /// new one: whatever had become of it, the notes of the runs tell.
    pub(super) async fn transact(&self, jobs: &[Job]) -> Result<Vec<String>, Trouble> {
        loop {
            let seat = self.pool.take().await.map_err(Trouble::Failed)?;
            let was_idle = seat.was_idle;
            match self.transact_on(&seat.link, jobs).await {
                Ok(words) => {
                    self.prune(&seat.link, jobs).await;
                    self.pool.give_back(seat);
                    return Ok(words);
                }
                Err(Broken::Transaction(trouble)) => {
                    if seat.link.roll_back().await.is_ok() {
                        self.pool.give_back(seat);
                    }
                    return Err(trouble);
                }
                Err(Broken::Connection(_)) if was_idle => {}
                Err(Broken::Connection(failure)) => return Err(Trouble::Failed(failure)),
            }
        }
    }

    async fn transact_on(&self, link: &Link, jobs: &[Job]) -> Result<Vec<String>, Broken> {
        let keys: Vec<String> = jobs.iter().map(Job::idempotency_key).collect();
        let look_up = self.work.look_up(jobs);
        let mut requests = vec![Request::Begin, Request::Run(self.work.note_runs(jobs, &keys))];
        requests.extend(look_up.map(Request::Run));
        let mut answers = link.pipeline(requests).await?.into_iter().skip(1);
        let noted: BTreeSet<String> = answers.next().unwrap_or_default().into_iter().flatten().collect();
        let known = answers.next().unwrap_or_default();
        let fresh: Vec<&Job> =
            jobs.iter().zip(&keys).filter(|(_, key)| noted.contains(*key)).map(|(job, _)| job).collect();
        if fresh.is_empty() {
            link.pipeline(vec![Request::RollBack]).await?;
            return Ok(vec![ALREADY_DONE.to_owned(); jobs.len()]);
        }
        let mut plan = self.work.plan(&fresh, known);
        let commands = std::mem::take(&mut plan.commands);
        let rows = self.commit(link, commands).await?;
        Ok(plan.words(rows, &keys, &noted))
    }

    /// Does the plan and commits. Where a command fails, PostgreSQL makes a rollback of the commit behind it.
    async fn commit(&self, link: &Link, commands: Vec<Command>) -> Result<Rows, Broken> {
        let requests = commands.into_iter().map(Request::Run).chain([Request::Commit]).collect();
        Ok(link.pipeline(requests).await?.into_iter().flatten().collect())
    }

    async fn prune(&self, link: &Link, jobs: &[Job]) {
        let now: Option<Timestamp> = jobs.first().map(|job| job.now);
        let count = self.transactions.fetch_add(1, Ordering::Relaxed);
        if let Some(now) = now.filter(|_| count.is_multiple_of(TRANSACTIONS_PER_PRUNING)) {
            let pruned = link.pipeline(vec![Request::Run(self.work.drop_old_runs(now))]).await;
            if pruned.is_err() {
                tracing::warn!("old notes of runs could not be removed from fanfare_run; they stay until a later look");
            }
        }
    }
}
