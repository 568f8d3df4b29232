//! The run worker in a world of trouble, from seeds: stores that fail, leases that are lost, crashes at any await, handlers
//! that fail, hang and panic, clocks that jump. Then all is healed, and everything must come to its end.
//! `FANFARE_RUN_SIMULATION_SEED=7 cargo test -p workers --test runs simulation -- --nocapture` tells one run.

#[path = "../sim/chance.rs"]
#[allow(dead_code, reason = "the lanes' simulation uses all of it")]
mod dice;
pub(crate) mod faulty;
mod oracle;
mod people;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use receiver::HandlerStart;
use receiver::handling::{HandlerRate, HandlerRules};
use store::Clock;
use tokio::runtime::Builder;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use wire::{AccountId, NodeId};
use workers::{RunContext, RunHandler, RunSupervisor, SourceLabel};

use crate::memory::Memory;
use crate::world::{PausedClock, SOURCE, read};
use dice::{Dice, Luck};
use faulty::{Faults, FaultyRuns};
use oracle::Oracle;
use people::{HANDLERS, Simulated};

const SEEDS: u64 = 1_000;
/// From healing to the end of the last retry, with a clock that was two minutes ahead and a rest of five minutes.
const ENDED_WITHIN: Duration = Duration::from_secs(3 * 3600);
/// A handler that never fails is done with everything so soon after healing, whatever the other one does: a lease that
/// a clock two minutes ahead has left behind may have to run out before.
const WELL_WITHIN: Duration = Duration::from_secs(200);
const DRAIN: Duration = Duration::from_secs(5);

/// What happened in a run, by name; and everything in one number.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

/// Faults that a full test must have seen.
const SOMETIMES: [&str; 12] = [
    "a crash with runs in flight",
    "a lease lost",
    "a write refused",
    "an answer lost",
    "a read refused",
    "a stop in time",
    "an attempt that panicked",
    "an attempt that hung",
    "a target that was down",
    "a run outdated",
    "a run parked",
    "a run repeated",
];

#[test]
fn every_promise_to_messages_holds_whatever_happens() {
    catch_panics();
    if let Ok(seed) = std::env::var("FANFARE_RUN_SIMULATION_SEED") {
        let ran = simulate(seed.parse().expect("a number"));
        println!("{:#?}\n{}", ran.counts, ran.history.join("\n"));
        assert_eq!(ran.violation, None);
        return;
    }
    let work = |first: u64| {
        let mut all = Counts::new();
        for seed in (first..SEEDS).step_by(2) {
            let ran = simulate(seed);
            assert_eq!(ran.violation, None, "seed {seed}");
            ran.counts.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
        }
        all
    };
    let mut counts = Counts::new();
    thread::scope(|scope| {
        for worker in [0, 1].map(|first| scope.spawn(move || work(first))) {
            let theirs = worker.join().expect("no promise broken");
            theirs.into_iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
        }
    });
    println!("{counts:#?}");
    let missing: Vec<_> = SOMETIMES.iter().filter(|what| !counts.contains_key(**what)).collect();
    assert!(missing.is_empty(), "never in {SEEDS} runs: {missing:?}");
}

#[test]
fn the_same_seed_makes_the_same_run() {
    catch_panics();
    for seed in 0..20 {
        assert_eq!(simulate(seed).history, simulate(seed).history, "seed {seed}");
    }
}

struct Ran {
    counts: Counts,
    history: Vec<String>,
    violation: Option<String>,
}

fn simulate(seed: u64) -> Ran {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    IS_RUNNING.set(true);
    let ran = runtime.block_on(async {
        let mut course = Course::new(seed);
        let held = course.run().await;
        let violation = held.err().or_else(|| PANIC.take());
        Ran { counts: course.oracle.counts(), history: course.oracle.history(), violation }
    });
    drop(runtime);
    IS_RUNNING.set(false);
    ran
}

/// The course of a run.
struct Course {
    dice: Dice,
    store: Arc<Memory>,
    faults: Arc<Faults>,
    oracle: Arc<Oracle>,
    rules: Vec<(HandlerRules, usize)>,
    machines: Vec<Machine>,
    starts: u64,
    seed: u64,
}

struct Machine {
    clock: Arc<PausedClock>,
    process: Option<Process>,
}

struct Process {
    is_alive: Arc<AtomicBool>,
    hint: Arc<Notify>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Course {
    fn new(seed: u64) -> Course {
        let mut dice = Dice::new(seed);
        let store = Arc::new(Memory::default());
        let machines = (0..dice.between(1, 2)).map(|_| Machine { clock: Arc::new(PausedClock::new()), process: None });
        Course {
            rules: HANDLERS.iter().map(|name| rules(name, &mut dice)).collect(),
            faults: Arc::new(Faults::of(seed ^ 0xfa17)),
            oracle: Arc::new(Oracle::new(store.clone())),
            machines: machines.collect(),
            store,
            starts: 0,
            seed,
            dice,
        }
    }

    async fn run(&mut self) -> Result<(), String> {
        self.oracle.note(format!("{:?}", self.rules));
        (0..self.machines.len()).for_each(|machine| self.start(machine));
        for _ in 0..self.dice.between(10, 40) {
            self.act();
            sleep(Duration::from_millis(self.dice.below(4_000))).await;
            self.oracle.verdict()?;
        }
        self.heal();
        self.end().await
    }

    fn act(&mut self) {
        let machine = self.dice.index(self.machines.len());
        match self.dice.below(12) {
            0..=4 => self.accept(),
            5 => self.crash(machine),
            6 => self.stop(machine),
            7 => self.start(machine),
            8 => {
                let by_ms = self.dice.between(0, 240_000) as i64 - 120_000;
                let clock = &self.machines[machine].clock;
                clock.set_right();
                clock.step(by_ms);
            }
            9 => self.oracle.fence(&self.machines[0].clock.now(), self.dice.index(HANDLERS.len())),
            10 => self.faults.worsen(self.dice.pick(&[0, 0, 3, 8, 20])),
            _ => self.accept(),
        }
        if self.dice.one_in(3) {
            self.machines.iter().for_each(Machine::poke);
        }
    }

    fn accept(&mut self) {
        for _ in 0..self.dice.between(1, 20) {
            let person = self.dice.below(20);
            let mut body = format!("p{person}/{} {}", self.dice.below(4), self.dice.below(1_000_000));
            if self.dice.one_in(4) {
                body = format!("nobody {}", self.dice.below(1_000_000));
            }
            let headers = if self.dice.one_in(6) { "fanfare-event: other\n" } else { "fanfare-event: ours.x\n" };
            let now = self.machines[0].clock.now();
            self.store.tables().accept(SOURCE, headers, &body, now);
        }
    }

    /// Starts a process that knows nothing but the store.
    fn start(&mut self, machine: usize) {
        if self.machines[machine].is_running() {
            return;
        }
        self.starts += 1;
        let process = self.starts;
        let (is_alive, hint) = (Arc::new(AtomicBool::new(true)), Arc::new(Notify::new()));
        let (stop, stopped) = watch::channel(false);
        let runs = FaultyRuns::new(self.store.clone(), self.faults.clone());
        let mut node = [7; 16];
        node[..8].copy_from_slice(&process.to_be_bytes());
        let clock = self.machines[machine].clock.clone();
        let context = RunContext {
            store: Arc::new(runs.of_process(process, is_alive.clone(), self.oracle.clone())),
            clock: clock.clone(),
            chance: Arc::new(Luck::new(self.seed ^ process)),
            node: NodeId::from_bytes(node),
            sources: [(SOURCE, SourceLabel { name: "courses".into(), event: None })].into(),
            read,
        };
        let handlers = self.rules.iter().map(|(rules, batch_max)| RunHandler {
            account: AccountId::from_u32(1),
            rules: rules.clone(),
            filter: None,
            handler: Arc::new(Simulated {
                process,
                seed: self.seed,
                batch_max: *batch_max,
                is_alive: is_alive.clone(),
                oracle: self.oracle.clone(),
            }),
        });
        let supervisor = RunSupervisor::new(context, handlers.collect(), hint.clone(), stopped);
        let (ended, oracle) = (is_alive.clone(), self.oracle.clone());
        let task = tokio::spawn(async move {
            supervisor.run(DRAIN).await;
            ended.store(false, Ordering::SeqCst);
            oracle.end(process);
        });
        self.machines[machine].process = Some(Process { is_alive, hint, stop, task });
        self.oracle.note(format!("process {process} starts on machine {machine}"));
    }

    fn crash(&mut self, machine: usize) {
        let running = self.machines[machine].process.take().filter(|process| !process.task.is_finished());
        let Some(process) = running else { return };
        process.is_alive.store(false, Ordering::SeqCst);
        process.task.abort();
        self.oracle.crash();
    }

    fn stop(&mut self, machine: usize) {
        if let Some(process) = &self.machines[machine].process {
            self.oracle.saw("a stop in time");
            let _ = process.stop.send(true);
        }
    }

    fn heal(&mut self) {
        self.oracle.note("healed".to_owned());
        self.faults.worsen(0);
        self.machines.iter().for_each(|machine| machine.clock.set_right());
    }

    /// Everything that was accepted comes to its end.
    async fn end(&mut self) -> Result<(), String> {
        let healed_at = Instant::now();
        loop {
            (0..self.machines.len()).for_each(|machine| self.start(machine));
            sleep(Duration::from_secs(5)).await;
            self.oracle.verdict()?;
            let open: Vec<_> = HANDLERS.iter().map(|handler| self.oracle.unfinished(handler)).collect();
            let time = healed_at.elapsed();
            if time > WELL_WITHIN && !open[1].is_empty() {
                return Err(format!("{} has left {:?} although it never fails", HANDLERS[1], open[1]));
            }
            if open.iter().all(Vec::is_empty) {
                return self.oracle.agree(&self.rules);
            }
            if time > ENDED_WITHIN {
                return Err(format!("{ENDED_WITHIN:?} after healing these are left: {open:?}"));
            }
        }
    }
}

impl Machine {
    fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(|process| !process.task.is_finished())
    }

    fn poke(&self) {
        if let Some(process) = &self.process {
            process.hint.notify_one();
        }
    }
}

/// A handler's rules, and how many it likes to do at once.
fn rules(name: &str, dice: &mut Dice) -> (HandlerRules, usize) {
    let retries = dice.between(0, 3);
    let rate = HandlerRate { attempts: 20, per: Duration::from_secs(1) };
    let rules = HandlerRules {
        events: vec!["ours.*".to_owned()],
        concurrency: dice.between(1, 6) as usize,
        rates: if dice.one_in(4) { vec![rate] } else { Vec::new() },
        retry: (0..retries).map(|_| Duration::from_secs(dice.between(1, 40))).collect(),
        timeout: Duration::from_secs(dice.between(2, 40)),
        start: HandlerStart::Oldest,
        ..HandlerRules::named(name)
    };
    (rules, dice.pick(&[1, 1, 5, 40]))
}

thread_local! {
    /// What a task of the run on this thread panicked with; tokio would keep it to itself.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static IS_RUNNING: RefCell<bool> = const { RefCell::new(false) };
}

/// Keeps panics of simulated tasks for their run, but those of handlers, and leaves all others as they are.
fn catch_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.to_string();
        if !IS_RUNNING.with_borrow(|is_running| *is_running) {
            usual(panic);
        } else if !text.contains(people::POISON) {
            PANIC.set(Some(text));
        }
    }));
}
