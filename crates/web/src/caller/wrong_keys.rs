//! How many wrong keys have come of late, by network and by key: a few are mistakes, more are guesses. Pure but for
//! the table it keeps.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Wrong keys in a row that are nobody's business: a person who copies a key badly needs a few tries, a deployment
/// with an old key has a few machines.
pub(super) const BURST: u32 = 20;
/// After these, one more in this time: 20 a minute.
pub(super) const EVERY: Duration = Duration::from_secs(3);
/// Networks and keys remembered at once, about a megabyte. Who can try from more networks than this gains nothing by
/// making us forget: each new network has tries of its own anyway.
pub(super) const SUBJECTS_MAX: usize = 16_384;

/// Whose wrong keys are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// Those from one address, or from one /64.
    Network(IpAddr),
    /// Those with one public id.
    Key(String),
}

/// The table. For each subject it keeps the moment at which all its wrong keys are forgiven (GCRA).
#[derive(Default)]
pub(super) struct WrongKeys {
    forgiven_at: Mutex<HashMap<Subject, Instant>>,
}

impl WrongKeys {
    /// How long a subject with too many wrong keys has to wait; `None` for all others.
    pub(super) fn wait(&self, subject: &Subject, now: Instant) -> Option<Duration> {
        wait(*self.table().get(subject)?, now)
    }

    /// Counts a wrong key. How long to wait from now on, where this one was just too many.
    pub(super) fn count(&self, subject: Subject, now: Instant) -> Option<Duration> {
        let mut table = self.table();
        if table.len() >= SUBJECTS_MAX && !table.contains_key(&subject) {
            table.retain(|_, forgiven_at| *forgiven_at > now);
            if table.len() >= SUBJECTS_MAX {
                table.clear();
            }
        }
        let forgiven_at = table.entry(subject).or_insert(now);
        let waited = wait(*forgiven_at, now);
        // Those who are told to wait and do not are not punished further: they would never be forgiven.
        if waited.is_none() {
            *forgiven_at = (*forgiven_at).max(now) + EVERY;
            return wait(*forgiven_at, now);
        }
        None
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Subject, Instant>> {
        self.forgiven_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait(forgiven_at: Instant, now: Instant) -> Option<Duration> {
    let owed = forgiven_at.saturating_duration_since(now);
    // With `BURST` of them owed in full, the next has to wait until the first is forgiven.
    let wait = owed.checked_sub(EVERY * (BURST - 1))?;
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(last: u32) -> Subject {
        Subject::Network(std::net::Ipv4Addr::from_bits(0x0a00_0000 + last).into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_then_one_every_so_often() {
        let (wrong, start) = (WrongKeys::default(), Instant::now());
        for nth in 1..BURST {
            assert_eq!((nth, wrong.count(network(1), start)), (nth, None));
        }
        assert_eq!(wrong.wait(&network(1), start), None);
        assert_eq!(wrong.count(network(1), start), Some(EVERY), "the last that is free is told");
        assert_eq!(wrong.wait(&network(1), start), Some(EVERY));
        assert_eq!(wrong.wait(&network(2), start), None, "others are not meant");

        let later = start + EVERY;
        assert_eq!(wrong.wait(&network(1), later), None);
        wrong.count(network(1), later);
        assert_eq!(wrong.wait(&network(1), later), Some(EVERY));
        assert_eq!(wrong.wait(&network(1), start + EVERY * BURST * 2), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_forgets_the_forgiven_first() {
        let (wrong, start) = (WrongKeys::default(), Instant::now());
        for _ in 0..BURST {
            wrong.count(network(0), start);
        }
        for last in 1..SUBJECTS_MAX as u32 {
            wrong.count(network(last), start);
        }
        let later = start + EVERY;
        wrong.count(network(u32::MAX >> 8), later);
        assert_eq!(wrong.table().len(), 2, "one that is owed, one that is new");

        for last in 0..SUBJECTS_MAX as u32 * 3 {
            wrong.count(network(last), later);
        }
        assert!(wrong.table().len() <= SUBJECTS_MAX);
    }
}
