//! Attempts under way, each in a task of its own: one that panics or hangs takes nothing with it. Dropping them ends them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use handlers::{Handler, Job, RunFailure};
use jiff::Timestamp;
use store::FailPoint;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

use super::hand::Run;
use super::term::Term;

/// A handler that does not let go of its thread is not waited for longer.
const LET_GO_TIME: Duration = Duration::from_secs(1);

/// The attempts of one handler.
#[derive(Default)]
pub(super) struct Attempts {
    running: JoinSet<Answers>,
    runs: HashMap<Id, Vec<Run>>,
}

/// How a task ends by itself.
enum Answers {
    /// One for each job.
    Given(Vec<Result<String, RunFailure>>),
    TookTooLong,
    TermOver,
}

/// How an attempt is made.
pub(super) struct Manner<'a> {
    pub(super) handler: &'a Arc<dyn Handler>,
    pub(super) time_max: Duration,
    pub(super) term: &'a Term,
}

/// An attempt that has ended.
pub(super) struct Ended {
    pub(super) runs: Vec<Run>,
    pub(super) how: How,
}

/// How an attempt ended.
pub(super) enum How {
    /// The handler said what came of each run.
    Answered(Vec<Result<String, RunFailure>>),
    /// It said nothing, for this reason.
    Broke(String),
    /// It was ended, because the handler may be another's by now.
    Left,
}

impl Attempts {
    /// Attempts under way, a batch being one.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Begins an attempt at these runs; it takes no longer than this, nor than the term.
    pub(super) fn begin(&mut self, mut runs: Vec<Run>, how: Manner<'_>, now: Timestamp) {
        let jobs: Vec<Job> = runs.iter_mut().map(|run| run.begin(now)).collect();
        let (handler, time_max, term) = (how.handler.clone(), how.time_max, how.term.clone());
        let task = self.running.spawn(async move {
            let answers = term.keep(timeout(time_max, answer(&*handler, &jobs))).await;
            FailPoint::RunAfterEffect.pass();
            match answers {
                Some(Ok(answers)) => Answers::Given(answers),
                Some(Err(_)) => Answers::TookTooLong,
                None => Answers::TermOver,
            }
        });
        self.runs.insert(task.id(), runs);
    }

    /// The next that ends; `None` where none is under way.
    pub(super) async fn next(&mut self, time_max: Duration) -> Option<Ended> {
        let ended = self.running.join_next_with_id().await?;
        Some(self.end(ended, time_max))
    }

    /// One that has ended already.
    pub(super) fn try_next(&mut self, time_max: Duration) -> Option<Ended> {
        let ended = self.running.try_join_next_with_id()?;
        Some(self.end(ended, time_max))
    }

    /// Ends all of them, wherever they are; how many runs were in them.
    pub(super) async fn abandon(&mut self) -> usize {
        if timeout(LET_GO_TIME, self.running.shutdown()).await.is_err() {
            tracing::warn!("a handler does not let go of its thread; it goes on by itself");
            self.running.detach_all();
        }
        self.runs.drain().map(|(_, runs)| runs.len()).sum()
    }

    fn end(&mut self, ended: Result<(Id, Answers), JoinError>, time_max: Duration) -> Ended {
        let (id, how) = match ended {
            Ok((id, Answers::Given(answers))) => (id, How::Answered(answers)),
            Ok((id, Answers::TookTooLong)) => (id, How::Broke(format!("took longer than {time_max:?}"))),
            Ok((id, Answers::TermOver)) => (id, How::Left),
            // What it panicked with may hold anything; it is in the process's own output.
            Err(error) => (error.id(), How::Broke("the handler panicked".to_owned())),
        };
        let runs = self.runs.remove(&id).unwrap_or_default();
        Ended { runs, how }
    }
}

async fn answer(handler: &dyn Handler, jobs: &[Job]) -> Vec<Result<String, RunFailure>> {
    match jobs {
        [job] => vec![handler.handle(job).await],
        jobs => handler.handle_batch(jobs).await,
    }
}
