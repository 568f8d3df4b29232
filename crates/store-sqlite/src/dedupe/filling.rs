//! Filling the table of dedupe keys for a benchmark: as full as if so many messages had come in any order, without them.

use rusqlite::Connection;
use store::StoreResult;

use crate::SqliteStore;
use crate::columns::run;

/// Keys in one transaction: some 25 MB of log.
const PIECE: u64 = 1_000_000;
/// Of ten keys so many come first, in order, and the others between them: that leaves pages about as full as chance does.
const FIRST_OF_TEN: u64 = 7;

impl SqliteStore {
    /// Adds dedupe keys of `keys` messages that nobody has sent; `told` hears how many there are so far. New messages are
    /// numbered after them.
    pub async fn fill_keys_for_a_bench(&self, keys: u64, told: impl Fn(u64)) -> StoreResult<()> {
        let mut filled = 0;
        for is_first in [true, false] {
            for begin in (0..keys).step_by(PIECE as usize) {
                let piece = begin..keys.min(begin + PIECE);
                filled += self.writer.write(move |connection| fill(connection, piece, keys, is_first)).await?;
                self.checkpoint().await?;
                told(filled);
            }
        }
        let sql = "insert into sqlite_sequence (name, seq) values ('message', ?1)";
        self.writer.write(move |connection| run(connection, sql, [keys.cast_signed()])).await
    }
}

fn fill(connection: &Connection, piece: std::ops::Range<u64>, keys: u64, is_first: bool) -> StoreResult<u64> {
    let sql = "insert into message_seen (fingerprint, number) values (?1, ?2)";
    let step = u64::MAX / keys;
    let mut filled = 0;
    for key in piece {
        let chance = scatter(key);
        if (chance % 10 < FIRST_OF_TEN) != is_first {
            continue;
        }
        // Spread evenly, each somewhere in its share; the order of the numbers has nothing to do with it.
        let fingerprint = (key * step + (chance >> 8) % step) ^ (1 << 63);
        run(connection, sql, (fingerprint.cast_signed(), (1 + scatter(chance) % keys).cast_signed()))?;
        filled += 1;
    }
    Ok(filled)
}

/// Numbers that look random (the finisher of SplitMix64).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
