//! The only place that reads the clock, asks for random bytes, or looks at the CPU time used.

use std::time::Duration;

use jiff::Timestamp;
use nix::sys::resource::{UsageWho, getrusage};
use store::{Chance, Clock};

/// This machine's wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "here time enters; everywhere else it is an argument")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// This machine's source of random bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SystemChance;

impl Chance for SystemChance {
    #[expect(clippy::disallowed_methods, reason = "here chance enters; everywhere else it is an argument")]
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness there are no keys and no ids, so there is nothing sensible to go on with.
        aws_lc_rs::rand::fill(bytes).expect("the system gives random bytes");
    }
}

/// User and system CPU time of this process so far.
pub(crate) fn cpu_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return Duration::ZERO };
    [usage.user_time(), usage.system_time()]
        .map(|time| {
            Duration::from_secs(time.tv_sec().unsigned_abs()) + Duration::from_micros(time.tv_usec().unsigned_abs())
        })
        .into_iter()
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_differs_and_time_is_not_the_epoch() {
        let chance: &dyn Chance = &SystemChance;
        assert_ne!(chance.bytes::<16>(), chance.bytes::<16>());
        assert!(SystemClock.now() > Timestamp::UNIX_EPOCH);
    }
}
