//! How many webhooks a source takes in a time, as `100/s`, `600/min` or `5000/h`.

use std::time::Duration;

/// So many webhooks in so much time. A pause saves up at most that many for a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceRate {
    webhooks: u32,
    per: Duration,
}

impl SourceRate {
    /// Webhooks at once after a pause.
    #[must_use]
    pub const fn webhooks(self) -> u32 {
        self.webhooks
    }

    /// In this time.
    #[must_use]
    pub const fn per(self) -> Duration {
        self.per
    }
}

impl std::str::FromStr for SourceRate {
    type Err = ParseRateError;

    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let (number, unit) = text.split_once('/').ok_or(ParseRateError)?;
        let seconds = match unit.trim() {
            "s" => 1,
            "min" | "m" => 60,
            "h" => 3_600,
            _ => return Err(ParseRateError),
        };
        // At most one in a microsecond: more is no limit.
        let webhooks = number.trim().parse().ok().filter(|number| (1..=1_000_000).contains(number));
        Ok(Self { webhooks: webhooks.ok_or(ParseRateError)?, per: Duration::from_secs(seconds) })
    }
}

/// The text is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no rate; write it such as \"100/s\", \"600/min\" or \"5000/h\", up to 1000000")]
pub struct ParseRateError;
