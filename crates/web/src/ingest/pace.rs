//! A source's rate, kept without a lock: the generic cell rate algorithm, one number that is moved on by each webhook.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use receiver::SourceRate;
use tokio::time::Instant;

/// The pace of one source. After a pause as many as the rate counts may come at once.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    /// What one webhook costs, nanoseconds.
    each: u64,
    /// What may be owed at once, nanoseconds.
    burst: u64,
    /// Until when all that was admitted is paid for, nanoseconds since the start.
    paid_until: AtomicU64,
}

impl Pace {
    pub(super) fn new(rate: SourceRate) -> Pace {
        let burst = nanos(rate.per());
        let each = (burst / u64::from(rate.webhooks())).max(1);
        Pace { start: Instant::now(), each, burst, paid_until: AtomicU64::new(0) }
    }

    /// Takes one webhook in, or tells how long until one may come.
    pub(super) fn admit(&self) -> Result<(), Duration> {
        let now = nanos(self.start.elapsed());
        let after = |paid_until: u64| paid_until.max(now) + self.each;
        let within = |paid_until: u64| Some(after(paid_until)).filter(|owed| *owed <= now + self.burst);
        match self.paid_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => Ok(()),
            Err(paid_until) => Err(Duration::from_nanos(after(paid_until) - now - self.burst)),
        }
    }
}

/// Of an hour or of the life of a process; 584 years fit.
fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_holds_over_any_time_and_a_pause_saves_up_one_burst() {
        let pace = Pace::new("10/s".parse().unwrap());
        let admitted = || (0..100).filter(|_| pace.admit().is_ok()).count();
        assert_eq!(admitted(), 10);
        assert_eq!(pace.admit(), Err(Duration::from_millis(100)));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(admitted(), 2);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(admitted(), 10);
    }
}
