use super::*;

const LIMIT: u32 = 64;
const POLICY: LanePolicy = LanePolicy { window: LIMIT, disable_after: DISABLE_AFTER };
const MIDDLE: u64 = 1 << 63;
const FAILING: Sign = Sign::Failing(Duration::ZERO);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).expect("in range")
}

fn after(state: LaneState, sign: Sign, seconds: i64) -> LaneState {
    state.after(sign, POLICY, at(seconds), Jitter::from_bits(MIDDLE))
}

fn failing() -> LaneState {
    (0..5).fold(LaneState::default(), |state, _| after(state, FAILING, 0))
}

#[test]
fn a_few_failures_change_nothing_and_an_answer_forgets_them() {
    let shaken = (0..4).fold(LaneState::default(), |state, _| after(state, FAILING, 0));
    assert_eq!(shaken.window(LIMIT, at(0)), LIMIT);
    assert_eq!(after(shaken, Sign::Alive, 0), LaneState::default());
}

#[test]
fn five_failures_in_a_row_close_the_lane_to_all_but_one_probe() {
    let open = failing();
    assert_eq!((open.window(LIMIT, at(4)), open.window(LIMIT, at(5))), (0, 1));
}

#[test]
fn failures_of_requests_already_in_flight_do_not_lengthen_the_wait() {
    assert_eq!(after(failing(), FAILING, 3), failing());
}

#[test]
fn failed_probes_double_the_wait_up_to_five_minutes() {
    let mut state = failing();
    let mut waits = Vec::new();
    for _ in 0..9 {
        let LaneState::Open { until, .. } = state else { panic!("{state:?}") };
        state = state.after(FAILING, POLICY, until, Jitter::from_bits(MIDDLE));
        let LaneState::Open { until: next, .. } = state else { panic!("{state:?}") };
        waits.push(next.duration_since(until).as_secs());
    }
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300, 300]);
}

#[test]
fn an_answer_to_the_probe_starts_slowly_and_ends_healthy() {
    let mut state = after(failing(), Sign::Alive, 5);
    assert_eq!(state.window(LIMIT, at(5)), 2);
    for _ in 0..62 {
        state = after(state, Sign::Alive, 6);
    }
    assert_eq!(state, LaneState::default());
}

#[test]
fn a_relapse_goes_on_where_the_outage_stood() {
    let relapsed = after(after(failing(), Sign::Alive, 5), FAILING, 6);
    assert_eq!(relapsed, LaneState::Open { failures: 2, until: at(16), since: at(6) });
}

#[test]
fn throttling_waits_as_asked_and_counts_no_failure() {
    let waiting = after(LaneState::default(), Sign::Throttling(Duration::from_secs(30)), 0);
    assert_eq!(waiting, LaneState::Open { failures: 0, until: at(30), since: at(0) });
}

#[test]
fn answers_that_were_in_flight_do_not_cut_short_the_wait_that_was_asked_for() {
    let waiting = after(LaneState::default(), Sign::Throttling(Duration::from_secs(3600)), 0);
    assert_eq!(after(waiting, Sign::Alive, 1), waiting);
    assert_eq!(after(waiting, Sign::Alive, 3600), LaneState::SlowStart { window: 2, failures: 0 });
}

#[test]
fn a_failing_endpoint_that_asks_for_little_time_is_probed_less_and_less_all_the_same() {
    let soon = Sign::Failing(Duration::from_secs(1));
    let mut state = after(LaneState::default(), soon, 0);
    for (seconds, wait) in [(5, 10), (15, 20), (35, 40)] {
        state = after(state, soon, seconds);
        assert_eq!(state.window(LIMIT, at(seconds + wait - 1)), 0);
        assert_eq!(state.window(LIMIT, at(seconds + wait)), 1);
    }
    let later = after(LaneState::default(), Sign::Failing(Duration::from_secs(900)), 0);
    assert_eq!(later, LaneState::Open { failures: 1, until: at(900), since: at(0) });
}

#[test]
fn a_retired_endpoint_gets_nothing_more() {
    let gone = after(LaneState::default(), Sign::Gone, 1);
    assert_eq!(gone.window(LIMIT, at(1_000_000)), 0);
    assert_eq!(after(gone, Sign::Alive, 2), gone);
}

/// The state after failed probes, each at the first moment it may leave, up to `end`.
fn failing_until(mut state: LaneState, end: i64) -> (LaneState, u32) {
    let mut probes = 0;
    while let LaneState::Open { until, .. } = state {
        if until >= at(end) {
            break;
        }
        state = state.after(FAILING, POLICY, until, Jitter::from_bits(MIDDLE));
        probes += 1;
    }
    (state, probes)
}

#[test]
fn an_endpoint_that_fails_for_three_days_is_disabled_and_gets_nothing_more() {
    let three_days = 3 * 24 * 3600;
    let (still_probed, probes) = failing_until(failing(), three_days);
    assert_eq!(still_probed.name(), "open");
    assert!((800..900).contains(&probes), "{probes} probes");
    let (disabled, _) = failing_until(failing(), three_days + 3600);
    assert!(matches!(disabled, LaneState::Disabled { since } if since >= at(three_days)), "{disabled:?}");
    assert_eq!(disabled.window(LIMIT, at(10 * three_days)), 0);
    assert_eq!(after(disabled, Sign::Alive, 10 * three_days), disabled);
}

#[test]
fn a_success_begins_the_three_days_anew() {
    let (open, _) = failing_until(failing(), 2 * 24 * 3600);
    let back = after(open, Sign::Alive, 3 * 24 * 3600);
    let relapsed = after(back, FAILING, 4 * 24 * 3600);
    assert!(matches!(relapsed, LaneState::Open { since, .. } if since == at(4 * 24 * 3600)), "{relapsed:?}");
}

#[test]
fn a_quiet_endpoint_is_not_disabled_for_a_few_failures_long_ago() {
    let much_later = after(failing(), FAILING, 10 * 24 * 3600);
    assert_eq!(much_later.name(), "open");
}

#[test]
fn throttling_for_days_disables_nothing() {
    let mut state = LaneState::default();
    for hour in 0..24 * 7 {
        state = after(state, Sign::Throttling(Duration::from_secs(3600)), hour * 3600);
    }
    assert_eq!(state.name(), "open");
}
