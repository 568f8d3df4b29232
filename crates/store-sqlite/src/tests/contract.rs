//! The contract of `store-spec`, sentence by sentence and in random operations.

use super::Disk;
use crate::SqliteStore;

/// Some seconds of work.
const RANDOM_SEQUENCES: u32 = 32;

fn empty_store() -> (SqliteStore, Disk) {
    let disk = Disk::new();
    (disk.open(), disk)
}

store_spec::suite!(empty_store);

#[test]
fn it_answers_random_operations_as_the_model_does() {
    store_spec::agree_with_model(empty_store, RANDOM_SEQUENCES);
}
