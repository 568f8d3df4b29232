//! Completeness: a sender that is Fanfare says which of how many each webhook of a fan-out is, so what is missing shows.

use std::ops::RangeInclusive;

use receiver::KeptHeaders;
use wire::{FanOutId, headers};

/// Gaps that one answer lists.
pub const MISSING_RANGES_MAX: usize = 100;

/// Which webhook of which fan-out a message is, as its sender says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FanOutPlace {
    /// The sender's fan-out.
    pub fan_out: FanOutId,
    /// Counted from 1.
    pub index: u64,
    /// How many there are.
    pub total: u64,
}

impl FanOutPlace {
    /// Reads the headers that say so; `None` where one lacks or makes no sense. They are not signed.
    #[must_use]
    pub fn from_headers(kept: &KeptHeaders) -> Option<FanOutPlace> {
        let fan_out = kept.get(headers::FANFARE_FANOUT)?.parse().ok()?;
        // Stores count to 2^63.
        let count = |name| kept.get(name)?.parse::<i64>().ok().and_then(|count| u64::try_from(count).ok());
        let (index, total) = (count(headers::FANFARE_INDEX)?, count(headers::FANFARE_TOTAL)?);
        (1..=total).contains(&index).then_some(FanOutPlace { fan_out, index, total })
    }
}

/// What has come of a fan-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// Webhooks there are, as the one with the highest index says.
    pub total: u64,
    /// Different ones that have come and are kept.
    pub arrived: u64,
    /// Indexes that have not, in rising order; the first [`MISSING_RANGES_MAX`] gaps.
    pub missing: Vec<RangeInclusive<u64>>,
    /// Whether there are more gaps.
    pub more: bool,
}

impl Arrivals {
    /// Finds the gaps between indexes that come in rising order.
    #[must_use]
    pub fn between(indexes: impl IntoIterator<Item = u64>, total: u64) -> Arrivals {
        let mut arrivals = Arrivals { total, arrived: 0, missing: Vec::new(), more: false };
        let mut next = 1;
        for index in indexes {
            if index < next {
                continue;
            }
            arrivals.note_gap(next..=index - 1);
            arrivals.arrived += 1;
            next = index + 1;
        }
        arrivals.note_gap(next..=total);
        arrivals
    }

    fn note_gap(&mut self, gap: RangeInclusive<u64>) {
        if gap.is_empty() {
            return;
        }
        match self.missing.len() < MISSING_RANGES_MAX {
            true => self.missing.push(gap),
            false => self.more = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_found_before_between_and_after_what_came() {
        let of = |indexes: &[u64], total| Arrivals::between(indexes.iter().copied(), total);
        assert_eq!(of(&[1, 2, 3], 3).missing, []);
        assert_eq!(
            of(&[2, 2, 5], 7),
            Arrivals { total: 7, arrived: 2, missing: vec![1..=1, 3..=4, 6..=7], more: false }
        );
        assert_eq!(of(&[], 2).missing, [1..=2]);
    }

    #[test]
    fn no_more_gaps_are_listed_than_the_limit() {
        let every_other = |last: u64| Arrivals::between((2..=last).step_by(2), last);
        let limit = MISSING_RANGES_MAX as u64;
        assert!(every_other(2 * limit).missing.len() == MISSING_RANGES_MAX && !every_other(2 * limit).more);
        assert!(every_other(2 * limit + 2).missing.len() == MISSING_RANGES_MAX && every_other(2 * limit + 2).more);
    }

    #[test]
    fn a_place_that_makes_no_sense_is_none() {
        let read = |fan_out: &str, index: &str, total: &str| {
            let lines = format!("fanfare-fanout: {fan_out}\nfanfare-index: {index}\nfanfare-total: {total}\n");
            FanOutPlace::from_headers(&KeptHeaders::from_text(lines))
        };
        let fan_out = FanOutId::from_bytes([7; 16]);
        let id = fan_out.to_string();
        assert_eq!(read(&id, "3", "5"), Some(FanOutPlace { fan_out, index: 3, total: 5 }));
        for (id, index, total) in [
            ("fan_x", "3", "5"),
            (&id, "0", "5"),
            (&id, "6", "5"),
            (&id, "-1", "5"),
            (&id, "1", "99999999999999999999"),
        ] {
            assert_eq!(read(id, index, total), None, "{id} {index} {total}");
        }
        assert_eq!(FanOutPlace::from_headers(&KeptHeaders::default()), None);
    }
}
