//! What the simulated handlers do: of each message and attempt the same in every run of a seed.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use handlers::{Handler, Job, RunFailure, RunFailureKind};
use store::Message;
use tokio::time::sleep;

use super::dice::Dice;
use super::oracle::{End, Oracle, UnderWay};

/// The first fails in all ways, the second never.
pub(super) const HANDLERS: [&str; 2] = ["bad", "good"];
pub(super) const POISON: &str = "a poison message, as the seed says";

pub(super) struct Simulated {
    pub(super) process: u64,
    pub(super) seed: u64,
    pub(super) batch_max: usize,
    pub(super) is_alive: Arc<AtomicBool>,
    pub(super) oracle: Arc<Oracle>,
}

/// Whether the handlers take it.
pub(super) fn is_taken(message: &Message) -> bool {
    message.headers.contains("ours.")
}

impl Simulated {
    /// What comes of the job once the other jobs of its transaction have come to theirs.
    async fn act(&self, job: &Job) -> (UnderWay<'_>, Result<String, RunFailure>) {
        self.live().await;
        let under_way = self.oracle.begin(self.process, job);
        let mut hasher = DefaultHasher::new();
        (self.seed, &*job.message.body, job.attempt).hash(&mut hasher);
        let mut dice = Dice::new(hasher.finish());
        let is_good = &*job.handler == HANDLERS[1];
        if dice.one_in(2) {
            sleep(Duration::from_millis(dice.below(if is_good { 40 } else { 3_000 }))).await;
            self.live().await;
        }
        let choice = if is_good { 29 } else { dice.below(30) };
        let after = dice.one_in(3).then(|| Duration::from_secs(dice.below(90)));
        let kind = match choice {
            0 => {
                self.oracle.saw("an attempt that panicked");
                panic!("{POISON}");
            }
            1 => {
                self.oracle.saw("an attempt that hung");
                std::future::pending().await
            }
            2..=4 => RunFailureKind::Retry { after },
            5 => RunFailureKind::Hopeless,
            6..=8 => {
                self.oracle.saw("a target that was down");
                RunFailureKind::Target { after }
            }
            _ => return (under_way, Ok("done".to_owned())),
        };
        (under_way, Err(RunFailure { kind, reason: "as the seed says".to_owned() }))
    }

    /// The dead do nothing.
    async fn live(&self) {
        if !self.is_alive.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Handler for Simulated {
    async fn handle(&self, job: &Job) -> Result<String, RunFailure> {
        self.handle_batch(std::slice::from_ref(job)).await.remove(0)
    }

    async fn foresee(&self, _: &Job) -> Result<String, RunFailure> {
        Ok("nothing".to_owned())
    }

    fn batch_max(&self) -> usize {
        self.batch_max
    }

    async fn handle_batch(&self, jobs: &[Job]) -> Vec<Result<String, RunFailure>> {
        let mut acts = Vec::new();
        for job in jobs {
            acts.push(self.act(job).await);
        }
        let commit = |(under_way, answer): (UnderWay<'_>, Result<_, _>)| {
            under_way.end(if answer.is_ok() { End::Done } else { End::Failed });
            answer
        };
        acts.into_iter().map(commit).collect()
    }
}
