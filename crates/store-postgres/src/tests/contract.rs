//! The contract of `store-spec`, sentence by sentence and in random operations.

use super::TestDatabase;
use crate::PostgresStore;

/// Some seconds of work.
const RANDOM_SEQUENCES: u32 = 8;

fn empty_store() -> Option<(PostgresStore, TestDatabase)> {
    let database = TestDatabase::new()?;
    Some((database.store(), database))
}

store_spec::suite!(empty_store);

#[test]
fn it_answers_random_operations_as_the_model_does() {
    store_spec::agree_with_model(empty_store, RANDOM_SEQUENCES);
}
