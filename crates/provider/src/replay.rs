//! The pace of a replay that gives failed deliveries another try: how many of them it may put into the queue now, and
//! when it looks again.

use std::time::Duration;

use jiff::Timestamp;

use crate::pace::Rate;

/// Deliveries of one replay that may wait in the queue for their first new attempt. Few enough that pausing or cancelling
/// the replay soon shows, and that what is announced meanwhile is not held up; more than a lane sends until the next turn.
pub const WAITING_MAX: u64 = 1_000;
/// A replay at work looks again after this time.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// What was not used of the pace is kept for this long: a loop that comes late makes up for it, an outage earns no burst.
const UNUSED_KEPT: Duration = Duration::from_secs(5);

/// What a replay does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Deliveries to be put into the queue, at most.
    pub deliveries: u64,
    /// When it has its next turn.
    pub next_at: Timestamp,
}

/// Decides a turn that was due at `due`, with `waiting` deliveries still in the queue from those before.
pub fn turn(rate: Option<Rate>, waiting: u64, due: Timestamp, now: Timestamp) -> Turn {
    let room = WAITING_MAX.saturating_sub(waiting);
    let Some(rate) = rate.filter(|_| room > 0) else {
        return Turn { deliveries: room, next_at: now + LOOK_AGAIN_AFTER };
    };
    let per_minute = u64::from(rate.per_minute());
    let from = due.max(now - UNUSED_KEPT);
    let late_ms = now.duration_since(from).as_millis().try_into().unwrap_or(0_u64);
    // The one that is due, and one for each interval since.
    let deliveries = (1 + late_ms * per_minute / MINUTE_MS).min(room);
    let used = Duration::from_millis((deliveries * MINUTE_MS).div_ceil(per_minute));
    Turn { deliveries, next_at: from + used }
}

const MINUTE_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        Timestamp::from_second(1_790_000_000).expect("in range")
    }

    /// How many are put into the queue in `seconds` by a loop that looks each 100 ms, if each is sent at once.
    fn sent_in(seconds: u32, per_minute: u32) -> u64 {
        let rate = Rate::steady(per_minute).ok();
        let (mut due, mut sent) = (start(), 0);
        for step in 0..seconds * 10 {
            let now = start() + LOOK_AGAIN_AFTER * step;
            if due <= now {
                let turn = turn(rate, 0, due, now);
                (due, sent) = (turn.next_at, sent + turn.deliveries);
            }
        }
        sent
    }

    #[test]
    fn a_pace_is_kept_whatever_it_is() {
        assert_eq!(sent_in(60, 1), 1);
        assert_eq!(sent_in(60, 7), 7);
        assert_eq!(sent_in(60, 60), 60);
        let fast = sent_in(60, 6_000);
        assert!((5_950..=6_000).contains(&fast), "{fast}");
    }

    #[test]
    fn without_a_pace_the_queue_is_kept_full_and_no_more() {
        let now = start();
        assert_eq!(turn(None, 0, now, now).deliveries, WAITING_MAX);
        assert_eq!(turn(None, 900, now, now), Turn { deliveries: 100, next_at: now + LOOK_AGAIN_AFTER });
        assert_eq!(turn(None, WAITING_MAX + 1, now, now).deliveries, 0);
    }

    #[test]
    fn a_queue_that_stands_still_gets_no_more_whatever_the_pace() {
        let (now, rate) = (start(), Rate::steady(600).ok());
        assert_eq!(turn(rate, WAITING_MAX, now, now), Turn { deliveries: 0, next_at: now + LOOK_AGAIN_AFTER });
        assert_eq!(turn(rate, WAITING_MAX - 3, now - Duration::from_secs(4), now).deliveries, 3);
    }

    #[test]
    fn an_outage_earns_no_burst() {
        let (now, rate) = (start(), Rate::steady(60).ok());
        assert_eq!(turn(rate, 0, now - Duration::from_secs(3_600), now).deliveries, 6);
    }
}
