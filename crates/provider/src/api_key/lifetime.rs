//! How long a key is good: until it is revoked, until its end, or for ever. The two ends are facts about the past and
//! the future; what they make of the key is decided here.

use std::time::Duration;

use jiff::Timestamp;

/// How long the old key is good beside the new one where nobody says otherwise: a day to roll out the new one.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3_600);
/// How long it may be good at most; what takes longer is a second key, not a rotation.
pub const OVERLAP_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);
/// The longest life that may be asked for. Who wants a longer one wants a key without an end.
pub const LIFE_MAX: Duration = Duration::from_secs(3_650 * 24 * 3_600);

/// When a key begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it opens nothing; `None` for a key without an end.
    pub expires_at: Option<Timestamp>,
    /// When it was ended by hand; `None` while it was not.
    pub revoked_at: Option<Timestamp>,
}

/// What a key is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It opens what its scopes allow.
    Good,
    /// Its time is over.
    Expired,
    /// It was ended by hand.
    Revoked,
}

impl Lifetime {
    /// From `created_at` on, for `life` where it has an end.
    pub fn new(created_at: Timestamp, life: Option<Duration>) -> Lifetime {
        Lifetime { created_at, expires_at: life.map(|life| after(created_at, life)), revoked_at: None }
    }

    /// What the key is at `now`.
    pub fn state(&self, now: Timestamp) -> KeyState {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(end)) if end <= now => KeyState::Expired,
            (None, _) => KeyState::Good,
        }
    }

    /// How long a key lives that takes this one's place and is given no life of its own: as long as this one was made
    /// for, so that rotating never turns a key with an end into one without.
    pub fn life(&self) -> Option<Duration> {
        let end = self.expires_at?;
        Some(Duration::try_from(end.duration_since(self.created_at)).unwrap_or_default())
    }
}

impl KeyState {
    /// Its name in the API and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyState::Good => "good",
            KeyState::Expired => "expired",
            KeyState::Revoked => "revoked",
        }
    }
}

/// A moment later, or the last one there is.
pub fn after(at: Timestamp, time: Duration) -> Timestamp {
    at.checked_add(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).expect("a second of this century")
    }

    #[test]
    fn a_key_is_good_until_its_end_and_not_at_it() {
        let key = Lifetime::new(at(0), Some(DAY));
        assert_eq!(key.state(at(86_399)), KeyState::Good);
        assert_eq!(key.state(at(86_400)), KeyState::Expired);
        let revoked = Lifetime { revoked_at: Some(at(5)), ..key };
        assert_eq!(revoked.state(at(90_000)), KeyState::Revoked);
        assert_eq!(Lifetime::new(at(0), None).state(Timestamp::MAX), KeyState::Good);
    }

    #[test]
    fn a_successor_lives_as_long_as_its_forerunner_was_made_for() {
        assert_eq!(Lifetime::new(at(7), Some(DAY)).life(), Some(DAY));
        assert_eq!(Lifetime::new(at(7), None).life(), None);
        assert_eq!(after(Timestamp::MAX, LIFE_MAX), Timestamp::MAX);
    }
}
