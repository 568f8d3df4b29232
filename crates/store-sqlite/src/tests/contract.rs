//! The contract of `store-spec`, sentence by sentence.

use tempfile::TempDir;
use webinar::Zones;

use crate::SqliteStore;

fn empty_store() -> (SqliteStore, TempDir) {
    let directory = TempDir::new().unwrap();
    let store = SqliteStore::open(&directory.path().join("fanfare.db"), Zones::bundled()).unwrap();
    (store, directory)
}

store_spec::suite!(empty_store);

#[test]
fn it_answers_random_operations_as_the_model_does() {
    store_spec::agree_with_model(empty_store, 48);
}
