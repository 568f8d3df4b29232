//! A handler that does what its test says, and remembers what was asked of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use handlers::{Handler, Job, RunFailure, RunFailureKind};
use tokio::time::{Instant, sleep};

/// What the handler does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Succeed,
    Take(Duration),
    Refuse,
    Despair,
    FindTargetDown,
    Panic,
    Hang,
}

/// An attempt that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) body: String,
    pub(crate) attempt: u32,
    pub(crate) at: Instant,
    /// How many jobs came together.
    pub(crate) together: usize,
}

type Script = dyn Fn(&str, u32) -> Deed + Send + Sync;

pub(crate) struct Deeds {
    script: Box<Script>,
    batch_max: usize,
    begun: Mutex<Vec<Begun>>,
    done: Mutex<Vec<String>>,
    now: AtomicUsize,
    now_max: AtomicUsize,
}

impl Deeds {
    /// Does with body and attempt what `script` says.
    pub(crate) fn new(script: impl Fn(&str, u32) -> Deed + Send + Sync + 'static) -> Arc<Deeds> {
        Deeds::in_batches(1, script)
    }

    pub(crate) fn in_batches(
        batch_max: usize,
        script: impl Fn(&str, u32) -> Deed + Send + Sync + 'static,
    ) -> Arc<Deeds> {
        Arc::new(Deeds {
            script: Box::new(script),
            batch_max,
            begun: Mutex::default(),
            done: Mutex::default(),
            now: AtomicUsize::new(0),
            now_max: AtomicUsize::new(0),
        })
    }

    pub(crate) fn begun(&self) -> Vec<Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Bodies in the order they were done.
    pub(crate) fn done(&self) -> Vec<String> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often each body was begun.
    pub(crate) fn attempts(&self) -> BTreeMap<String, usize> {
        self.begun().into_iter().fold(BTreeMap::new(), |mut attempts, begun| {
            *attempts.entry(begun.body).or_default() += 1;
            attempts
        })
    }

    /// Attempts that are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    /// The most attempts that were under way at once.
    pub(crate) fn at_once_max(&self) -> usize {
        self.now_max.load(Ordering::SeqCst)
    }

    async fn act(&self, job: &Job, together: usize) -> Result<String, RunFailure> {
        let body = String::from_utf8(job.message.body.to_vec()).unwrap();
        let begun = Begun { body: body.clone(), attempt: job.attempt, at: Instant::now(), together };
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(begun);
        let failure = |kind| Err(RunFailure { kind, reason: "as the test says".to_owned() });
        match (self.script)(&body, job.attempt) {
            Deed::Succeed => {}
            Deed::Take(time) => sleep(time).await,
            Deed::Refuse => return failure(RunFailureKind::Retry { after: None }),
            Deed::Despair => return failure(RunFailureKind::Hopeless),
            Deed::FindTargetDown => return failure(RunFailureKind::Target { after: None }),
            Deed::Panic => panic!("a poison message, as the test says"),
            Deed::Hang => std::future::pending().await,
        }
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        Ok("done".to_owned())
    }

    fn enter(&self) -> Inside<'_> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.now_max.fetch_max(now, Ordering::SeqCst);
        Inside(&self.now)
    }
}

struct Inside<'d>(&'d AtomicUsize);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Handler for Deeds {
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        let _inside = self.enter();
        self.act(job, 1).await
    }

    async fn foresee(&self, _: &Job) -> Result<String, RunFailure> {
        Ok("nothing".to_owned())
    }

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    async fn handle_batch(&self, jobs: &[Job]) -> Vec<Result<String, RunFailure>> {
        let _inside = self.enter();
        let mut results = Vec::new();
        for job in jobs {
            results.push(self.act(job, jobs.len()).await);
        }
        results
    }
}
