//! The provider in a simulated world: its real loops and decisions on simulated time, network, machines and store. Every
//! run is made from one number and can be repeated; docs/decisions/0013-simulation.md says how.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stdout, reason = "the table of what happened, and the history of one run, are for people")]

mod accounts;
mod calls;
mod chance;
mod faulty_lanes;
mod faulty_nodes;
mod machine;
mod network;
mod options;
mod oracle;
mod people;
mod plight;
mod receiver;
mod run;
mod sabotage;
mod scenarios;
mod simulation;
mod sometimes;

mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use options::Options;
use run::{Ran, run};
use sabotage::Sabotage;
use simulation::{Telling, catch_panics};
use sometimes::Counts;

/// Runs of one test of everybody; `FANFARE_SIMULATION_RUNS` asks for more or fewer.
const RUNS: u64 = 10_000;
/// From so many runs on, everything that can happen must have happened.
const RUNS_FOR_ALL: u64 = 3_000;

#[test]
fn every_promise_holds_whatever_happens() {
    catch_panics();
    if let Some(seed) = number("FANFARE_SIMULATION_SEED") {
        return tell(seed);
    }
    let runs = number("FANFARE_SIMULATION_RUNS").unwrap_or(RUNS);
    let counts = run_all(runs);
    println!("{runs} runs, in which\n{}", counts.table());
    let missing = counts.missing();
    assert!(runs < RUNS_FOR_ALL || missing.is_empty(), "in {runs} runs never: {missing:?}");
}

#[test]
fn the_same_seed_makes_the_same_history() {
    catch_panics();
    for seed in 0..40 {
        assert_eq!(run_seed(seed).digest, run_seed(seed).digest, "seed {seed}");
    }
}

#[test]
fn a_store_that_breaks_its_contract_is_found_out() {
    catch_panics();
    for sabotage in Sabotage::ALL {
        let found = (0..500).find(|seed| {
            let ran = run(*seed, Options::of_seed(*seed), sabotage, Telling::Silent);
            ran.violation.inspect(|violation| println!("{sabotage:?}: seed {seed}, {violation}")).is_some()
        });
        assert!(found.is_some(), "{sabotage:?} was not noticed in 500 runs");
    }
}

/// Runs every seed below `runs` on all cores, and stops at the first that breaks a promise.
fn run_all(runs: u64) -> Counts {
    let (next, failed, counts) = (AtomicU64::new(0), Mutex::new(None), Mutex::new(Counts::default()));
    let work = || {
        while failed.lock().unwrap().is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= runs {
                return;
            }
            let ran = run_seed(seed);
            counts.lock().unwrap().add(&ran.counts);
            if let Some(violation) = ran.violation {
                *failed.lock().unwrap() = Some((seed, violation));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    if let Some((seed, violation)) = failed.into_inner().unwrap() {
        panic!(
            "seed {seed} broke a promise {violation}\n\n{:#?}\n\nto see all of it: {}",
            Options::of_seed(seed),
            again(seed)
        );
    }
    counts.into_inner().unwrap()
}

fn run_seed(seed: u64) -> Ran {
    run(seed, Options::of_seed(seed), Sabotage::None, Telling::Silent)
}

/// Runs one seed and tells everything.
fn tell(seed: u64) {
    let options = Options::of_seed(seed);
    println!("{options:#?}");
    let ran = run(seed, options, Sabotage::None, Telling::Aloud);
    println!("digest {:016x}\n{}", ran.digest, ran.counts.table());
    assert_eq!(ran.violation, None, "seed {seed}");
}

fn again(seed: u64) -> String {
    format!("FANFARE_SIMULATION_SEED={seed} cargo test -p workers --test sim every_promise -- --nocapture")
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}; give it a number")))
}
