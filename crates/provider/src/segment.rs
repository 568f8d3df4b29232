//! The segment codec: the outcomes of one commit of a lane, packed into one row of four to six bytes each.
//! Entries are sorted by participant, so a segment also is its own range index.

use crate::attempt::Outcome;
use crate::varint;

/// One finished attempt as the log keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The participant's number within the account.
    pub participant: u64,
    /// 1 for the first attempt.
    pub attempt: u16,
    /// What it came to.
    pub outcome: Outcome,
    /// When it ended, Unix milliseconds.
    pub finished_ms: i64,
    /// From its start to its end, in tenths of a millisecond.
    pub latency_tenth_ms: u32,
}

/// A packed segment with what is kept beside it in columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Lowest participant number in it.
    pub first: u64,
    /// Highest participant number in it.
    pub last: u64,
    /// Number of entries.
    pub count: u32,
    /// The packed entries.
    pub bytes: Vec<u8>,
}

/// The bytes are not a segment that this version wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a segment of the delivery log is damaged or was written by a newer version")]
pub struct Damaged;

/// Version of the packing, the first byte of each segment.
const FORMAT: u8 = 1;
/// By far the commonest end, a 200 at the first attempt, is one byte.
const FIRST_TRY_OK: u8 = 0;
/// Any other 200.
const LATER_OK: u8 = 1;
/// Anything else: attempt and outcome follow.
const OTHER: u8 = 2;

impl Segment {
    /// Packs the outcomes of one commit; `None` where there are none.
    pub fn pack(mut entries: Vec<Entry>) -> Option<Segment> {
        entries.sort_unstable_by_key(|entry| (entry.participant, entry.attempt));
        let (first, last) = (entries.first()?.participant, entries.last()?.participant);
        let base_ms = entries.iter().map(|entry| entry.finished_ms).min()?;

        let mut bytes = Vec::with_capacity(16 + entries.len() * 5);
        bytes.push(FORMAT);
        varint::write(&mut bytes, first);
        varint::write(&mut bytes, base_ms.max(0) as u64);
        let mut previous = first;
        for entry in &entries {
            varint::write(&mut bytes, entry.participant - previous);
            varint::write(&mut bytes, entry.finished_ms.saturating_sub(base_ms) as u64);
            varint::write(&mut bytes, u64::from(entry.latency_tenth_ms));
            write_end(&mut bytes, entry);
            previous = entry.participant;
        }
        Some(Segment { first, last, count: entries.len() as u32, bytes })
    }
}

fn write_end(bytes: &mut Vec<u8>, entry: &Entry) {
    match (entry.outcome, entry.attempt) {
        (Outcome::Answered(200), 1) => bytes.push(FIRST_TRY_OK),
        (Outcome::Answered(200), attempt) => {
            bytes.push(LATER_OK);
            varint::write(bytes, u64::from(attempt));
        }
        (outcome, attempt) => {
            bytes.push(OTHER);
            varint::write(bytes, u64::from(attempt));
            varint::write(bytes, u64::from(outcome.number()));
        }
    }
}

/// Unpacks a segment, entries in order of participant.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Entry>, Damaged> {
    let (FORMAT, mut rest) = bytes.split_first().map(|(format, rest)| (*format, rest)).ok_or(Damaged)? else {
        return Err(Damaged);
    };
    let mut participant = varint::read(&mut rest).ok_or(Damaged)?;
    let base_ms = varint::read(&mut rest).ok_or(Damaged)?;
    let mut entries = Vec::with_capacity(rest.len() / 4);
    while !rest.is_empty() {
        entries.push(read_entry(&mut rest, &mut participant, base_ms).ok_or(Damaged)?);
    }
    Ok(entries)
}

fn read_entry(rest: &mut &[u8], participant: &mut u64, base_ms: u64) -> Option<Entry> {
    *participant = participant.checked_add(varint::read(rest)?)?;
    let finished_ms = i64::try_from(base_ms.checked_add(varint::read(rest)?)?).ok()?;
    let latency_tenth_ms = u32::try_from(varint::read(rest)?).ok()?;
    let (end, after) = rest.split_first()?;
    *rest = after;
    let (attempt, outcome) = match *end {
        FIRST_TRY_OK => (1, Outcome::Answered(200)),
        LATER_OK => (read_u16(rest)?, Outcome::Answered(200)),
        OTHER => (read_u16(rest)?, Outcome::from_number(read_u16(rest)?)?),
        _ => return None,
    };
    Some(Entry { participant: *participant, attempt, outcome, finished_ms, latency_tenth_ms })
}

fn read_u16(rest: &mut &[u8]) -> Option<u16> {
    u16::try_from(varint::read(rest)?).ok()
}

#[cfg(test)]
mod tests;
