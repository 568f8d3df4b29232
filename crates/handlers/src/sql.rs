//! The `sql` handler: keeps the built-in tables in the user's own database, or runs the user's own statements there.
//! Exactly once: the note that a run is done stands in the same transaction as its effect.

mod changes;
mod path;
mod postgres;
mod rows;
mod scan;
mod schema;
mod settings;
mod size;
mod sqlite;
mod statement;
mod tables;
mod text;
mod trouble;
mod work;

use std::sync::Arc;

use async_trait::async_trait;
use receiver::HandlerRules;

use crate::{Handler, Job, RunFailure, RunFailureKind};
use changes::Place;
use postgres::Postgres;
use size::BatchSize;
use sqlite::Sqlite;
use trouble::Trouble;
use work::Work;

pub use scan::Dialect;
pub use schema::{SqlPrefix, schema};
pub use settings::{PostgresTarget, SqlSettings, SqlTarget, SqlTargetError};
pub use statement::{ForEach, Statement, StatementError};
pub use work::SqlWork;

/// Attempts at a transaction that another one crossed, one right after the other.
const CROSSED_ATTEMPTS_MAX: u32 = 4;

/// Writes to the user's own database.
pub struct SqlHandler {
    engine: Engine,
    work: Arc<Work>,
    size: BatchSize,
}

enum Engine {
    Postgres(Box<Postgres>),
    Sqlite(Sqlite),
}

impl SqlHandler {
    /// Makes the handler; connects to nothing yet. The error says what of the settings cannot work here.
    pub fn new(settings: SqlSettings, rules: &HandlerRules) -> Result<SqlHandler, String> {
        let work = Arc::new(Work::new(settings.work, settings.target.dialect()));
        let engine = match settings.target {
            SqlTarget::Postgres(target) => {
                Engine::Postgres(Box::new(Postgres::new(*target, work.clone(), rules, settings.create_tables)?))
            }
            SqlTarget::Sqlite(path) => Engine::Sqlite(Sqlite::new(
                path,
                settings.forbidden_file.as_deref(),
                work.clone(),
                rules.timeout,
                settings.create_tables,
            )?),
        };
        Ok(SqlHandler { engine, work, size: BatchSize::new(rules.timeout) })
    }

    /// Connects, makes tables where it was asked to, and has the database read every statement. For the start, so that
    /// what is wrong is told before the first message; when the database is away, that is no reason not to start.
    pub async fn check(&self) -> Result<(), RunFailure> {
        match &self.engine {
            Engine::Postgres(postgres) => postgres.check().await,
            Engine::Sqlite(sqlite) => sqlite.check().await,
        }
    }

    /// One transaction for all these; tried again at once where another transaction crossed it.
    async fn transact(&self, jobs: &[Job]) -> Result<Vec<String>, RunFailure> {
        let mut attempt = 1;
        loop {
            let outcome = match &self.engine {
                Engine::Postgres(postgres) => postgres.transact(jobs).await,
                Engine::Sqlite(sqlite) => sqlite.transact(jobs).await,
            };
            match outcome {
                Ok(words) => return Ok(words),
                Err(Trouble::Crossed(_)) if attempt < CROSSED_ATTEMPTS_MAX => attempt += 1,
                Err(Trouble::Crossed(failure) | Trouble::Failed(failure)) => return Err(failure),
            }
        }
    }

    /// In as few transactions as their order allows.
    async fn handle_kept(&self, jobs: &[Job]) -> Vec<Result<String, RunFailure>> {
        let mut results: Vec<Result<String, RunFailure>> = Vec::with_capacity(jobs.len());
        while results.len() < jobs.len() {
            let rest = &jobs[results.len()..];
            let piece = &rest[..self.work.count_for_one_transaction(rest).max(1)];
            match self.transact(piece).await {
                Ok(words) => results.extend(words.into_iter().map(Ok)),
                Err(failure) if is_of_target(&failure) => results.resize(jobs.len(), Err(failure)),
                // One that cannot be done must not keep the others from being done.
                Err(_) if piece.len() > 1 => results.extend(self.one_by_one(piece).await),
                Err(failure) => results.push(Err(failure)),
            }
        }
        results
    }

    /// Each in a transaction of its own, until the database itself is in trouble.
    async fn one_by_one(&self, jobs: &[Job]) -> Vec<Result<String, RunFailure>> {
        let mut results: Vec<Result<String, RunFailure>> = Vec::with_capacity(jobs.len());
        for job in jobs {
            let result = self.transact(std::slice::from_ref(job)).await.map(|mut words| words.remove(0));
            let is_over = matches!(&result, Err(failure) if is_of_target(failure));
            results.push(result);
            if is_over {
                let last = results[results.len() - 1].clone();
                results.resize(jobs.len(), last);
                break;
            }
        }
        results
    }
}

#[async_trait]
impl Handler for SqlHandler {
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        self.handle_batch(std::slice::from_ref(job)).await.remove(0)
    }

    async fn handle_batch(&self, jobs: &[Job]) -> Vec<Result<String, RunFailure>> {
        let mut results: Vec<Option<Result<String, RunFailure>>> = Vec::with_capacity(jobs.len());
        let mut kept: Vec<Job> = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(match self.work.place_of(job) {
                Place::Nothing(why) => Some(Ok(why.to_owned())),
                Place::Refused(failure) => Some(Err(failure)),
                Place::Kept => {
                    kept.push(job.clone());
                    None
                }
            });
        }
        let measured = self.size.measure(kept.len());
        let outcomes = self.handle_kept(&kept).await;
        drop(measured);
        let mut outcomes = outcomes.into_iter();
        let of_kept = || Err(RunFailure { kind: RunFailureKind::Retry { after: None }, reason: String::new() });
        results.into_iter().map(|result| result.or_else(|| outcomes.next()).unwrap_or_else(of_kept)).collect()
    }

    fn batch_max(&self) -> usize {
        self.size.max()
    }

    async fn foresee(&self, job: &Job) -> Result<String, RunFailure> {
        match self.work.place_of(job) {
            Place::Kept => Ok(self.work.foresee(job)),
            Place::Nothing(why) => Ok(why.to_owned()),
            Place::Refused(failure) => Err(failure),
        }
    }
}

fn is_of_target(failure: &RunFailure) -> bool {
    matches!(failure.kind, RunFailureKind::Target { .. })
}
