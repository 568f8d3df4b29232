//! Calls of the store as one process makes them: late, busy, refused, broken, out of reach, or silent after they were done.
//! Writes travel by themselves, so one whose process has died may still take effect.

use std::sync::Arc;
use std::time::Duration;

use store::{StoreError, StoreResult};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::machine::Run;
use crate::simulation::Simulation;
use crate::sometimes::Sometimes;

/// A client that hears nothing of the store waits so long.
const PATIENCE: Duration = Duration::from_secs(35);

pub(crate) struct Calls {
    pub(crate) simulation: Arc<Simulation>,
    pub(crate) run: Arc<Run>,
}

/// What happens to one call.
struct Fate {
    before: Duration,
    after: Duration,
    refusal: Option<Refusal>,
    /// It is done, and that is not said.
    loss: Option<Loss>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Busy,
    Unwritable,
    Broken,
    /// It was not done, and nobody says so.
    Unconfirmed,
}

/// How somebody learns that the answer to what was done is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Broken,
    Unconfirmed,
}

/// Whether a call changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Read,
    Write,
}

impl Calls {
    fn fate(&self, call: Call) -> Fate {
        let faults = self.simulation.store_faults();
        let mut dice = self.simulation.dice();
        let mut delay = || Duration::from_millis(if dice.one_in(2) { 0 } else { dice.below(faults.delay_ms_max + 1) });
        let (before, after) = (delay(), delay());
        let refusal = match call {
            _ if dice.one_in(faults.broken_one_in) => Some(Refusal::Broken),
            Call::Write if dice.one_in(faults.busy_one_in) => Some(Refusal::Busy),
            Call::Write if dice.one_in(faults.unwritable_one_in) => Some(Refusal::Unwritable),
            Call::Write if dice.one_in(faults.unconfirmed_one_in) => Some(Refusal::Unconfirmed),
            Call::Read | Call::Write => None,
        };
        let loss = if dice.one_in(faults.lost_one_in) {
            Some(Loss::Broken)
        } else {
            dice.one_in(faults.unconfirmed_one_in).then_some(Loss::Unconfirmed)
        };
        drop(dice);
        if before + after > Duration::from_secs(1) {
            self.simulation.saw(Sometimes::SlowStore);
        }
        Fate { before, after, refusal, loss }
    }

    pub(crate) async fn read<T>(&self, effect: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        self.alive().await;
        let _under_way = self.simulation.begin_call();
        self.reach().await?;
        let fate = self.fate(Call::Read);
        pass(fate.before).await;
        if let Some(refusal) = fate.refusal {
            self.simulation.saw(Sometimes::BrokenRead);
            self.run.plight.thawed().await;
            return Err(refusal.into());
        }
        let answer = effect.await;
        pass(fate.after).await;
        self.run.plight.thawed().await;
        answer
    }

    /// Does a write, or does not, or does it and does not say so.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&Simulation) -> StoreResult<T> + Send + 'static,
    ) -> (Option<Refusal>, StoreResult<T>) {
        self.alive().await;
        let _under_way = self.simulation.begin_call();
        if let Some(until) = self.run.plight.cut_off_until() {
            let may_be_done = self.perhaps_later(until, effect);
            let error = self.reach().await.err().filter(|_| !may_be_done);
            return (None, Err(error.unwrap_or_else(unconfirmed)));
        }
        let fate = self.fate(Call::Write);
        if let Some(refusal) = fate.refusal {
            pass(fate.before).await;
            self.run.plight.thawed().await;
            return (Some(refusal), Err(refusal.into()));
        }
        let answer = if fate.before + fate.after == Duration::ZERO {
            effect(&self.simulation)
        } else {
            self.travel(fate.before, fate.after, effect).await
        };
        let is_cut_off = self.hear().await;
        match fate.loss.filter(|_| answer.is_ok()) {
            Some(Loss::Broken) => (None, Err(StoreError::broken("the answer was lost"))),
            Some(Loss::Unconfirmed) => (None, Err(unconfirmed())),
            None if is_cut_off => (None, Err(unconfirmed())),
            None => (None, answer),
        }
    }

    /// What was sent to a store out of reach may still get there once the way is free, when nobody waits for it any more.
    /// True where it will.
    fn perhaps_later<T: Send + 'static>(
        &self,
        at: Instant,
        effect: impl FnOnce(&Simulation) -> StoreResult<T> + Send + 'static,
    ) -> bool {
        if self.simulation.dice().one_in(2) {
            return false;
        }
        let at = at + Duration::from_millis(self.simulation.dice().below(5_000));
        let (simulation, number, under_way) = (self.simulation.clone(), self.run.number, self.simulation.begin_call());
        tokio::spawn(async move {
            sleep_until(at).await;
            if effect(&simulation).is_ok() {
                simulation.saw(Sometimes::LateWrite);
            }
            simulation.oracle().excuse_unheard(number);
            drop(under_way);
        });
        true
    }

    /// Waits in vain where the store cannot be reached, as a client does that hears nothing.
    async fn reach(&self) -> StoreResult<()> {
        let Some(until) = self.run.plight.cut_off_until() else { return Ok(()) };
        self.simulation.saw(Sometimes::CutOff);
        sleep_until(until.min(Instant::now() + PATIENCE)).await;
        self.run.plight.thawed().await;
        let is_told = self.simulation.dice().one_in(2);
        Err(if is_told { StoreError::Unwritable("it cannot be reached".to_owned()) } else { unconfirmed() })
    }

    /// Waits for the answer to come through; true where it does not.
    async fn hear(&self) -> bool {
        let until = self.run.plight.cut_off_until();
        if let Some(until) = until {
            sleep_until(until.min(Instant::now() + PATIENCE)).await;
        }
        self.run.plight.thawed().await;
        until.is_some()
    }

    async fn travel<T: Send + 'static>(
        &self,
        before: Duration,
        after: Duration,
        effect: impl FnOnce(&Simulation) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let (answer, answered) = oneshot::channel();
        let (simulation, run) = (self.simulation.clone(), self.run.clone());
        let under_way = self.simulation.begin_call();
        tokio::spawn(async move {
            pass(before).await;
            if !run.is_alive() && simulation.dice().one_in(2) {
                simulation.saw(Sometimes::WriteLostInCrash);
                return;
            }
            let done = effect(&simulation);
            pass(after).await;
            if done.is_ok() && !run.is_alive() {
                simulation.saw(Sometimes::CommittedUnheard);
            }
            drop(under_way);
            // Nobody may be there any more to hear it.
            let _ = answer.send(done);
        });
        match answered.await {
            Ok(done) => done,
            Err(_) => std::future::pending().await,
        }
    }

    /// The dead ask nothing, and a broken run goes nowhere.
    async fn alive(&self) {
        if !self.run.is_alive() || self.simulation.is_broken() {
            std::future::pending::<()>().await;
        }
        self.run.plight.thawed().await;
    }
}

fn unconfirmed() -> StoreError {
    StoreError::Unconfirmed("the connection ended".to_owned())
}

async fn pass(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> StoreError {
        match refusal {
            Refusal::Busy => StoreError::Busy(1_000),
            Refusal::Unwritable => StoreError::Unwritable("no space left on device".to_owned()),
            Refusal::Broken => StoreError::broken("the disk made a noise"),
            Refusal::Unconfirmed => unconfirmed(),
        }
    }
}
