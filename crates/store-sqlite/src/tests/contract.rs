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
