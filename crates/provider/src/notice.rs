//! Notices: what an account's owner is told by an operational webhook, as one body for all endpoints, and what follows
//! an attempt to deliver it. What is worth a notice is decided where it happens.

use jiff::Timestamp;
use webinar::NoticeKind;

use crate::attempt::Outcome;
use crate::judge::{Attempt, Jitter, RetryPolicy, Verdict};

const GONE: u16 = 410;

/// The body of a notice, in the shape of Standard Webhooks: `{"type":…,"timestamp":…,"data":…}`. `details` is a JSON
/// object. The same at every attempt and every endpoint, since the notice's own id is what it is recognised by.
pub fn write_notice(kind: NoticeKind, created_at: Timestamp, details: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"timestamp\":\"{created_at:.3}\",\"data\":{details}}}")
}

/// Decides what becomes of a notice at one endpoint. Unlike a delivery's, every failure is charged: no lane waits in
/// its stead, so without an end it would be sent for ever.
pub fn judge_notice(attempt: &Attempt, policy: &RetryPolicy, now: Timestamp, jitter: Jitter) -> Verdict {
    if attempt.outcome.is_delivered() {
        return Verdict::Delivered;
    }
    let charged = attempt.charged.saturating_add(1);
    match policy.delay_after(charged) {
        Some(delay) if attempt.outcome != Outcome::Answered(GONE) => {
            let wait = jitter.spread(delay).max(attempt.asked_wait.unwrap_or_default());
            Verdict::RetryAt { due: now + wait, charged }
        }
        _ => Verdict::Abandon,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::attempt::Failure;
    use crate::judge::AttemptKind;

    const HOUR: Duration = Duration::from_secs(3600);

    fn verdict(outcome: Outcome, asked_wait: Option<Duration>, charged: u16) -> Verdict {
        let attempt = Attempt { charged, outcome, asked_wait, kind: AttemptKind::Ordinary };
        judge_notice(&attempt, &RetryPolicy::default(), Timestamp::UNIX_EPOCH, Jitter::from_bits(u64::MAX / 2))
    }

    fn wait_after(outcome: Outcome, asked_wait: Option<Duration>, charged: u16) -> Duration {
        match verdict(outcome, asked_wait, charged) {
            Verdict::RetryAt { due, charged: now } if now == charged + 1 => {
                due.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_body_has_the_shape_of_standard_webhooks() {
        let body = write_notice(NoticeKind::EndpointDisabled, Timestamp::UNIX_EPOCH, "{\"endpoint\":\"ep_1\"}");
        let expected = "{\"type\":\"endpoint.disabled\",\"timestamp\":\"1970-01-01T00:00:00.000Z\",\
                        \"data\":{\"endpoint\":\"ep_1\"}}";
        assert_eq!(body, expected);
    }

    #[test]
    fn every_failure_uses_up_the_schedule_throttling_too() {
        for outcome in [Outcome::Answered(429), Outcome::Answered(500), Outcome::Failed(Failure::Timeout)] {
            let waits: Vec<u64> = (0..9).map(|charged| wait_after(outcome, None, charged).as_secs()).collect();
            assert!(waits.is_sorted() && waits[0] < 6 && waits[8] > 23 * 3600, "{waits:?}");
            assert_eq!(verdict(outcome, None, 9), Verdict::Abandon);
        }
    }

    #[test]
    fn an_endpoint_may_ask_for_time_and_one_that_is_gone_is_left_alone() {
        assert_eq!(wait_after(Outcome::Answered(503), Some(HOUR), 0), HOUR);
        assert_eq!(verdict(Outcome::Answered(410), None, 0), Verdict::Abandon);
        assert_eq!(verdict(Outcome::Answered(204), None, 0), Verdict::Delivered);
    }
}
