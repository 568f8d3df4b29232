//! One run: a world from a seed, trouble, healing, and the account of what came of every promise.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use store::Nodes;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, sleep_until};
use webinar::Zones;

use crate::accounts;
use crate::machine::Machine;
use crate::options::{Act, Options};
use crate::oracle::Held;
use crate::plight::Plight;
use crate::sabotage::Sabotage;
use crate::simulation::{Simulation, Telling, set_running};
use crate::sometimes::{Counts, Sometimes};
use crate::world::{World, made};

/// A production server's time to stop.
const DRAIN: Duration = Duration::from_secs(35);
/// A process that has done nothing for this long has nothing to do: it looks once a second.
const QUIET: Duration = Duration::from_millis(1_200);
/// The longest sleep between two looks at a world in which nothing happens.
const SKIP_MAX: Duration = Duration::from_secs(3_600);
/// From healing to the end of the last retry: ten attempts take 76 hours, a tenth of jitter more; a clock that was an
/// hour ahead may have put them off by that; and we look once an hour.
const DRAINED_WITHIN: SignedDuration = SignedDuration::from_hours(96);
/// In a run where nothing is wrong with us, what a good receiver is owed has gone out by the end of this time.
const CALM_WITHIN: Duration = Duration::from_secs(60);
/// As long as a lease.
const LEASE: Duration = Duration::from_secs(15);
/// So many that even alone they are told over minutes.
const NEWCOMERS: usize = 8;
/// Lanes that have work for longer are spread by then.
const SPREAD_WITHIN: Duration = Duration::from_secs(60);
/// Longer than any lease that a clock an hour ahead may have left behind.
const LEASES_OVER: Duration = Duration::from_secs(2 * 3_600);

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) counts: Counts,
    pub(crate) digest: u64,
    /// The first promise that was broken.
    pub(crate) violation: Option<String>,
}

/// Runs one world from its beginning to its end.
pub(crate) fn run(seed: u64, options: Options, sabotage: Sabotage, telling: Telling) -> Ran {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    set_running(true);
    let ran = runtime.block_on(async {
        let simulation = Arc::new(Simulation::new(seed, options, sabotage, telling));
        let held = Course::new(&simulation, seed).run().await;
        simulation.require(held);
        simulation.end();
        Ran { counts: simulation.counts(), digest: simulation.digest(), violation: simulation.violation() }
    });
    drop(runtime);
    set_running(false);
    ran
}

/// The course of a run.
struct Course {
    simulation: Arc<Simulation>,
    world: World,
    machines: Vec<Machine>,
    drains: Vec<Duration>,
    runs: u64,
    seed: u64,
}

impl Course {
    fn new(simulation: &Arc<Simulation>, seed: u64) -> Course {
        let nodes = simulation.options.nodes;
        Course {
            world: World::new(simulation.clone(), Zones::bundled()),
            machines: (0..nodes).map(|_| Machine::new(simulation)).collect(),
            drains: vec![DRAIN; nodes],
            simulation: simulation.clone(),
            runs: 0,
            seed,
        }
    }

    async fn run(mut self) -> Held {
        self.start_all();
        match self.machines.len() {
            3 => self.simulation.saw(Sometimes::ThreeNodes),
            2 => self.simulation.saw(Sometimes::TwoNodes),
            _ => {}
        }
        let begun = Instant::now();
        for planned in self.simulation.options.acts.clone() {
            sleep_until(begun + Duration::from_millis(planned.at_ms)).await;
            self.act(&planned.act);
            self.look()?;
        }
        sleep_until(begun + Duration::from_millis(self.simulation.options.fault_phase_ms)).await;
        self.look()?;
        if self.simulation.options.is_calm {
            sleep(CALM_WITHIN).await;
            accounts::nobody_was_held_up(&self.simulation)?;
        }
        self.heal();
        self.drain().await?;
        if self.simulation.options.ends_spread && self.machines.len() > 1 {
            self.spread().await?;
            self.drain().await?;
        }
        self.leave_nothing_behind().await?;
        accounts::agree(&self.simulation)
    }

    /// Ends the run at the first broken promise.
    fn look(&self) -> Held {
        self.simulation.violation().map_or(Ok(()), Err)
    }

    fn act(&mut self, act: &Act) {
        self.simulation.note("act", &[], || format!("{act:?}"));
        let saw = |what| self.simulation.saw(what);
        match *act {
            Act::Save { series } => self.world.save(series),
            Act::Register { series, people } => self.world.register(series, people),
            Act::Join { mango, people } => self.world.join(mango, people),
            Act::Leave { mango } => self.world.leave(mango),
            Act::Correct => self.world.correct(),
            Act::Subscribe { endpoint, filter } => {
                saw(Sometimes::Subscribed);
                self.world.subscribe(endpoint, filter);
            }
            Act::Unsubscribe { endpoint } => self.world.unsubscribe(endpoint),
            Act::Pause { endpoint } => self.world.pause(endpoint),
            Act::Resume { endpoint } => self.world.resume(endpoint),
            Act::Crash { node } => match self.machines[node].crash() {
                Some(true) => saw(Sometimes::CrashedInFlight),
                Some(false) => saw(Sometimes::Crashed),
                None => {}
            },
            Act::Stop { node, drain_ms } => self.stop(node, Duration::from_millis(drain_ms)),
            Act::Start { node } => self.start(node),
            Act::Freeze { node, for_ms } => {
                let is_long = Duration::from_millis(for_ms) > LEASE;
                saw(if is_long { Sometimes::FrozeForLong } else { Sometimes::Froze });
                let until = Instant::now() + Duration::from_millis(for_ms);
                self.machines[node].befall(|plight| plight.freeze(until));
            }
            Act::CutOff { node, for_ms } => {
                let until = Instant::now() + Duration::from_millis(for_ms);
                self.machines[node].befall(|plight| plight.cut_off(until));
            }
            Act::StepClock { node, by_ms } => {
                saw(if by_ms < 0 { Sometimes::ClockBack } else { Sometimes::ClockForward });
                self.machines[node].clock.step(by_ms);
            }
            Act::SleepMachine { for_ms } => {
                saw(Sometimes::MachineSlept);
                self.simulation.skip(Duration::from_millis(for_ms));
            }
            Act::StoreSpell { faults, for_ms } => {
                self.simulation.begin_store_spell(faults, Instant::now() + Duration::from_millis(for_ms));
            }
            Act::ReceiverSpell { endpoint, temper, for_ms } => {
                let until = Instant::now() + Duration::from_millis(for_ms);
                self.simulation.receivers()[endpoint].begin_spell(temper, until);
            }
        }
        // A hint may be lost: it is only a hint.
        for machine in &self.machines {
            if self.simulation.dice().one_in(2) {
                machine.poke();
            }
        }
    }

    fn stop(&mut self, node: usize, drain: Duration) {
        if self.machines[node].stop(drain.min(self.drains[node])) {
            self.simulation.saw(Sometimes::Stopped);
        }
    }

    fn start(&mut self, node: usize) {
        self.runs += 1;
        let number = self.seed.wrapping_mul(1_000).wrapping_add(self.runs);
        self.machines[node].start(number, self.drains[node]);
    }

    fn start_all(&mut self) {
        (0..self.machines.len()).for_each(|node| self.start(node));
    }

    /// Ends all trouble: from here on everything must come to its end.
    fn heal(&mut self) {
        self.simulation.note("healed", &[], String::new);
        self.simulation.heal();
        self.machines.iter().for_each(|machine| machine.clock.set_right());
        self.machines.iter().for_each(|machine| machine.befall(Plight::end));
        self.start_all();
    }

    /// Lets time pass until everything promised is finished, quickly where nothing happens.
    async fn drain(&mut self) -> Held {
        let healed_at = self.simulation.now();
        let mut skip = Duration::from_secs(1);
        while self.simulation.oracle().owed() > 0 {
            let seen_at = self.simulation.now();
            if !self.is_quiet().await? {
                skip = Duration::from_secs(1);
                continue;
            }
            (0..self.simulation.options.endpoints.len()).for_each(|place| self.world.resume(place));
            self.start_all();
            self.simulation.skip(skip);
            skip = (skip * 2).min(SKIP_MAX);
            if seen_at.duration_since(healed_at) > DRAINED_WITHIN {
                let oracle = self.simulation.oracle();
                let owed: Vec<_> = oracle.unfinished().map(|(id, _, number)| (id, number)).collect();
                return Err(format!("{DRAINED_WITHIN:#} after healing these are still owed: {owed:?}"));
            }
        }
        Ok(())
    }

    /// Gives every lane work for minutes: the lanes spread evenly over the nodes, and then stay where they are.
    async fn spread(&mut self) -> Held {
        self.simulation.saw(Sometimes::SpreadLooked);
        // One may still be stopping, or wait for an answer that it asked for long ago.
        while self.living() < self.machines.len() {
            sleep(LEASE).await;
            self.start_all();
        }
        self.simulation.let_spread(true);
        self.world.join(0, NEWCOMERS);
        let people = self.simulation.oracle().people.count() as u32;
        self.world.pace(Some(people / 4));
        self.world.save_surely(0);
        sleep(SPREAD_WITHIN).await;
        let (lanes, moves) = self.simulation.oracle().spread();
        let (count, nodes) = (lanes.iter().sum::<usize>(), self.machines.len());
        let most = lanes.iter().max().copied().unwrap_or(0);
        self.simulation.let_spread(false);
        if most > count.div_ceil(nodes) {
            return Err(format!("of {count} lanes on {nodes} nodes these have {lanes:?}"));
        }
        sleep(SPREAD_WITHIN / 3).await;
        let (_, moves_since) = self.simulation.oracle().spread();
        self.world.pace(None);
        (moves == moves_since).then_some(()).ok_or_else(|| "lanes went on moving".to_owned())
    }

    /// Nodes that have told of themselves lately.
    fn living(&self) -> usize {
        let seen_since = self.simulation.now() - LEASE;
        let nodes = made(self.simulation.store.nodes());
        nodes.iter().filter(|record| record.seen_at > seen_since).count()
    }

    /// Looks for a while whether anybody does anything.
    async fn is_quiet(&self) -> Result<bool, String> {
        let activity = self.simulation.activity();
        sleep(QUIET).await;
        self.look()?;
        Ok(self.simulation.activity() == activity && !self.simulation.has_calls_under_way())
    }

    /// No lane wakes for nothing, and none is kept by somebody.
    async fn leave_nothing_behind(&mut self) -> Held {
        for _ in 0..3 {
            while !self.is_quiet().await? {}
            self.simulation.skip(LEASES_OVER);
        }
        while !self.is_quiet().await? {}
        self.simulation.skip(LEASES_OVER * 100);
        let is_quiet = self.is_quiet().await?;
        is_quiet.then_some(()).ok_or_else(|| "a lane woke although nothing was left to do".to_owned())
    }
}
