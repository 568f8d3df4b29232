//! Stores that break their contract on purpose: each must be found out, or the simulation proves nothing.

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    None,
    /// Some settlements are answered, and never written.
    ForgetsSettlements,
    /// A stale owner's outcomes are written as if it were the owner.
    IgnoresEpochs,
    /// A new owner is not told who was finished beyond the cursor.
    ForgetsFinishedBeyond,
    /// Cursors are written at once, and what they stand for only some time later.
    MovesCursorsFirst,
    /// Rows are given out before they are due.
    HurriesRetries,
    /// Some pages skip somebody.
    SkipsPeople,
}

impl Sabotage {
    pub(crate) const ALL: [Sabotage; 6] = [
        Sabotage::ForgetsSettlements,
        Sabotage::IgnoresEpochs,
        Sabotage::ForgetsFinishedBeyond,
        Sabotage::MovesCursorsFirst,
        Sabotage::HurriesRetries,
        Sabotage::SkipsPeople,
    ];
}
