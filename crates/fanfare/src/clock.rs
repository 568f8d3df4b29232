//! The time and chance of this process, and the CPU time it has used.

use std::time::Duration;

pub(crate) use inbox::{SystemChance, SystemClock};
use nix::sys::resource::{UsageWho, getrusage};

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
