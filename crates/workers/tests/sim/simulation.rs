//! One simulated world: time, chance, the store, the receivers, and what is known of them. Everything in a run happens
//! on one thread, so the locks are only for the type system and never waited for.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use store::Clock;
use store_spec::Model;
use tokio::time::Instant;

use crate::chance::Dice;
use crate::options::{Options, StoreFaults};
use crate::oracle::Oracle;
use crate::receiver::Receiver;
use crate::sabotage::Sabotage;
use crate::sometimes::{Counts, Sometimes};

/// 2026-11-23T00:00:00Z, where every run begins.
const START_SECOND: i64 = 1_795_392_000;

/// Requests and calls of the store in one run; the busiest makes a tenth of it. Lanes that run in a circle never let time
/// pass, so nothing else would end them.
const ACTIVITY_MAX: u64 = 200_000;

/// Whether a run tells what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    Silent,
    Aloud,
}

pub(crate) struct Simulation {
    pub(crate) options: Options,
    pub(crate) store: Model,
    pub(crate) sabotage: Sabotage,
    oracle: Mutex<Oracle>,
    receivers: Mutex<Vec<Receiver>>,
    dice: Mutex<Dice>,
    weather: Mutex<Weather>,
    counts: Mutex<Counts>,
    digest: Mutex<DefaultHasher>,
    violation: Mutex<Option<String>>,
    telling: Telling,
    start: Instant,
    skipped_ms: AtomicI64,
    /// Grows with everything a lane does.
    activity: AtomicU64,
    /// Calls of the store and requests under way.
    calls: AtomicU64,
    is_over: AtomicBool,
    is_spreading: AtomicBool,
}

/// The faults of the store now.
#[derive(Default)]
struct Weather {
    usual: StoreFaults,
    spell: Option<(StoreFaults, Instant)>,
}

impl Simulation {
    pub(crate) fn new(seed: u64, options: Options, sabotage: Sabotage, telling: Telling) -> Simulation {
        let receivers = options.endpoints.iter().map(Receiver::new).collect();
        let weather = Weather { usual: options.store, spell: None };
        Simulation {
            store: Model::default(),
            sabotage,
            oracle: Mutex::new(Oracle::new(&options)),
            receivers: Mutex::new(receivers),
            dice: Mutex::new(Dice::new(seed ^ 0x5eed_0000_0000_0002)),
            weather: Mutex::new(weather),
            counts: Mutex::default(),
            digest: Mutex::default(),
            violation: Mutex::default(),
            telling,
            start: Instant::now(),
            skipped_ms: AtomicI64::new(0),
            activity: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            is_spreading: AtomicBool::new(false),
            options,
        }
    }

    /// True time: what a clock that was never stepped shows.
    pub(crate) fn now(&self) -> Timestamp {
        let passed = SignedDuration::from_millis(self.passed_ms());
        Timestamp::from_second(START_SECOND).expect("a second of 2026") + passed
    }

    /// The time of leases: where several nodes share the store it is the store's own, and else that of whoever asks.
    pub(crate) fn lease_now(&self, asked: Timestamp) -> Timestamp {
        if self.options.has_own_clock() { self.now() } else { asked }
    }

    /// Since the beginning of the run.
    pub(crate) fn passed_ms(&self) -> i64 {
        self.start.elapsed().as_millis() as i64 + self.skipped_ms.load(Ordering::Relaxed)
    }

    /// Lets time pass in which no machine does anything.
    pub(crate) fn skip(&self, time: Duration) {
        self.skipped_ms.fetch_add(time.as_millis() as i64, Ordering::Relaxed);
    }

    /// There was a time in which no machine did anything.
    pub(crate) fn has_skipped(&self) -> bool {
        self.skipped_ms.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn dice(&self) -> MutexGuard<'_, Dice> {
        locked(&self.dice)
    }

    pub(crate) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        locked(&self.oracle)
    }

    pub(crate) fn receivers(&self) -> MutexGuard<'_, Vec<Receiver>> {
        locked(&self.receivers)
    }

    pub(crate) fn store_faults(&self) -> StoreFaults {
        let weather = locked(&self.weather);
        match weather.spell {
            Some((faults, until)) if Instant::now() < until => faults,
            _ => weather.usual,
        }
    }

    pub(crate) fn begin_store_spell(&self, faults: StoreFaults, until: Instant) {
        locked(&self.weather).spell = Some((faults, until));
    }

    /// Ends all that is wrong with the store and the receivers.
    pub(crate) fn heal(&self) {
        *locked(&self.weather) = Weather::default();
        self.receivers().iter_mut().for_each(Receiver::heal);
    }

    /// Notes that the store or the network is at work for as long as the token lives.
    pub(crate) fn begin_call(self: &Arc<Simulation>) -> UnderWay {
        self.calls.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }

    pub(crate) fn has_calls_under_way(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    /// Notes that a lane is at work.
    pub(crate) fn stir(&self) {
        if self.activity.fetch_add(1, Ordering::Relaxed) == ACTIVITY_MAX {
            self.require(Err(format!("{ACTIVITY_MAX} steps were made, and there is no end")));
        }
    }

    /// The first broken promise ends the run: from then on nobody does anything.
    pub(crate) fn is_broken(&self) -> bool {
        locked(&self.violation).is_some()
    }

    pub(crate) fn activity(&self) -> u64 {
        self.activity.load(Ordering::Relaxed)
    }

    /// Notes that something worth seeing has happened.
    pub(crate) fn saw(&self, what: Sometimes) {
        locked(&self.counts).note(what);
    }

    pub(crate) fn counts(&self) -> Counts {
        locked(&self.counts).clone()
    }

    /// Writes a line of the run's history: numbers for the digest, words for people.
    pub(crate) fn note(&self, what: &'static str, numbers: &[u64], words: impl FnOnce() -> String) {
        (self.passed_ms(), what, numbers).hash(&mut *locked(&self.digest));
        if self.telling == Telling::Aloud {
            println!("{:>12} ms  {what:<10} {numbers:?} {}", self.passed_ms(), words());
        }
    }

    /// The same for two runs that went the same way.
    pub(crate) fn digest(&self) -> u64 {
        locked(&self.digest).finish()
    }

    /// Keeps the first promise that was broken.
    pub(crate) fn require(&self, held: Result<(), String>) {
        if let Err(broken) = held {
            self.note("BROKEN", &[], || broken.clone());
            locked(&self.violation).get_or_insert_with(|| format!("at {} ms: {broken}", self.passed_ms()));
        }
    }

    pub(crate) fn violation(&self) -> Option<String> {
        locked(&self.violation).clone().or_else(|| PANIC.with(|panic| panic.borrow_mut().take()))
    }

    /// Lanes have work for minutes, so that they can spread over the nodes; or no longer.
    pub(crate) fn let_spread(&self, is_spreading: bool) {
        self.is_spreading.store(is_spreading, Ordering::Relaxed);
    }

    pub(crate) fn is_spreading(&self) -> bool {
        self.is_spreading.load(Ordering::Relaxed)
    }

    /// From here on nothing counts: the world is being taken down.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// A call or a request that has not ended.
pub(crate) struct UnderWay(Arc<Simulation>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The clock of one machine.
pub(crate) struct MachineClock {
    simulation: Arc<Simulation>,
    step_ms: AtomicI64,
    latest_ms: AtomicI64,
    has_gone_back: AtomicBool,
}

impl MachineClock {
    pub(crate) fn new(simulation: Arc<Simulation>) -> MachineClock {
        MachineClock {
            simulation,
            step_ms: AtomicI64::new(0),
            latest_ms: AtomicI64::new(0),
            has_gone_back: AtomicBool::new(false),
        }
    }

    pub(crate) fn step(&self, by_ms: i64) {
        self.step_ms.fetch_add(by_ms, Ordering::Relaxed);
        self.has_gone_back.fetch_or(by_ms < 0, Ordering::Relaxed);
    }

    pub(crate) fn set_right(&self) {
        let was_ahead_ms = self.step_ms.swap(0, Ordering::Relaxed);
        self.has_gone_back.fetch_or(was_ahead_ms > 0, Ordering::Relaxed);
    }

    /// Whether it can tell that time has passed, though its machine slept.
    pub(crate) fn is_to_be_trusted(&self) -> bool {
        !self.has_gone_back.load(Ordering::Relaxed) || !self.simulation.has_skipped()
    }

    /// The latest time it ever showed: what a lane may have decided by.
    pub(crate) fn latest(&self) -> Timestamp {
        self.now();
        Timestamp::from_millisecond(self.latest_ms.load(Ordering::Relaxed)).expect("a time of this century")
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let now = self.simulation.now() + SignedDuration::from_millis(self.step_ms.load(Ordering::Relaxed));
        self.latest_ms.fetch_max(now.as_millisecond(), Ordering::Relaxed);
        now
    }
}

thread_local! {
    /// What a task of the run on this thread panicked with; tokio would keep it to itself.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
    static IS_RUNNING: RefCell<bool> = const { RefCell::new(false) };
}

/// Keeps panics of simulated tasks for their run, and leaves all others as they are.
pub(crate) fn catch_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if IS_RUNNING.with(|is_running| *is_running.borrow()) {
            PANIC.with(|kept| *kept.borrow_mut() = Some(panic.to_string()));
        } else {
            usual(panic);
        }
    }));
}

/// Marks this thread as running a world.
pub(crate) fn set_running(is_running: bool) {
    IS_RUNNING.with(|flag| *flag.borrow_mut() = is_running);
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
