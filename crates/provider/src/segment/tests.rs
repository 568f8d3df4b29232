use super::*;
use crate::attempt::Failure;
use proptest::prelude::*;

fn entry(participant: u64) -> Entry {
    Entry {
        participant,
        attempt: 1,
        outcome: Outcome::Answered(200),
        finished_ms: 1_790_000_000_000,
        latency_tenth_ms: 8,
    }
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let outcome = prop_oneof![
        Just(Outcome::Answered(200)),
        (100_u16..=999).prop_map(Outcome::Answered),
        Just(Outcome::Failed(Failure::Timeout)),
        Just(Outcome::Failed(Failure::Dns)),
    ];
    (0..u64::MAX / 2, 1_u16.., outcome, 0..i64::MAX / 2, any::<u32>()).prop_map(
        |(participant, attempt, outcome, finished_ms, latency_tenth_ms)| Entry {
            participant,
            attempt,
            outcome,
            finished_ms,
            latency_tenth_ms,
        },
    )
}

#[test]
fn an_ordinary_success_takes_four_bytes() {
    let packed = Segment::pack((1..=1000).map(entry).collect()).expect("not empty");
    assert!(packed.bytes.len() < 4 * 1000 + 20, "{} bytes", packed.bytes.len());
}

#[test]
fn nothing_packs_to_no_segment() {
    assert_eq!(Segment::pack(Vec::new()), None);
}

#[test]
fn a_damaged_segment_is_refused_wherever_it_is_cut() {
    let packed = Segment::pack(vec![entry(7), Entry { outcome: Outcome::Answered(503), ..entry(9) }]).expect("two");
    // A cut at an entry's border leaves a shorter, whole segment; `count` beside it tells.
    let whole_first_entry = packed.bytes.len() - 6;
    for cut in 0..packed.bytes.len() {
        let unpacked = unpack(&packed.bytes[..cut]);
        assert!(unpacked.is_err() || unpacked.is_ok_and(|e| e.len() < 2 && cut <= whole_first_entry), "cut at {cut}");
    }
    assert_eq!(unpack(&[2, 0, 0]), Err(Damaged), "another format");
}

proptest! {
    #[test]
    fn what_is_packed_comes_back_in_order_of_participant(mut entries in proptest::collection::vec(any_entry(), 1..300)) {
        let packed = Segment::pack(entries.clone()).expect("not empty");
        entries.sort_by_key(|entry| (entry.participant, entry.attempt));
        prop_assert_eq!(packed.first, entries[0].participant);
        prop_assert_eq!(packed.last, entries[entries.len() - 1].participant);
        let mut back = unpack(&packed.bytes).expect("we packed it");
        // Entries of equal participant and attempt may change places.
        let key = |e: &Entry| (e.participant, e.attempt, e.outcome.number(), e.finished_ms, e.latency_tenth_ms);
        entries.sort_by_key(key);
        back.sort_by_key(key);
        prop_assert_eq!(back, entries);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = unpack(&bytes);
    }
}
