//! Which of an endpoint's secrets sign at which moment, and how long an old one may stay beside a new one.

use jiff::{SignedDuration, Timestamp};
use wire::{KeyCountError, Secret, Signer};

#[cfg(test)]
mod tests;

/// Secrets of one endpoint that may be valid at once: a change of kind and a correction within one overlap. Each adds a
/// signature to every delivery, and verifiers of others may read only a few.
pub const SECRETS_VALID_MAX: usize = 4;

/// One of an endpoint's signing secrets.
#[derive(Clone, Debug)]
pub struct EndpointSecret {
    /// Rises with each rotation of its endpoint, from 1: the newest has the highest.
    pub number: u32,
    /// What signs.
    pub secret: Secret,
    /// Since when.
    pub created_at: Timestamp,
    /// The first moment at which it does not sign any more; `None` for the newest, which another has yet to replace.
    pub valid_until: Option<Timestamp>,
}

impl EndpointSecret {
    /// Whether it signs at `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| now < until)
    }
}

/// How long old secrets sign beside a new one: whole hours, 0 to 168, by default 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap(u8);

/// The number of hours is too great.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is {0}; give whole hours, 0 (the old secret ends at once) to {hours_max}", hours_max = Overlap::HOURS_MAX)]
pub struct OverlapTooLong(pub u64);

impl Overlap {
    /// A week: beyond it a leaked secret would stay of use for too long.
    pub const HOURS_MAX: u8 = 168;

    /// An overlap of so many hours.
    pub fn from_hours(hours: u64) -> Result<Overlap, OverlapTooLong> {
        let fitting = u8::try_from(hours).ok().filter(|hours| *hours <= Self::HOURS_MAX);
        fitting.map(Overlap).ok_or(OverlapTooLong(hours))
    }

    /// When an overlap that begins at `now` is over.
    pub fn end(self, now: Timestamp) -> Timestamp {
        now.saturating_add(SignedDuration::from_hours(self.0.into())).unwrap_or(Timestamp::MAX)
    }
}

impl Default for Overlap {
    /// A day, as at the peers: time for a receiver to deploy on an ordinary working day.
    fn default() -> Overlap {
        Overlap(24)
    }
}

/// The secrets of an endpoint over time, their keys ready. Made once when a lane opens; asking it is a comparison.
#[derive(Debug)]
pub struct SigningSchedule {
    /// While older secrets are valid, too: who signs until when, soonest end first. Mostly empty.
    overlaps: Vec<(Timestamp, Signer)>,
    /// After that.
    newest: Signer,
}

impl SigningSchedule {
    /// The schedule of these secrets, newest first, which is also the order of their signatures.
    pub fn new(secrets: &[EndpointSecret]) -> Result<SigningSchedule, KeyCountError> {
        let mut ends: Vec<Timestamp> = secrets.iter().filter_map(|secret| secret.valid_until).collect();
        ends.sort_unstable();
        ends.dedup();
        let signer = |valid: &dyn Fn(&EndpointSecret) -> bool| {
            Signer::new(secrets.iter().filter(|secret| valid(secret)).map(|secret| secret.secret.clone()))
        };
        let overlaps = ends.into_iter().map(|end| {
            let signer = signer(&|secret| secret.valid_until.is_none_or(|until| until >= end));
            Ok((end, signer?))
        });
        Ok(SigningSchedule {
            overlaps: overlaps.collect::<Result<_, KeyCountError>>()?,
            newest: signer(&|secret| secret.valid_until.is_none())?,
        })
    }

    /// What signs at `now`.
    pub fn signer_at(&self, now: Timestamp) -> &Signer {
        self.overlaps.iter().find(|(until, _)| now < *until).map_or(&self.newest, |(_, signer)| signer)
    }
}
