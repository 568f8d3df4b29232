use super::*;

const MIDDLE: Jitter = Jitter(0.5);
const FAILING: Sign = Sign::Failing(Duration::ZERO);

fn now() -> Timestamp {
    "2026-11-23T10:00:00Z".parse().expect("a timestamp")
}

fn first(outcome: Outcome) -> Attempt {
    Attempt { charged: 0, outcome, asked_wait: None, kind: AttemptKind::Ordinary }
}

fn verdict(attempt: &Attempt) -> Verdict {
    judge(attempt, &RetryPolicy::default(), now(), MIDDLE)
}

fn retry_in(seconds: i64, charged: u16) -> Verdict {
    Verdict::RetryAt { due: now() + jiff::SignedDuration::from_secs(seconds), charged }
}

#[test]
fn every_status_class_has_its_verdict_and_its_sign() {
    let throttled = Sign::Throttling(THROTTLE_WAIT);
    for (statuses, expected, sign) in [
        (&[200, 201, 202, 204, 299][..], Verdict::Delivered, Sign::Alive),
        (&[100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 409, 413, 422, 451], retry_in(5, 1), Sign::Alive),
        (&[408, 425, 500, 502, 503, 504, 599, 600, 999], retry_in(5, 1), FAILING),
        (&[429], retry_in(5, 0), throttled),
        (&[410], retry_in(5, 0), Sign::Gone),
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
            assert_eq!(sign_of(&first(outcome)), FAILING, "{outcome}");
            assert_eq!(verdict(&first(outcome)), retry_in(5, 1), "{outcome}");
        }
    }
}

#[test]
fn the_tenth_failure_ends_a_delivery_after_75_hours_and_35_minutes() {
    let mut attempt = first(Outcome::Answered(400));
    let mut elapsed = Duration::ZERO;
    while let Verdict::RetryAt { due, charged } = verdict(&attempt) {
        elapsed += Duration::try_from(due.duration_since(now())).expect("later");
        attempt.charged = charged;
    }
    assert_eq!(attempt.charged, 9, "the tenth was the last");
    assert_eq!(elapsed, Duration::from_secs(75 * 3600 + 35 * 60 + 5));
}

#[test]
fn a_probe_is_charged_only_to_a_delivery_that_has_failed_by_itself() {
    let probe = |charged| Attempt { kind: AttemptKind::Probe, charged, ..first(Outcome::Failed(Failure::Connect)) };
    assert_eq!(verdict(&probe(0)), retry_in(5, 0));
    assert_eq!(verdict(&probe(2)), retry_in(300, 2));
    assert_eq!(verdict(&probe(3)), retry_in(7200, 4));
    assert_eq!(verdict(&probe(9)), Verdict::Abandon);
}

#[test]
fn a_receiver_may_ask_for_more_time_but_not_for_less() {
    let asked = |seconds| Attempt { asked_wait: Some(Duration::from_secs(seconds)), ..first(Outcome::Answered(503)) };
    assert_eq!(verdict(&asked(90)), retry_in(90, 1));
    assert_eq!(verdict(&asked(0)), retry_in(5, 1));
    assert_eq!(sign_of(&asked(90)), Sign::Failing(Duration::from_secs(90)));
    let throttled = |seconds| Attempt { outcome: Outcome::Answered(429), ..asked(seconds) };
    assert_eq!(sign_of(&throttled(90)), Sign::Throttling(Duration::from_secs(90)));
    assert_eq!(sign_of(&throttled(0)), Sign::Throttling(THROTTLE_WAIT), "no busy loop, whatever is asked");
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
