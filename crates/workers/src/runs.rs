//! The run supervisor: gives each handler of the inbox a task of its own, so that a slow one never holds up another, and
//! starts it anew where it breaks. What one handler does is in `runs/`.

mod attempts;
mod hand;
mod intake;
mod ledger;
mod runner;
mod tenure;
mod term;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use handlers::{Filter, Handler};
use receiver::handling::HandlerRules;
use receiver::{KeptHeaders, Reading, Subject};
use store::{Chance, Clock, Runs};
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{sleep, timeout};
use wire::{AccountId, NodeId, SourceId};

use crate::Turn;
use runner::Runner;

/// Before a handler whose task broke is taken up again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// For the last outcomes to get to the disk, after the time for runs in flight is over.
const LAST_COMMIT_TIME: Duration = Duration::from_secs(5);

/// What the handlers of a process share.
#[derive(Clone)]
pub struct RunContext {
    /// Handlers' progress, and the messages.
    pub store: Arc<dyn Runs>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub chance: Arc<dyn Chance>,
    /// This process; new at each start.
    pub node: NodeId,
    /// The sources there are. Messages of others go by their source's id.
    pub sources: HashMap<SourceId, SourceLabel>,
    /// How messages are read: [`MessageRead::of`].
    pub read: Reader,
}

/// What handlers know of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLabel {
    /// Its name.
    pub name: Arc<str>,
    /// What all its webhooks are, where its settings say so.
    pub event: Option<String>,
}

/// Reads headers and body; the last is what the source says all its webhooks are.
pub type Reader = fn(&KeptHeaders, &[u8], Option<&str>) -> MessageRead;

/// What a worker wants to know of a message.
#[derive(Clone, Debug)]
pub struct MessageRead {
    /// What it says.
    pub reading: Reading,
    /// Who and what it is about.
    pub subject: Option<Subject>,
    /// In which version.
    pub version: u64,
    /// Whether it only tries whether the receiver works.
    pub is_test: bool,
}

impl MessageRead {
    /// Reads it as `receiver::reading` does.
    #[must_use]
    pub fn of(headers: &KeptHeaders, body: &[u8], event: Option<&str>) -> MessageRead {
        let reading = receiver::reading::read(headers, body, event);
        let says_test = headers.get(wire::headers::FANFARE_TEST) == Some("true");
        let is_test = says_test || matches!(&reading, Reading::Webinar(webinar) if webinar.is_test);
        MessageRead { subject: reading.subject(), version: reading.version(), is_test, reading }
    }
}

/// A handler and the rules it works by.
pub struct RunHandler {
    /// Whose inbox it works on.
    pub account: AccountId,
    /// Its rules.
    pub rules: HandlerRules,
    /// Which of the messages that the rules take it takes; all where there is none.
    pub filter: Option<Filter>,
    /// What it does.
    pub handler: Arc<dyn Handler>,
}

/// Runs the handlers of a process.
pub struct RunSupervisor {
    runners: Vec<Runner>,
    hint: Arc<Notify>,
    stop: watch::Receiver<bool>,
}

impl RunSupervisor {
    /// A supervisor for this process. `hint` is poked when something was accepted; it is only a hint. Nothing more begins
    /// once `stop` holds `true`, or nobody is left to say so.
    pub fn new(
        context: RunContext,
        handlers: Vec<RunHandler>,
        hint: Arc<Notify>,
        stop: watch::Receiver<bool>,
    ) -> RunSupervisor {
        let context = Arc::new(context);
        let runner = |handler| Runner::new(context.clone(), Arc::new(handler), stop.clone());
        RunSupervisor { runners: handlers.into_iter().map(runner).collect(), hint, stop }
    }

    /// One turn of each handler: takes it, does all that may be done now, writes it down, and gives it back.
    pub async fn turn(&mut self) -> Turn {
        let mut found = Turn::Idle;
        for runner in &mut self.runners {
            if runner.turn().await == Turn::Worked {
                found = Turn::Worked;
            }
        }
        found
    }

    /// Runs until told to stop; then waits for what is in flight, at most `drain` long. What is not finished by then is
    /// done again.
    pub async fn run(mut self, drain: Duration) {
        let mut running = JoinSet::new();
        let mut copies: HashMap<Id, Runner> = HashMap::new();
        let pokes: Vec<Arc<Notify>> = self.runners.iter().map(Runner::hint).collect();
        for runner in self.runners.drain(..) {
            let copy = runner.afresh();
            copies.insert(running.spawn(runner.run(drain)).id(), copy);
        }
        while !is_stopped(&self.stop) && !running.is_empty() {
            tokio::select! {
                // The order does not matter, but a simulation must be able to repeat it.
                biased;
                _ = self.stop.changed() => {}
                Some(ended) = running.join_next_with_id() => {
                    let id = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(id, ())| *id);
                    let broke = ended.is_err();
                    let Some(runner) = copies.remove(&id).filter(|_| broke) else { continue };
                    tracing::error!(handler = runner.name(), "a handler's loop broke; it is taken up again");
                    let copy = runner.afresh();
                    let again = async move {
                        sleep(AGAIN_AFTER).await;
                        runner.run(drain).await;
                    };
                    copies.insert(running.spawn(again).id(), copy);
                }
                () = self.hint.notified() => pokes.iter().for_each(|poke| poke.notify_one()),
            }
        }
        let all = async { while running.join_next().await.is_some() {} };
        if timeout(drain + LAST_COMMIT_TIME, all).await.is_err() {
            tracing::warn!("stopped before all outcomes of handlers were on disk; their runs will be done again");
        }
    }
}

pub(crate) fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}
