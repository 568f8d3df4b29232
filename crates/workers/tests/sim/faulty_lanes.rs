//! The store as one process reaches it: late, busy, full, broken, or silent after it has done what it was asked. Writes
//! travel by themselves, so one whose process has died may still take effect.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::Timestamp;
use provider::frontier::Place;
use provider::lane::LaneState;
use store::{
    Due, Exception, ExceptionState, FanOut, LaneWork, Lanes, Lease, Member, Room, Settled, Settlement, StoreError,
    StoreResult,
};
use tokio::sync::oneshot;
use tokio::time::sleep;
use wire::{AccountId, FanOutId, NodeId};

use crate::machine::Run;
use crate::sabotage::Sabotage;
use crate::simulation::Simulation;
use crate::sometimes::Sometimes;

pub(crate) struct FaultyLanes {
    simulation: Arc<Simulation>,
    run: Arc<Run>,
}

/// What happens to one call.
struct Fate {
    before: Duration,
    after: Duration,
    refusal: Option<Refusal>,
    is_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Busy,
    Unwritable,
    Broken,
}

/// Whether a call changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Read,
    Write,
}

/// Retries that are due this much later are given out by a store that hurries.
const HURRY: Duration = Duration::from_secs(3_600);
/// A sabotaged store does it this often.
const SABOTAGE_ONE_IN: u64 = 3;

impl FaultyLanes {
    pub(crate) fn new(simulation: Arc<Simulation>, run: Arc<Run>) -> FaultyLanes {
        FaultyLanes { simulation, run }
    }

    fn fate(&self, call: Call) -> Fate {
        let faults = self.simulation.store_faults();
        let mut dice = self.simulation.dice();
        let mut delay = || Duration::from_millis(if dice.one_in(2) { 0 } else { dice.below(faults.delay_ms_max + 1) });
        let (before, after) = (delay(), delay());
        let refusal = match call {
            _ if dice.one_in(faults.broken_one_in) => Some(Refusal::Broken),
            Call::Write if dice.one_in(faults.busy_one_in) => Some(Refusal::Busy),
            Call::Write if dice.one_in(faults.unwritable_one_in) => Some(Refusal::Unwritable),
            Call::Read | Call::Write => None,
        };
        let is_lost = dice.one_in(faults.lost_one_in);
        drop(dice);
        if before + after > Duration::from_secs(1) {
            self.simulation.saw(Sometimes::SlowStore);
        }
        Fate { before, after, refusal, is_lost }
    }

    async fn read<T>(&self, effect: impl Future<Output = StoreResult<T>> + Send) -> StoreResult<T> {
        self.alive().await;
        let _under_way = self.simulation.begin_call();
        let fate = self.fate(Call::Read);
        pass(fate.before).await;
        if let Some(refusal) = fate.refusal {
            self.simulation.saw(Sometimes::BrokenRead);
            return Err(refusal.into());
        }
        let answer = effect.await;
        pass(fate.after).await;
        answer
    }

    /// Does a write, or does not, or does it and does not say so.
    async fn write<T: Send + 'static>(
        &self,
        effect: impl FnOnce(&Simulation) -> StoreResult<T> + Send + 'static,
    ) -> (Option<Refusal>, StoreResult<T>) {
        self.alive().await;
        let fate = self.fate(Call::Write);
        if let Some(refusal) = fate.refusal {
            pass(fate.before).await;
            return (Some(refusal), Err(refusal.into()));
        }
        let answer = if fate.before + fate.after == Duration::ZERO {
            effect(&self.simulation)
        } else {
            self.travel(fate.before, fate.after, effect).await
        };
        let is_lost = fate.is_lost && answer.is_ok();
        (None, if is_lost { Err(StoreError::broken("the answer was lost")) } else { answer })
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
    }

    fn excuse(&self, lease: Lease, why: &'static str) {
        self.simulation.oracle().excuse(lease, why);
    }
}

#[async_trait]
impl Lanes for FaultyLanes {
    async fn claim(&self, owner: NodeId, now: Timestamp, lease_for: Duration, room: Room) -> StoreResult<Vec<Lease>> {
        let run = self.run.clone();
        let effect = move |simulation: &Simulation| {
            let leases = done(simulation.store.claim(owner, now, lease_for, room))?;
            leases.iter().for_each(|lease| claimed(simulation, &run, *lease, (now, lease_for)));
            Ok(leases)
        };
        let (_, claimed) = self.write(effect).await;
        // Whatever was leased by a call that failed, nobody knows of it.
        if claimed.is_err() && self.simulation.oracle().excuse_unheard(self.run.number) {
            self.simulation.saw(Sometimes::ClaimUnheard);
        }
        claimed
    }

    async fn renew(&self, lease: Lease, now: Timestamp, lease_for: Duration) -> StoreResult<()> {
        self.simulation.stir();
        let effect = move |simulation: &Simulation| {
            done(simulation.store.renew(lease, now, lease_for))?;
            simulation.note("renewed", &[lease.epoch], || format!("{}", lease.endpoint));
            let renewed = simulation.oracle().renewed(lease, now, lease_for);
            simulation.require(renewed);
            Ok(())
        };
        let (_, renewed) = self.write(effect).await;
        if matches!(renewed, Err(StoreError::Fenced)) {
            self.simulation.saw(Sometimes::FencedRenew);
            self.excuse(lease, "its renewal was refused");
        }
        renewed
    }

    async fn release(&self, lease: Lease, now: Timestamp) -> StoreResult<()> {
        self.simulation.stir();
        let effect = move |simulation: &Simulation| {
            done(simulation.store.release(lease, now))?;
            simulation.note("released", &[lease.epoch], || format!("{}", lease.endpoint));
            let released = simulation.oracle().released(lease);
            simulation.require(released);
            Ok(())
        };
        let (_, released) = self.write(effect).await;
        if released.is_err() {
            self.excuse(lease, "it could not be given back");
        }
        released
    }

    async fn work(&self, lease: Lease) -> StoreResult<LaneWork> {
        self.simulation.stir();
        let work = self.read(self.simulation.store.work(lease)).await;
        let mut work = work.inspect_err(|_| self.excuse(lease, "its work could not be read"))?;
        if work.fan_outs.iter().any(|work| !work.finished_beyond.is_empty()) {
            self.simulation.saw(Sometimes::ResumedBeyond);
        }
        if self.simulation.sabotage == Sabotage::ForgetsFinishedBeyond {
            work.fan_outs.iter_mut().for_each(|work| work.finished_beyond.clear());
        }
        let mut oracle = self.simulation.oracle();
        if let Some(session) = oracle.session_of(lease) {
            self.run.begin(lease.endpoint, session);
            oracle.opened(session, &work);
        }
        Ok(work)
    }

    async fn fan_out(&self, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOut>> {
        self.simulation.stir();
        self.read(self.simulation.store.fan_out(account, id)).await
    }

    async fn audience_page(
        &self,
        account: AccountId,
        fan_out: FanOutId,
        after: Place,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        self.simulation.stir();
        let mut page = self.read(self.simulation.store.audience_page(account, fan_out, after, limit)).await?;
        if page.len() == limit {
            self.simulation.saw(Sometimes::ManyPages);
        }
        if self.simulation.sabotage == Sabotage::SkipsPeople && self.simulation.dice().one_in(SABOTAGE_ONE_IN) {
            page.pop();
        }
        Ok(page)
    }

    async fn due_retries(&self, lease: Lease, now: Timestamp, limit: usize) -> StoreResult<Due> {
        self.simulation.stir();
        let hurry = if self.simulation.sabotage == Sabotage::HurriesRetries { HURRY } else { Duration::ZERO };
        let due = self.read(self.simulation.store.due_retries(lease, now + hurry, limit)).await;
        if matches!(due, Err(StoreError::Fenced)) {
            self.simulation.saw(Sometimes::FencedRead);
            self.excuse(lease, "its retries were refused");
        }
        let due = due?;
        if due.retries.len() == limit {
            self.simulation.saw(Sometimes::ManyRetries);
        }
        Ok(due)
    }

    async fn settle(&self, lease: Lease, settlement: Arc<Settlement>) -> StoreResult<Settled> {
        self.simulation.stir();
        let (refusal, settled) = self.write(move |simulation| settle(simulation, lease, &settlement)).await;
        match (&settled, refusal) {
            (Ok(_), _) => {}
            (Err(StoreError::Fenced), _) => {
                self.simulation.saw(Sometimes::FencedSettle);
                self.excuse(lease, "its outcomes were refused");
            }
            (Err(_), Some(Refusal::Busy)) => self.simulation.saw(Sometimes::BusySettle),
            (Err(_), Some(Refusal::Unwritable)) => self.simulation.saw(Sometimes::UnwritableSettle),
            (Err(_), broken) => {
                let lost = broken.is_none();
                self.simulation.saw(if lost { Sometimes::LostSettle } else { Sometimes::BrokenSettle });
                self.excuse(lease, "its commit failed");
            }
        }
        settled
    }
}

/// The moment at which a lane has a new owner, by the store.
fn claimed(simulation: &Simulation, run: &Run, lease: Lease, (now, lease_for): (Timestamp, Duration)) {
    simulation.note("claimed", &[run.number, lease.epoch], || format!("{}", lease.endpoint));
    let claimed = simulation.oracle().claimed(lease, run.number, now, lease_for);
    if !run.is_alive() {
        simulation.oracle().excuse(lease, "its process had died before it knew");
    }
    match claimed {
        Ok(true) => simulation.saw(Sometimes::TakenOver),
        Ok(false) => {}
        Err(broken) => simulation.require(Err(broken)),
    }
}

/// The moment at which a settlement is on disk.
fn settle(simulation: &Simulation, lease: Lease, settlement: &Arc<Settlement>) -> StoreResult<Settled> {
    let mut lease = lease;
    match simulation.sabotage {
        Sabotage::ForgetsSettlements if simulation.dice().one_in(SABOTAGE_ONE_IN) => {
            return Ok(Settled { signal: 0 });
        }
        Sabotage::IgnoresEpochs => lease = simulation.oracle().newest_of(lease),
        Sabotage::MovesCursorsFirst if simulation.dice().one_in(SABOTAGE_ONE_IN) => {
            let (cursors, swept) = (settlement.cursors.clone(), settlement.swept.clone());
            let first = Arc::new(Settlement { cursors, swept, ..Settlement::default() });
            return write_down(simulation, lease, &first);
        }
        _ => {}
    }
    write_down(simulation, lease, settlement)
}

fn write_down(simulation: &Simulation, lease: Lease, settlement: &Arc<Settlement>) -> StoreResult<Settled> {
    let settled = done(simulation.store.settle(lease, settlement.clone()))?;
    let outcomes = settlement.segments.iter().map(|(_, segment)| u64::from(segment.count)).sum();
    simulation.note("settled", &[lease.epoch, outcomes], || format!("{} {settlement:?}", lease.endpoint));
    match settlement.health {
        Some(LaneState::SlowStart { .. }) => simulation.saw(Sometimes::SlowStarted),
        Some(LaneState::Open { failures: 2.., .. }) => simulation.saw(Sometimes::Probed),
        _ => {}
    }
    let is_superseded = |exception: &Exception| matches!(exception.state, ExceptionState::Superseded { .. });
    if settlement.exceptions.iter().any(is_superseded) {
        simulation.saw(Sometimes::Outdated);
    }
    let is_abandoned = |exception: &Exception| matches!(exception.state, ExceptionState::Abandoned { .. });
    if settlement.exceptions.iter().any(is_abandoned) {
        simulation.saw(Sometimes::Abandoned);
    }
    let held = simulation.oracle().settled(lease, settlement);
    simulation.require(held);
    Ok(settled)
}

/// The model answers at once.
fn done<T>(answer: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
    answer.now_or_never().expect("the model never waits")
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
        }
    }
}
