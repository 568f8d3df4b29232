//! What this lane has in hand. The store calls a row due until the outcome is committed, and a query that began before
//! that commit may still bring it: such a row must not be sent a second time.

use std::collections::HashSet;
use std::hash::Hash;

use super::Row;

/// Keys in hand, from being read (or made) until a query that began after their commit.
#[derive(Debug)]
pub(crate) struct InHand<Key> {
    in_hand: HashSet<Key>,
    finished: Vec<Key>,
    committing: Vec<Key>,
    committed: Vec<Key>,
}

impl<Key: Copy + Eq + Hash> InHand<Key> {
    pub(crate) fn nothing() -> InHand<Key> {
        InHand { in_hand: HashSet::new(), finished: Vec::new(), committing: Vec::new(), committed: Vec::new() }
    }

    pub(crate) fn contains(&self, key: Key) -> bool {
        self.in_hand.contains(&key)
    }

    /// Lets go of what was taken in hand and not begun.
    pub(crate) fn put_back(&mut self, key: Key) {
        self.in_hand.remove(&key);
    }

    /// Takes a row in hand; says whether it was already.
    pub(crate) fn take(&mut self, key: Key) -> Row {
        if self.in_hand.insert(key) { Row::None } else { Row::Exists }
    }

    /// Notes that a delivery has come back; says whether it has a row.
    pub(crate) fn finish(&mut self, key: Key) -> Row {
        if self.in_hand.contains(&key) {
            self.finished.push(key);
            Row::Exists
        } else {
            Row::None
        }
    }

    pub(crate) fn begin_commit(&mut self) {
        self.committing.append(&mut self.finished);
    }

    pub(crate) fn end_commit(&mut self) {
        self.committed.append(&mut self.committing);
    }

    /// From here on the store's answers know all that is committed.
    pub(crate) fn begin_query(&mut self) {
        for key in self.committed.drain(..) {
            self.in_hand.remove(&key);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_hand.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.in_hand.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: u64 = 7;

    #[test]
    fn a_row_is_not_taken_again_before_its_outcome_is_on_disk() {
        let mut rows = InHand::nothing();
        assert_eq!(rows.take(KEY), Row::None);
        assert_eq!(rows.finish(KEY), Row::Exists);
        rows.begin_query();
        assert_eq!(rows.take(KEY), Row::Exists, "a query before the commit brings it again");
        rows.begin_commit();
        rows.end_commit();
        assert_eq!(rows.take(KEY), Row::Exists, "so does one that began before the commit");
        rows.begin_query();
        assert_eq!(rows.take(KEY), Row::None, "what a later one brings is due anew");
    }

    #[test]
    fn what_has_no_row_needs_none_removed() {
        assert_eq!(InHand::nothing().finish(KEY), Row::None);
    }
}
