//! The only place that reads the clock and asks for random bytes. Everywhere else both are arguments; here they enter, for
//! the binary as for other programs that take the inbox in.

use jiff::Timestamp;
use store::{Chance, Clock};

/// This machine's wall clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "here time enters; everywhere else it is an argument")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// This machine's source of random bytes.
#[derive(Clone, Copy, Debug)]
pub struct SystemChance;

impl Chance for SystemChance {
    #[expect(clippy::disallowed_methods, reason = "here chance enters; everywhere else it is an argument")]
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness there are no keys and no ids, so there is nothing sensible to go on with.
        aws_lc_rs::rand::fill(bytes).expect("the system gives random bytes");
    }
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
