//! How long the inbox recognises a repetition.

use jiff::{SignedDuration, Timestamp};
use receiver::Verified;
use wire::AccountId;

use crate::DuplicateContent;

/// How long after the first copy of a message another counts as a repetition: whole days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DedupeWindow {
    days: u16,
}

/// A message that a store has, as far as others are compared with it; as its rows have it.
#[derive(Clone, Copy, Debug)]
pub struct KnownMessage<'a> {
    /// Whose.
    pub account: AccountId,
    /// The bytes of its source's id.
    pub source: &'a [u8],
    /// By which it is recognised.
    pub key: &'a [u8],
    /// When it came, Unix milliseconds.
    pub received_ms: i64,
    /// Of its content.
    pub digest: &'a [u8],
}

/// Why a number of days is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} days; give 1 to {max}", max = DedupeWindow::DAYS_MAX)]
pub struct DedupeWindowError(pub u16);

impl DedupeWindow {
    /// A year: nobody repeats a message for longer.
    pub const DAYS_MAX: u16 = 365;

    /// A window of so many days, 1 to [`DedupeWindow::DAYS_MAX`].
    pub fn new(days: u16) -> Result<DedupeWindow, DedupeWindowError> {
        if (1..=DedupeWindow::DAYS_MAX).contains(&days) {
            Ok(DedupeWindow { days })
        } else {
            Err(DedupeWindowError(days))
        }
    }

    /// Its days.
    #[must_use]
    pub fn days(self) -> u16 {
        self.days
    }

    /// When it begins at `now`: a first copy that came earlier is forgotten.
    #[must_use]
    pub fn begin(self, now: Timestamp) -> Timestamp {
        now.checked_sub(SignedDuration::from_hours(24 * i64::from(self.days))).unwrap_or(Timestamp::MIN)
    }

    /// Whether a message repeats one that is known, and how it compares with that.
    #[must_use]
    pub fn compare(self, message: &Verified, known: &KnownMessage<'_>) -> Option<DuplicateContent> {
        let is_repeated = known.account == message.account()
            && known.source == message.source().as_bytes()
            && known.key == message.dedupe_key().as_bytes()
            && known.received_ms >= self.begin(message.received_at()).as_millisecond();
        let is_same = known.digest == message.content_digest().as_bytes();
        let content = if is_same { DuplicateContent::Same } else { DuplicateContent::Different };
        is_repeated.then_some(content)
    }
}

impl Default for DedupeWindow {
    /// The most patient senders repeat a message for three days, people for some weeks.
    fn default() -> DedupeWindow {
        DedupeWindow { days: 30 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_day_to_a_year() {
        assert_eq!(DedupeWindow::new(30), Ok(DedupeWindow::default()));
        assert!(DedupeWindow::new(1).is_ok() && DedupeWindow::new(365).is_ok());
        let refused = DedupeWindow::new(366).map_err(|error| error.to_string());
        assert_eq!(refused, Err("366 days; give 1 to 365".to_owned()));
        assert!(DedupeWindow::new(0).is_err());
        let now = Timestamp::from_second(86_400 * 31).expect("a day of 1970");
        assert_eq!(DedupeWindow::default().begin(now).as_second(), 86_400);
    }
}
