//! Worlds made for one trouble each: what a node owes to the others that share the store.

use crate::options::{Act, EndpointOptions, Options, Planned, StoreFaults};
use crate::receiver::Temper;
use crate::run::run;
use crate::sabotage::Sabotage;
use crate::simulation::{Telling, catch_panics};
use crate::sometimes::{Counts, Sometimes};

#[test]
fn a_node_that_cannot_reach_the_store_sends_nothing_once_its_leases_are_over() {
    let counts = keeps_its_promises(&[Act::CutOff { node: 0, for_ms: 60_000 }]);
    assert!(counts.of(Sometimes::CutOff) > 0 && counts.of(Sometimes::TakenOver) > 0, "{}", counts.table());
}

#[test]
fn a_process_that_stood_still_for_longer_than_its_lease_sends_nothing_before_it_has_asked() {
    let counts =
        keeps_its_promises(&[Act::Freeze { node: 0, for_ms: 40_000 }, Act::Freeze { node: 1, for_ms: 40_000 }]);
    let refused = [Sometimes::FencedSettle, Sometimes::FencedRenew, Sometimes::FencedRead];
    let refused: u64 = refused.into_iter().map(|what| counts.of(what)).sum();
    assert!(refused > 0 && counts.of(Sometimes::TakenOver) > 0, "{}", counts.table());
}

#[test]
fn a_store_that_does_not_answer_for_a_minute_lets_nobody_go_on_sending() {
    let faults = StoreFaults { delay_ms_max: 70_000, ..StoreFaults::default() };
    let counts = keeps_its_promises(&[Act::StoreSpell { faults, for_ms: 60_000 }]);
    assert!(counts.of(Sometimes::SlowStore) > 0, "{}", counts.table());
}

#[test]
fn a_commit_of_which_nobody_knows_counts_nobody_twice_whether_it_was_kept_or_not() {
    let faults = StoreFaults { unconfirmed_one_in: 2, ..StoreFaults::default() };
    let counts = keeps_its_promises(&[Act::StoreSpell { faults, for_ms: 60_000 }]);
    assert!(counts.of(Sometimes::UnconfirmedSettle) > 0, "{}", counts.table());
    assert!(counts.of(Sometimes::UnconfirmedLoss) > 0, "{}", counts.table());
}

/// Lets these things happen, two seconds apart, while two nodes work on four lanes that take a while; with several seeds.
fn keeps_its_promises(acts: &[Act]) -> Counts {
    catch_panics();
    let mut counts = Counts::default();
    for seed in 0..10 {
        let ran = run(seed, busy(acts), Sabotage::None, Telling::Silent);
        assert_eq!(ran.violation, None, "seed {seed}");
        counts.add(&ran.counts);
    }
    counts
}

fn busy(acts: &[Act]) -> Options {
    let endpoint =
        EndpointOptions { temper: Temper::Fine, filter: None, refuses_for_ever_one_in: 0, latency_ms_max: 3_000 };
    let save = Planned { at_ms: 0, act: Act::Save { series: 0 } };
    let troubles = (1..).zip(acts).map(|(turn, act)| Planned { at_ms: turn * 2_000, act: act.clone() });
    Options {
        people: 60,
        mangoes: 1,
        series: 1,
        endpoints: vec![endpoint; 4],
        nodes: 2,
        window: 2,
        store: StoreFaults::default(),
        is_calm: false,
        acts: std::iter::once(save).chain(troubles).collect(),
        fault_phase_ms: 90_000,
        ends_spread: true,
    }
}
