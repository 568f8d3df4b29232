//! What the driver did and what it was promised: the judge's only evidence.

use std::collections::BTreeSet;

#[derive(Default)]
pub struct Ledger {
    /// Events whose save was answered 201.
    pub announced: Vec<String>,
    /// Saves that were tried.
    pub tried: usize,
    /// Ids of webhooks that were sent to the inbox.
    pub sent: BTreeSet<String>,
    /// Those of them that were answered 200.
    pub acknowledged: BTreeSet<String>,
}

impl Ledger {
    pub fn attempted(&self) -> usize {
        self.tried + self.sent.len()
    }
}
