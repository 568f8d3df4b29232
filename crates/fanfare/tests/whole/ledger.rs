//! What the driver did and what it was promised: the judge's only evidence.

use std::collections::BTreeSet;

#[derive(Default)]
pub(crate) struct Ledger {
    /// Events whose save was answered 201.
    pub(crate) announced: Vec<String>,
    /// Saves that were tried.
    pub(crate) tried: usize,
    /// Ids of webhooks that were sent to the inbox.
    pub(crate) sent: BTreeSet<String>,
    /// Those of them that were answered 200.
    pub(crate) acknowledged: BTreeSet<String>,
}

impl Ledger {
    pub(crate) fn attempted(&self) -> usize {
        self.tried + self.sent.len()
    }
}
