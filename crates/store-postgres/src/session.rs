//! Connections out of a pool, and transactions on them. A statement is prepared once on each connection, or, behind a pooler
//! that hands out connections by the transaction, sent whole each time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime, Timeouts};
use futures_util::FutureExt;
use store::{AuditNote, StoreError, StoreResult};
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Statement};

use crate::PATIENCE;
use crate::columns::{Value, broken, in_words, unreachable};
use crate::open::{Address, OpenError, Preparing};

/// Connecting takes milliseconds where the server is there.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// A statement that has not been answered so long after the server should have given it up is lost on the way.
const ANSWER_SLACK: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Pool {
    connections: deadpool_postgres::Pool,
    preparing: Preparing,
    statements: Arc<AtomicU64>,
}

impl Pool {
    /// Connects to nothing yet.
    pub(crate) fn new(address: &Address, statements: Arc<AtomicU64>) -> Result<Pool, OpenError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(address.config(), address.tls(), recycling);
        let times = Timeouts { wait: Some(PATIENCE), create: Some(CONNECT_TIME), recycle: Some(CONNECT_TIME) };
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(address.connections_max())
            .timeouts(times)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| OpenError::Settings(error.to_string()))?;
        Ok(Pool { connections, preparing: address.preparing(), statements })
    }

    pub(crate) fn preparing(&self) -> Preparing {
        self.preparing
    }

    /// Connections that it opens at most.
    pub(crate) fn connections_max(&self) -> usize {
        self.connections.status().max_size
    }

    /// A connection, waited for where all are in use.
    pub(crate) async fn session(&self) -> StoreResult<Session> {
        Ok(Session {
            connection: self.connection().await?,
            preparing: self.preparing,
            statements: self.statements.clone(),
            state: TransactionState::Idle,
            has_failed: AtomicBool::new(false),
            changed: AtomicU64::new(0),
            note: None,
        })
    }

    /// Carries out statements, one after the other, each of which may take as long as `limit`. Their connection leaves the
    /// pool for it and is used for nothing else, so that nothing ever waits behind them or inherits their limit. Behind a
    /// pooler the limit is the server's own.
    pub(crate) async fn execute_at_length(&self, statements: &[String], limit: Duration) -> StoreResult<()> {
        let connection = Object::take(self.connection().await?);
        let limiting = match self.preparing {
            Preparing::Once => Some(format!("set statement_timeout = {}", limit.as_millis())),
            Preparing::Never => None,
        };
        for sql in limiting.iter().chain(statements) {
            self.statements.fetch_add(1, Ordering::Relaxed);
            let done = within(limit + ANSWER_SLACK, connection.batch_execute(sql)).await;
            done.map_err(StoreError::Unconfirmed)?.map_err(|error| broken(&error))?;
        }
        Ok(())
    }

    async fn connection(&self) -> StoreResult<Object> {
        self.connections.get().await.map_err(|error| match error {
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => {
                StoreError::Busy(self.connections.status().waiting)
            }
            PoolError::Backend(error) => unreachable(&error),
            other => StoreError::Unwritable(format!("PostgreSQL cannot be reached: {other}")),
        })
    }
}

/// A connection in use: for single statements, or for one transaction. Dropped before its commit, it takes everything back.
pub(crate) struct Session {
    connection: Object,
    preparing: Preparing,
    statements: Arc<AtomicU64>,
    state: TransactionState,
    /// A statement has failed: whatever follows in the transaction does too.
    has_failed: AtomicBool,
    /// Rows that statements of the transaction have changed.
    changed: AtomicU64,
    note: Option<Arc<AuditNote>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransactionState {
    Idle,
    InTransaction,
}

/// What a statement may have done where its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Read,
    Write,
}

impl Session {
    /// Begins a transaction, without waiting: the statement that follows travels with it.
    pub(crate) fn begin(&mut self, note: Option<Arc<AuditNote>>) {
        self.send("begin");
        self.state = TransactionState::InTransaction;
        self.note = note;
    }

    /// The same for reading: all its queries see one moment.
    pub(crate) fn begin_to_read(&mut self) {
        self.send("begin transaction isolation level repeatable read, read only");
        self.state = TransactionState::InTransaction;
    }

    /// Commits. `Unconfirmed` where the connection ended meanwhile: nobody knows then whether it was kept.
    pub(crate) async fn commit(mut self) -> StoreResult<()> {
        if let Some(note) = self.note.take().filter(|_| self.changed.load(Ordering::Relaxed) > 0) {
            crate::audit::insert(&self, &note).await?;
        }
        if self.has_failed.load(Ordering::Relaxed) {
            return Err(StoreError::broken("a transaction was to be committed after one of its statements had failed"));
        }
        self.count();
        let committing = within_patience(self.connection.batch_execute("commit")).await;
        let committed = match committing {
            Ok(Ok(())) => Ok(()),
            // The server has said why it did not.
            Ok(Err(error)) if !is_unanswered(&error) => Err(broken(&error)),
            Ok(Err(error)) => Err(StoreError::Unconfirmed(error.to_string())),
            Err(late) => Err(StoreError::Unconfirmed(late)),
        };
        if committed.is_ok() {
            self.state = TransactionState::Idle;
        }
        committed
    }

    /// Rows of a query.
    pub(crate) async fn query(&self, sql: &str, values: &[&(dyn Value + Sync)]) -> StoreResult<Vec<Row>> {
        self.count();
        let rows = match self.preparing {
            Preparing::Once => {
                let statement = self.prepare(sql, values).await?;
                let values: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| *value as &(dyn ToSql + Sync)).collect();
                within_patience(self.connection.query(&statement, &values)).await
            }
            Preparing::Never => within_patience(self.connection.query_typed(sql, &typed(values))).await,
        };
        let effect = if may_write(sql) { Effect::Write } else { Effect::Read };
        self.judge(after_the_cause(rows).await, effect)
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(&self, sql: &str, values: &[&(dyn Value + Sync)]) -> StoreResult<u64> {
        self.count();
        let changed = match self.preparing {
            Preparing::Once => {
                let statement = self.prepare(sql, values).await?;
                let values: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| *value as &(dyn ToSql + Sync)).collect();
                within_patience(self.connection.execute(&statement, &values)).await
            }
            Preparing::Never => within_patience(self.connection.execute_typed(sql, &typed(values))).await,
        };
        let changed = self.judge(after_the_cause(changed).await, Effect::Write)?;
        self.note_changes(changed);
        Ok(changed)
    }

    /// Several statements without values, such as a migration.
    pub(crate) async fn execute_all(&self, sql: &str) -> StoreResult<()> {
        self.count();
        let done = within_patience(self.connection.batch_execute(sql)).await;
        self.judge(done, Effect::Write)
    }

    /// Counts changes that a query with `returning` has made.
    pub(crate) fn note_changes(&self, rows: u64) {
        self.changed.fetch_add(rows, Ordering::Relaxed);
    }

    async fn prepare(&self, sql: &str, values: &[&(dyn Value + Sync)]) -> StoreResult<Statement> {
        let types: Vec<Type> = values.iter().map(|value| value.type_in_sql()).collect();
        let prepared = within_patience(self.connection.prepare_typed_cached(sql, &types)).await;
        self.judge(prepared, Effect::Read)
    }

    fn judge<T>(&self, answer: Result<Result<T, tokio_postgres::Error>, String>, effect: Effect) -> StoreResult<T> {
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => match (self.state, effect) {
                // A transaction by itself: who has not heard its answer does not know whether it was carried out.
                (TransactionState::Idle, Effect::Write) if is_unanswered(&error) => {
                    StoreError::Unconfirmed(in_words(&error))
                }
                (TransactionState::Idle | TransactionState::InTransaction, _) => broken(&error),
            },
            Err(late) => StoreError::Unconfirmed(late),
        };
        self.has_failed.store(true, Ordering::Relaxed);
        Err(error)
    }

    fn count(&self) {
        self.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends a statement whose answer nobody waits for: what follows it fails where it does.
    fn send(&self, sql: &str) {
        self.count();
        let _ = self.connection.batch_execute(sql).now_or_never();
    }
}

impl Drop for Session {
    /// Takes back what was not committed.
    fn drop(&mut self) {
        if self.state == TransactionState::InTransaction && !self.connection.is_closed() {
            self.send("rollback");
        }
    }
}

fn typed<'a>(values: &'a [&'a (dyn Value + Sync)]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (*value as &(dyn ToSql + Sync), value.type_in_sql())).collect()
}

/// Of statements that were sent together, those behind one that failed say no more than that they were not carried out. They
/// let it speak first.
async fn after_the_cause<T>(
    answer: Result<Result<T, tokio_postgres::Error>, String>,
) -> Result<Result<T, tokio_postgres::Error>, String> {
    if let Ok(Err(error)) = &answer
        && error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
    {
        yield_now().await;
    }
    answer
}

/// The server gives a statement up by itself; this is for one whose answer does not come at all.
async fn within_patience<T>(answer: impl Future<Output = T>) -> Result<T, String> {
    within(PATIENCE + ANSWER_SLACK, answer).await
}

async fn within<T>(patience: Duration, answer: impl Future<Output = T>) -> Result<T, String> {
    timeout(patience, answer).await.map_err(|_| format!("PostgreSQL has not answered within {} s", patience.as_secs()))
}

/// Whether the server has not said what became of a statement: the connection has ended, or it was stopped under a
/// transaction whose commit may have been on its way.
fn is_unanswered(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(|code| speaks_of_the_connection(code.code()))
}

/// A server that is stopped under a transaction, or a pooler that has lost its server and answers in its place (08).
fn speaks_of_the_connection(code: &str) -> bool {
    code.starts_with("57P") || code.starts_with("08")
}

/// Whether a statement may change something. One that holds rows is taken for one that does, which does no harm.
fn may_write(sql: &str) -> bool {
    ["insert into ", "update ", "delete from "].iter().any(|verb| sql.contains(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pooler_that_lost_its_server_does_not_say_what_became_of_a_commit() {
        assert!(speaks_of_the_connection("08P01") && speaks_of_the_connection("57P01"));
        assert!(!speaks_of_the_connection("23505") && !speaks_of_the_connection("57014"));
    }
}
