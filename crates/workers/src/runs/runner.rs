//! One handler: makes it known, claims it, and works on it for as long as it is ours.

use std::sync::Arc;
use std::time::Duration;

use receiver::handling::{Paces, Rest};
use store::{FailPoint, StoreError, StoreResult};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::intake::Intake;
use super::tenure::{Tenure, Until};
use super::{RunContext, RunHandler, is_stopped};
use crate::trouble::Trouble;
use crate::{LEASE_FOR, Turn};

/// Another node that has the handler may go away, and hints are lost when a process dies.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Works for one handler.
pub(super) struct Runner {
    pub(super) context: Arc<RunContext>,
    pub(super) handler: Arc<RunHandler>,
    pub(super) intake: Arc<Intake>,
    pub(super) hint: Arc<Notify>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) health: Health,
    is_known: bool,
    trouble: Trouble,
}

/// What is remembered of the handler's target from one lease to the next.
pub(super) struct Health {
    started_at: Instant,
    pub(super) rest: Rest,
    pub(super) paces: Paces,
}

impl Health {
    /// The time that rests and paces are kept by.
    pub(super) fn now(&self) -> Duration {
        self.started_at.elapsed()
    }
}

impl Runner {
    pub(super) fn new(context: Arc<RunContext>, handler: Arc<RunHandler>, stop: watch::Receiver<bool>) -> Runner {
        let health =
            Health { started_at: Instant::now(), rest: Rest::default(), paces: Paces::new(&handler.rules.rates) };
        Runner {
            intake: Arc::new(Intake::new(context.clone(), handler.clone())),
            trouble: Trouble::with("a handler could not be taken up").of(&handler.rules.name),
            context,
            handler,
            hint: Arc::new(Notify::new()),
            stop,
            health,
            is_known: false,
        }
    }

    /// Another for the same handler, that knows nothing yet.
    pub(super) fn afresh(&self) -> Runner {
        let fresh = Runner::new(self.context.clone(), self.handler.clone(), self.stop.clone());
        Runner { hint: self.hint.clone(), ..fresh }
    }

    pub(super) fn name(&self) -> &str {
        &self.handler.rules.name
    }

    /// Poked when there may be something to do.
    pub(super) fn hint(&self) -> Arc<Notify> {
        self.hint.clone()
    }

    /// Works until told to stop, then at most `drain` longer.
    pub(super) async fn run(mut self, drain: Duration) {
        while !is_stopped(&self.stop) {
            let turn = self.serve(Until::Stopped { drain }).await;
            if self.heed(turn) == Turn::Idle {
                tokio::select! {
                    biased;
                    _ = self.stop.changed() => {}
                    () = sleep(POLL_INTERVAL) => {}
                }
            }
        }
    }

    /// Does all that may be done now. A store that fails is told of in the log: there is nothing to do then.
    pub(super) async fn turn(&mut self) -> Turn {
        let turn = self.serve(Until::Idle).await;
        self.heed(turn)
    }

    async fn serve(&mut self, until: Until) -> StoreResult<Turn> {
        let (store, account) = (self.context.store.clone(), self.handler.account);
        if !self.is_known {
            store.introduce_handler(account, self.name(), self.handler.rules.start).await?;
            self.is_known = true;
        }
        let (now, asked_at) = (self.context.clock.now(), Instant::now());
        let claimed = store.claim_handler(account, self.name(), self.context.node, now, LEASE_FOR).await?;
        let Some(lease) = claimed else { return Ok(Turn::Idle) };
        FailPoint::RunAfterClaim.pass();
        self.trouble.end();
        Tenure::begin(self, lease, asked_at).work(until).await
    }

    /// Tells of a trouble once, until it is over.
    fn heed(&mut self, turn: StoreResult<Turn>) -> Turn {
        match turn {
            Err(StoreError::Fenced) => {
                tracing::warn!(handler = self.name(), "another node has the handler; what was in flight is left to it");
                Turn::Idle
            }
            other => self.trouble.heed(other).unwrap_or(Turn::Idle),
        }
    }
}
