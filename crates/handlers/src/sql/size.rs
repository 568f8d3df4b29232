//! How many messages one transaction takes: as many as stay far from the handler's timeout, because a batch that took
//! longer would have to be done again message by message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// At 64 the commit costs each a few microseconds; more would only hold locks for longer.
const SIZE_MAX: usize = 64;

/// The size that fits now.
pub(super) struct BatchSize {
    size: AtomicUsize,
    timeout: Duration,
}

/// Looks at the clock when the batch ends, also where it is given up.
pub(super) struct Measured<'s> {
    size: &'s BatchSize,
    begun: Instant,
    jobs: usize,
}

impl BatchSize {
    pub(super) const fn new(timeout: Duration) -> BatchSize {
        BatchSize { size: AtomicUsize::new(SIZE_MAX), timeout }
    }

    pub(super) fn max(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    pub(super) fn measure(&self, jobs: usize) -> Measured<'_> {
        Measured { size: self, begun: Instant::now(), jobs }
    }
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        let size = match took {
            _ if took > self.size.timeout / 2 => 1,
            _ if took > self.size.timeout / 8 => self.jobs / 2,
            _ if took < self.size.timeout / 32 && self.jobs >= self.size.max() => self.jobs * 2,
            _ => return,
        };
        self.size.size.store(size.clamp(1, SIZE_MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn batches_shrink_when_they_take_long_and_grow_again() {
        let size = BatchSize::new(Duration::from_secs(32));
        for (jobs, seconds, max) in [(64, 1, 64), (64, 5, 32), (32, 17, 1), (1, 2, 1), (1, 0, 2), (2, 0, 4), (1, 0, 4)]
        {
            let measured = size.measure(jobs);
            tokio::time::advance(Duration::from_secs(seconds)).await;
            drop(measured);
            assert_eq!(size.max(), max, "{jobs} in {seconds} s");
        }
    }
}
