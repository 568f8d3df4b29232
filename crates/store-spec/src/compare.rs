//! Random operations on a store and on the model: both must answer alike, and look alike afterwards.

mod apply;
mod handling;
mod observe;
mod operation;
mod player;
mod replays;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use std::hash::{BuildHasher, RandomState};
use store::Store;
use tokio::runtime::{Builder, Runtime};

use crate::{Made, Model, World};
use operation::Operation;
use player::Player;

/// How many operations pass between two looks at everything.
const OPERATIONS_BETWEEN_LOOKS: usize = 10;
/// Steps towards a smaller example; each is a whole sequence again.
const SHRINK_STEPS_MAX: u32 = 400;

/// Compares stores from `make` with the model in this many random sequences of operations. Panics at the first
/// difference, with the shortest sequence found and the seed; `PROPTEST_RNG_SEED` takes a seed to repeat one.
pub fn agree_with_model<M: Made<Store: Store>>(make: impl Fn() -> M, cases: u32) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut config =
        Config { cases, max_shrink_iters: SHRINK_STEPS_MAX, failure_persistence: None, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one("a seed"));
    }
    let seed = config.rng_seed;
    let compared = TestRunner::new(config).run(&operation::sequences(), |operations| {
        let Some((store, _kept)) = make().made() else { return Ok(()) };
        compare(&runtime, store, &operations)
    });
    if let Err(difference) = compared {
        panic!("the store and the model differ (PROPTEST_RNG_SEED={seed}): {difference}");
    }
}

fn compare<S: Store>(runtime: &Runtime, store: S, operations: &[Operation]) -> Result<(), TestCaseError> {
    runtime.block_on(async {
        let mut tested = Player::new(World::new(store)).await;
        let mut model = Player::new(World::new(Model::default())).await;
        for (index, operation) in operations.iter().enumerate() {
            let (answer, expected) = (tested.apply(operation).await, model.apply(operation).await);
            require_same(&format!("the answer to operation {index}, {operation:?},"), &answer, &expected)?;
            if index % OPERATIONS_BETWEEN_LOOKS == OPERATIONS_BETWEEN_LOOKS - 1 || index + 1 == operations.len() {
                let (seen, expected) = (tested.observe().await, model.observe().await);
                require_same(&format!("what is seen after operation {index}, {operation:?},"), &seen, &expected)?;
            }
        }
        Ok(())
    })
}

fn require_same(what: &str, found: &str, expected: &str) -> Result<(), TestCaseError> {
    if found == expected {
        return Ok(());
    }
    let same = found.lines().zip(expected.lines()).take_while(|(found, expected)| found == expected).count();
    let around = |text: &str| text.lines().skip(same.saturating_sub(12)).take(16).collect::<Vec<_>>().join("\n");
    let message = format!("{what} is\n{}\nbut should be\n{}", around(found), around(expected));
    Err(TestCaseError::fail(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_agrees_with_itself() {
        agree_with_model(|| (Model::default(), ()), 8);
    }

    #[test]
    fn a_difference_is_shown_where_it_begins() {
        let error = require_same("the list", "a\nb\nc", "a\nb\nd").unwrap_err();
        assert!(error.to_string().contains("the list is\na\nb\nc\nbut should be\na\nb\nd"), "{error}");
    }
}
