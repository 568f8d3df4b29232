//! When the plan asks the store, and when it leaves it in peace.

use jiff::Timestamp;
use store::{Chance, SealingKey, Vault};
use store_sqlite::SqliteStore;
use webinar::Zones;
use wire::{AccountId, EndpointId};

use super::*;

/// Nothing is sealed here.
struct NoChance;

impl Chance for NoChance {
    fn fill(&self, _: &mut [u8]) {
        unreachable!("no secret is stored");
    }
}

fn vault() -> Vault {
    Vault::new([SealingKey::from_bytes([1; 32])], Arc::new(NoChance)).expect("one key")
}

#[tokio::test]
async fn a_query_that_brings_nothing_new_is_not_asked_again_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = SqliteStore::open(&directory.path().join("plan.db"), Zones::bundled(), vault()).expect("a store");
    let lease = Lease { account: AccountId::from_u32(1), endpoint: EndpointId::from_bytes([1; 16]), epoch: 1 };
    let mut plan = Plan::new(Arc::new(store), lease);
    let now = Timestamp::UNIX_EPOCH;

    plan.take_in(Fetched::Retries { signal: 0, reading: 0, found: Vec::new(), more_from: Some(now) });
    plan.fetch_ahead();
    assert!(plan.fetching().is_none());

    plan.want_retries(now);
    plan.fetch_ahead();
    assert!(plan.fetching().is_some(), "but when it is time again");
}
