//! The queues as one process reaches them, with all that may happen to a call; and what the oracle hears of it.

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
use wire::{AccountId, FanOutId, NodeId};

use crate::calls::Calls;
use crate::machine::Run;
use crate::sabotage::Sabotage;
use crate::simulation::Simulation;
use crate::sometimes::Sometimes;

pub(crate) struct FaultyLanes {
    calls: Calls,
}

/// Retries that are due this much later are given out by a store that hurries.
const HURRY: Duration = Duration::from_secs(3_600);
/// A sabotaged store does it this often.
const SABOTAGE_ONE_IN: u64 = 3;

impl FaultyLanes {
    pub(crate) fn new(simulation: Arc<Simulation>, run: Arc<Run>) -> FaultyLanes {
        FaultyLanes { calls: Calls { simulation, run } }
    }

    fn excuse(&self, lease: Lease, why: &'static str) {
        self.calls.simulation.oracle().excuse(lease, why);
    }
}

#[async_trait]
impl Lanes for FaultyLanes {
    async fn claim(&self, owner: NodeId, now: Timestamp, lease_for: Duration, room: Room) -> StoreResult<Vec<Lease>> {
        let run = self.calls.run.clone();
        let effect = move |simulation: &Simulation| {
            let now = simulation.lease_now(now);
            let leases = done(simulation.store.claim(owner, now, lease_for, room))?;
            leases.iter().for_each(|lease| claimed(simulation, &run, *lease, (now, lease_for)));
            Ok(leases)
        };
        let (_, claimed) = self.calls.write(effect).await;
        // Whatever was leased by a call that failed, nobody knows of it.
        if claimed.is_err() && self.calls.simulation.oracle().excuse_unheard(self.calls.run.number) {
            self.calls.simulation.saw(Sometimes::ClaimUnheard);
        }
        claimed
    }

    async fn renew(&self, lease: Lease, now: Timestamp, lease_for: Duration) -> StoreResult<()> {
        self.calls.simulation.stir();
        let effect = move |simulation: &Simulation| {
            let now = simulation.lease_now(now);
            done(simulation.store.renew(lease, now, lease_for))?;
            simulation.note("renewed", &[lease.epoch], || format!("{}", lease.endpoint));
            match simulation.oracle().renewed(lease, now, lease_for) {
                Ok(true) => simulation.saw(Sometimes::LateRenewal),
                Ok(false) => {}
                Err(broken) => simulation.require(Err(broken)),
            }
            Ok(())
        };
        let (_, renewed) = self.calls.write(effect).await;
        if matches!(renewed, Err(StoreError::Fenced)) {
            self.calls.simulation.saw(Sometimes::FencedRenew);
            self.excuse(lease, "its renewal was refused");
        }
        renewed
    }

    async fn release(&self, lease: Lease, now: Timestamp) -> StoreResult<()> {
        self.calls.simulation.stir();
        let effect = move |simulation: &Simulation| {
            done(simulation.store.release(lease, simulation.lease_now(now)))?;
            simulation.note("released", &[lease.epoch], || format!("{}", lease.endpoint));
            if simulation.is_spreading() && simulation.oracle().owes_endpoint(lease.endpoint) {
                simulation.saw(Sometimes::GivenBack);
            }
            let released = simulation.oracle().released(lease);
            simulation.require(released);
            Ok(())
        };
        let (_, released) = self.calls.write(effect).await;
        if released.is_err() {
            self.excuse(lease, "it could not be given back");
        }
        released
    }

    async fn work(&self, lease: Lease) -> StoreResult<LaneWork> {
        self.calls.simulation.stir();
        let work = self.calls.read(self.calls.simulation.store.work(lease)).await;
        let mut work = work.inspect_err(|_| self.excuse(lease, "its work could not be read"))?;
        if work.fan_outs.iter().any(|work| !work.finished_beyond.is_empty()) {
            self.calls.simulation.saw(Sometimes::ResumedBeyond);
        }
        if self.calls.simulation.sabotage == Sabotage::ForgetsFinishedBeyond {
            work.fan_outs.iter_mut().for_each(|work| work.finished_beyond.clear());
        }
        let mut oracle = self.calls.simulation.oracle();
        if let Some(session) = oracle.session_of(lease) {
            self.calls.run.begin(lease.endpoint, session);
            oracle.opened(session, &work);
        }
        Ok(work)
    }

    async fn fan_out(&self, account: AccountId, id: FanOutId) -> StoreResult<Option<FanOut>> {
        self.calls.simulation.stir();
        self.calls.read(self.calls.simulation.store.fan_out(account, id)).await
    }

    async fn audience_page(
        &self,
        account: AccountId,
        fan_out: FanOutId,
        after: Place,
        limit: usize,
    ) -> StoreResult<Vec<Member>> {
        self.calls.simulation.stir();
        let mut page =
            self.calls.read(self.calls.simulation.store.audience_page(account, fan_out, after, limit)).await?;
        if page.len() == limit {
            self.calls.simulation.saw(Sometimes::ManyPages);
        }
        if self.calls.simulation.sabotage == Sabotage::SkipsPeople
            && self.calls.simulation.dice().one_in(SABOTAGE_ONE_IN)
        {
            page.pop();
        }
        Ok(page)
    }

    async fn due_retries(&self, lease: Lease, now: Timestamp, limit: usize) -> StoreResult<Due> {
        self.calls.simulation.stir();
        let hurry = if self.calls.simulation.sabotage == Sabotage::HurriesRetries { HURRY } else { Duration::ZERO };
        let due = self.calls.read(self.calls.simulation.store.due_retries(lease, now + hurry, limit)).await;
        if matches!(due, Err(StoreError::Fenced)) {
            self.calls.simulation.saw(Sometimes::FencedRead);
            self.excuse(lease, "its retries were refused");
        }
        let due = due?;
        if due.retries.len() == limit {
            self.calls.simulation.saw(Sometimes::ManyRetries);
        }
        Ok(due)
    }

    async fn settle(&self, lease: Lease, settlement: Arc<Settlement>) -> StoreResult<Settled> {
        self.calls.simulation.stir();
        let (refusal, settled) = self.calls.write(move |simulation| settle(simulation, lease, &settlement)).await;
        let saw = |what| self.calls.simulation.saw(what);
        match (&settled, refusal) {
            (Ok(_), _) => {}
            (Err(StoreError::Fenced), _) => {
                saw(Sometimes::FencedSettle);
                self.excuse(lease, "its outcomes were refused");
            }
            (Err(StoreError::Busy(_)), _) => saw(Sometimes::BusySettle),
            (Err(StoreError::Unwritable(_)), _) => saw(Sometimes::UnwritableSettle),
            (Err(StoreError::Unconfirmed(_)), refusal) => {
                let is_kept = refusal.is_none();
                saw(if is_kept { Sometimes::UnconfirmedSettle } else { Sometimes::UnconfirmedLoss });
                self.excuse(lease, "nobody knew what became of its commit");
            }
            (Err(_), broken) => {
                let lost = broken.is_none();
                saw(if lost { Sometimes::LostSettle } else { Sometimes::BrokenSettle });
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
pub(crate) fn done<T>(answer: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
    answer.now_or_never().expect("the model never waits")
}
