//! The places of a node: which lanes it works on, since when in relation to each other, and how many each account has.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use store::Lease;
use tokio::task::Id;
use wire::{AccountId, EndpointId};

type Key = (AccountId, EndpointId);

fn key(lease: &Lease) -> Key {
    (lease.account, lease.endpoint)
}

/// Lanes at work.
#[derive(Default)]
pub(super) struct Places {
    /// In the order in which they came.
    places: BTreeMap<u64, Place>,
    /// Which of them each task works on.
    of_task: HashMap<Id, u64>,
    of_lane: HashMap<Key, u64>,
    of_account: HashMap<AccountId, usize>,
    next: u64,
}

struct Place {
    lane: Key,
    is_given_back: Arc<AtomicBool>,
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Those on their way to be given back.
    pub(super) fn leaving(&self) -> usize {
        self.places.values().filter(|place| place.is_leaving()).count()
    }

    pub(super) fn works_on(&self, lease: &Lease) -> bool {
        self.of_lane.contains_key(&key(lease))
    }

    /// Accounts with at least so many lanes.
    pub(super) fn accounts_with(&self, lanes: usize) -> Vec<AccountId> {
        self.of_account.iter().filter(|(_, count)| **count >= lanes).map(|(account, _)| *account).collect()
    }

    /// A lane is worked on by this task, and looks at the flag for whether it is to be given back.
    pub(super) fn take(&mut self, task: Id, lease: &Lease, is_given_back: Arc<AtomicBool>) {
        let lane = key(lease);
        self.places.insert(self.next, Place { lane, is_given_back });
        self.of_task.insert(task, self.next);
        self.of_lane.insert(lane, self.next);
        *self.of_account.entry(lane.0).or_default() += 1;
        self.next += 1;
    }

    /// The task has ended.
    pub(super) fn free(&mut self, task: Id) {
        let Some(Place { lane, .. }) = self.of_task.remove(&task).and_then(|number| self.places.remove(&number)) else {
            return;
        };
        self.of_lane.remove(&lane);
        if let Some(lanes) = self.of_account.get_mut(&lane.0) {
            *lanes -= 1;
            if *lanes == 0 {
                self.of_account.remove(&lane.0);
            }
        }
    }

    /// Tells so many lanes that they are to go to other nodes. Those that have been here longest: whoever has just come is
    /// not sent on.
    pub(super) fn give_back(&self, lanes: usize) {
        let staying = self.places.values().filter(|place| !place.is_leaving());
        staying.take(lanes).for_each(|place| place.is_given_back.store(true, Ordering::Relaxed));
    }
}

impl Place {
    fn is_leaving(&self) -> bool {
        self.is_given_back.load(Ordering::Relaxed)
    }
}
