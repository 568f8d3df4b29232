//! The day that a row of a partitioned table belongs to, which the other engine does not keep: that of its newest outcome,
//! so that a day is not dropped before all it holds is old.

use provider::segment;
use store::{Cell, CopiedRow, CopiedTable, StoreError, StoreResult};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Sets the day of each row that has none; the days there are, once each, for which partitions are needed.
pub(super) fn fill(table: &CopiedTable, rows: &mut [CopiedRow]) -> StoreResult<Vec<i64>> {
    let Some(day) = table.position("day") else { return Ok(Vec::new()) };
    let time = table.position("outcomes").or_else(|| table.position("finished_at"));
    let mut days = Vec::new();
    for row in rows {
        if row[day] == Cell::Null {
            let finished_ms = time.and_then(|at| newest(&row[at])).ok_or_else(|| damaged(table))?;
            row[day] = Cell::Number(finished_ms.div_euclid(DAY_MS));
        }
        if let Cell::Number(day) = row[day] {
            days.push(day);
        }
    }
    days.sort_unstable();
    days.dedup();
    Ok(days)
}

fn newest(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Number(finished_ms) => Some(*finished_ms),
        Cell::Bytes(outcomes) => segment::unpack(outcomes).ok()?.iter().map(|entry| entry.finished_ms).max(),
        Cell::Null | Cell::Text(_) => None,
    }
}

fn damaged(table: &CopiedTable) -> StoreError {
    StoreError::broken(format!("a row of table {} is damaged: it does not tell when it was written", table.name))
}
