//! One connection with its prepared statements. Requests are sent without waiting for the answers before them.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::super::trouble::Trouble;
use super::super::work::{Command, Rows, Text};
use super::bind::Bound;
use super::failure;
use crate::RunFailure;

/// What is asked of the server.
pub(super) enum Request {
    Begin,
    Run(Command),
    Commit,
    RollBack,
}

/// Why requests came to nothing.
pub(super) enum Broken {
    /// The transaction failed, the connection is good.
    Transaction(Trouble),
    /// The connection is lost.
    Connection(RunFailure),
}

/// One connection.
pub(super) struct Link {
    client: Client,
    statements: Vec<Prepared>,
    /// Moves the bytes.
    driver: JoinHandle<()>,
}

struct Prepared {
    name: String,
    statement: Statement,
    columns: usize,
}

impl Drop for Link {
    // A transaction that was given up in the middle ends with its connection, and at once.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    pub(super) fn new(client: Client, driver: JoinHandle<()>) -> Link {
        Link { client, statements: Vec::new(), driver }
    }

    /// Has the server read the statements.
    pub(super) async fn prepare(&mut self, texts: &[Text]) -> Result<(), RunFailure> {
        for text in texts {
            let statement =
                self.client.prepare(&text.text).await.map_err(|error| failure::of_preparing(&text.name, &error))?;
            self.statements.push(Prepared { name: text.name.clone(), statement, columns: text.columns });
        }
        Ok(())
    }

    /// Runs several statements without parameters.
    pub(super) async fn run(&self, statements: &str) -> Result<(), Error> {
        self.client.batch_execute(statements).await
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) async fn roll_back(&self) -> Result<(), Error> {
        self.client.batch_execute("rollback").await
    }

    /// Sends all requests in their order at once and gives the answer to each.
    pub(super) async fn pipeline(&self, requests: Vec<Request>) -> Result<Vec<Rows>, Broken> {
        let names: Vec<Option<usize>> = requests
            .iter()
            .map(|request| match request {
                Request::Run(command) => Some(command.statement),
                Request::Begin | Request::Commit | Request::RollBack => None,
            })
            .collect();
        let answers = requests.into_iter().map(|request| Box::pin(self.answer(request)) as Answering<'_>).collect();
        let answers = in_order(answers).await;
        if let Some(broken) = names.iter().zip(&answers).find_map(|(name, answer)| self.broken(*name, answer)) {
            return Err(broken);
        }
        Ok(answers.into_iter().map(Result::unwrap_or_default).collect())
    }

    async fn answer(&self, request: Request) -> Result<Rows, Error> {
        let command = match request {
            Request::Begin => return self.simple("begin isolation level read committed").await,
            Request::Commit => return self.simple("commit").await,
            Request::RollBack => return self.simple("rollback").await,
            Request::Run(command) => command,
        };
        let prepared = &self.statements[command.statement];
        let bound = bind(command.values, &prepared.statement);
        let parameters: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        if prepared.columns == 0 {
            self.client.execute(&prepared.statement, &parameters).await?;
            return Ok(Vec::new());
        }
        let rows = self.client.query(&prepared.statement, &parameters).await?;
        rows.iter().map(|row| (0..prepared.columns).map(|column| row.try_get(column)).collect()).collect()
    }

    async fn simple(&self, statement: &str) -> Result<Rows, Error> {
        self.client.batch_execute(statement).await.map(|()| Vec::new())
    }

    /// What an error means; those that only follow from an earlier one mean nothing.
    fn broken(&self, statement: Option<usize>, answer: &Result<Rows, Error>) -> Option<Broken> {
        let error = answer.as_ref().err()?;
        let name = statement.map_or("the transaction", |place| self.statements[place].name.as_str());
        failure::of_running(name, error)
    }
}

fn bind(values: Vec<Value>, statement: &Statement) -> Vec<Bound> {
    values.into_iter().zip(statement.params()).map(|(value, kind)| Bound::of(value, kind)).collect()
}

type Answering<'l> = Pin<Box<dyn Future<Output = Result<Rows, Error>> + Send + 'l>>;

/// Waits for all. The first look at each is in their order, and a request is sent at the first look: no library's join
/// promises that, and a commit sent before an effect would lose it.
async fn in_order(mut waiting: Vec<Answering<'_>>) -> Vec<Result<Rows, Error>> {
    let mut answers: Vec<Option<Result<Rows, Error>>> = waiting.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, answer) in waiting.iter_mut().zip(&mut answers).filter(|(_, answer)| answer.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(context) {
                *answer = Some(ready);
            }
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    answers.into_iter().flatten().collect()
}
