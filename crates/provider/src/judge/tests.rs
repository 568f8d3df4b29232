use super::*;

const MIDDLE: Jitter = Jitter(0.5);

fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().expect("a timestamp")
}

fn first(outcome: Outcome) -> Attempt {
    Attempt { number: 1, outcome, asked_wait: None, kind: AttemptKind::Ordinary }
}

fn verdict(attempt: &Attempt) -> Verdict {
    judge(attempt, &RetryPolicy::default(), now(), MIDDLE)
}

fn retry_in(seconds: i64, number: u16) -> Verdict {
    Verdict::RetryAt { due: now() + jiff::SignedDuration::from_secs(seconds), number }
}

#[test]
fn every_status_class_has_its_verdict_and_its_sign() {
    let throttled = Sign::Throttling(THROTTLE_WAIT);
    for (statuses, expected, sign) in [
        (&[200, 201, 202, 204, 299][..], Verdict::Delivered, Sign::Alive),
        (&[100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 413, 422, 451], retry_in(5, 2), Sign::Alive),
        (&[408, 425, 500, 502, 503, 504, 599, 600, 999], retry_in(5, 2), Sign::Failing),
        (&[429], retry_in(5, 1), throttled),
        (&[410], retry_in(5, 1), Sign::Gone),
    ] {
        for status in statuses {
            let attempt = first(Outcome::Answered(*status));
            assert_eq!(verdict(&attempt), expected, "{status}");
            assert_eq!(sign_of(&attempt), sign, "{status}");
        }
    }
}

#[test]
fn every_failure_without_an_answer_is_the_endpoints() {
    for number in 1..100 {
        if let Some(outcome) = Outcome::from_number(number) {
            assert_eq!(sign_of(&first(outcome)), Sign::Failing, "{outcome}");
            assert_eq!(verdict(&first(outcome)), retry_in(5, 2), "{outcome}");
        }
    }
}

#[test]
fn the_tenth_failure_ends_a_delivery_after_75_hours_and_35_minutes() {
    let mut attempt = first(Outcome::Answered(400));
    let mut elapsed = Duration::ZERO;
    while let Verdict::RetryAt { due, number } = verdict(&attempt) {
        elapsed += Duration::try_from(due.duration_since(now())).expect("later");
        attempt.number = number;
    }
    assert_eq!(attempt.number, 10);
    assert_eq!(elapsed, Duration::from_secs(75 * 3600 + 35 * 60 + 5));
}

#[test]
fn a_probe_is_never_charged() {
    let attempt = Attempt { kind: AttemptKind::Probe, number: 10, ..first(Outcome::Failed(Failure::Connect)) };
    assert_eq!(verdict(&attempt), retry_in(24 * 3600, 10));
}

#[test]
fn a_receiver_may_ask_for_more_time_but_not_for_less() {
    let asked = |seconds| Attempt { asked_wait: Some(Duration::from_secs(seconds)), ..first(Outcome::Answered(503)) };
    assert_eq!(verdict(&asked(90)), retry_in(90, 2));
    assert_eq!(verdict(&asked(0)), retry_in(5, 2));
    assert_eq!(sign_of(&asked(90)), Sign::Throttling(Duration::from_secs(90)));
}

#[test]
fn no_retry_after_makes_us_panic_or_wait_for_ever() {
    let capped = Some(RETRY_AFTER_MAX);
    let long = "9".repeat(100_000);
    for (text, expected) in [
        ("0", Some(Duration::ZERO)),
        ("120", Some(Duration::from_secs(120))),
        (" 5", Some(Duration::from_secs(5))),
        ("99999999999999999999", capped),
        (long.as_str(), capped),
        ("Fri, 31 Dec 9999 23:59:59 GMT", capped),
        ("Mon, 23 Nov 2026 10:01:00 GMT", Some(Duration::from_secs(60))),
        ("Mon, 23 Nov 2020 10:01:00 GMT", None),
        ("Mon, 99 Nov 2026 10:01:00 GMT", None),
        ("-1", None),
        ("inf", None),
        ("NaN", None),
        ("1e300", None),
        ("0x10", None),
        ("", None),
        ("1.5", None),
    ] {
        assert_eq!(read_retry_after(text, now()), expected, "{text:.40}");
    }
}

#[test]
fn jitter_stays_within_a_tenth() {
    let delay = Duration::from_secs(100);
    assert_eq!(Jitter::from_bits(0).spread(delay), Duration::from_secs(90));
    assert!(Jitter::from_bits(u64::MAX).spread(delay) <= Duration::from_secs(110));
}
