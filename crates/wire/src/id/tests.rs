//! Ids are one text each, sort as they were made, and are read strictly.

use proptest::prelude::*;

use super::*;

const SEVENTEEN: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17];

fn refusal(text: &str) -> String {
    text.parse::<EventId>().expect_err(text).to_string()
}

#[test]
fn each_kind_has_its_own_prefix() {
    let texts = [
        AccountId::from_u32(17).to_string(),
        EndpointId::from_bytes(SEVENTEEN).to_string(),
        SubscriptionId::from_bytes(SEVENTEEN).to_string(),
        EventId::from_bytes(SEVENTEEN).to_string(),
        FanOutId::from_bytes(SEVENTEEN).to_string(),
        SourceId::from_bytes(SEVENTEEN).to_string(),
        InboxMessageId::from_u64(17).to_string(),
        NodeId::from_bytes(SEVENTEEN).to_string(),
        ReplayId::from_bytes(SEVENTEEN).to_string(),
        ErasureId::from_bytes(SEVENTEEN).to_string(),
    ];
    let prefixes = ["acc_", "ep_", "sub_", "evt_", "fan_", "src_", "inm_", "node_", "rpl_", "era_"];
    for (text, prefix) in texts.iter().zip(prefixes) {
        let digits = text.strip_prefix(prefix).expect(prefix);
        assert_eq!(digits.trim_start_matches('0'), "h", "{text}");
    }
}

#[test]
fn the_extremes_have_texts() {
    assert_eq!(EventId::from_bytes([0; 16]).to_string(), "evt_00000000000000000000000000");
    assert_eq!(EventId::from_bytes([0xff; 16]).to_string(), "evt_7zzzzzzzzzzzzzzzzzzzzzzzzz");
}

#[test]
fn debug_shows_the_same_text_as_display_and_both_pad() {
    let id = EventId::from_bytes(SEVENTEEN);
    assert_eq!(format!("{id:?}"), id.to_string());
    assert_eq!(format!("{id:>32}"), format!("  {id}"));
}

#[test]
fn an_id_in_upper_case_is_read() {
    let id = EventId::from_bytes([0xa7; 16]);
    assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
}

#[test]
fn an_id_of_another_kind_is_refused_and_the_expected_one_named() {
    assert_eq!(
        refusal("acc_0000000000000000000000000h"),
        "an event id is `evt_` and 26 characters (0-9 and a-z without i, l, o, u); this one begins otherwise"
    );
    assert!(refusal("").ends_with("begins otherwise"));
    assert!(refusal("é").ends_with("begins otherwise"));
    assert!(refusal("evté0000000000000000000000000").ends_with("begins otherwise"));
}

#[test]
fn a_wrong_length_is_refused() {
    assert!(refusal("evt_").ends_with("this one has 0 bytes after the prefix"));
    assert!(refusal("evt_000000000000000000000000000").ends_with("this one has 27 bytes after the prefix"));
}

#[test]
fn letters_outside_the_alphabet_are_refused_not_guessed() {
    for letter in ['i', 'l', 'o', 'u', 'I', 'L', 'O', 'U', '-', ' '] {
        let text = format!("evt_0{letter}000000000000000000000000");
        assert!(refusal(&text).ends_with("this one has another character at place 2 after the prefix"), "{text}");
    }
}

#[test]
fn more_than_128_bits_are_refused() {
    assert!(refusal("evt_80000000000000000000000000").ends_with("this one is greater than any id"));
}

#[test]
fn a_refusal_does_not_repeat_what_was_typed() {
    assert!(!refusal("evt_<script>").contains("script"));
}

#[test]
fn uuid_version_7_follows_the_example_of_rfc_9562() {
    // RFC 9562, appendix A.6: 2022-02-22 19:22:22.000 UTC, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
    let chance = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
    let bytes = uuid_v7_bytes(1_645_557_742_000, chance);
    assert_eq!(u128::from_be_bytes(bytes), 0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f);
}

#[test]
fn uuid_marks_stand_whatever_the_chance() {
    for chance in [[0; 10], [0xff; 10]] {
        let bytes = uuid_v7_bytes(u64::MAX, chance);
        assert_eq!(bytes[6] >> 4, 7);
        assert_eq!(bytes[8] >> 6, 0b10);
        assert_eq!(bytes[..6], [0xff; 6]);
    }
}

proptest! {
    #[test]
    fn the_text_comes_back_as_the_id(bytes: [u8; 16]) {
        let id = EventId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse::<EventId>(), Ok(id));
    }

    #[test]
    fn texts_sort_as_the_bytes_do(one: [u8; 16], other: [u8; 16]) {
        let (one_id, other_id) = (EventId::from_bytes(one), EventId::from_bytes(other));
        prop_assert_eq!(one_id.text().as_str().cmp(other_id.text().as_str()), one.cmp(&other));
        prop_assert_eq!(one_id.cmp(&other_id), one.cmp(&other));
    }

    #[test]
    fn later_ids_sort_after_earlier_ones(millis in 0_u64..1 << 47, chance: [u8; 10], later_chance: [u8; 10]) {
        prop_assert!(uuid_v7_bytes(millis, chance) < uuid_v7_bytes(millis + 1, later_chance));
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text: String) {
        if let Ok(id) = text.parse::<EventId>() {
            prop_assert_eq!(id.to_string(), text.to_lowercase());
        }
    }
}
