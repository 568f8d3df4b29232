//! The identity of a delivery follows from its fan-out and participant, both ways.

use proptest::prelude::*;

use super::*;

fn fan_out() -> FanOutId {
    FanOutId::from_bytes([0x0a; 16])
}

#[test]
fn a_message_and_its_delivery_differ_only_in_the_prefix() {
    let message = MessageId::new(fan_out(), ParticipantNumber::from(33));
    assert_eq!(message.to_string(), "msg_0a1850m2ga1850m2ga1850m2ga00000011");
    let delivery = DeliveryId::from(message);
    assert_eq!(delivery.to_string()[4..], message.to_string()[4..]);
    assert!(delivery.to_string().starts_with("dlv_"));
    assert_eq!(MessageId::from(delivery), message);
}

#[test]
fn the_greatest_number_still_fits_the_text() {
    let id = MessageId::new(FanOutId::from_bytes([0xff; 16]), ParticipantNumber::MAX);
    assert_eq!(id.text().as_str(), "msg_7zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
    assert_eq!(id.to_string().parse(), Ok(id));
}

#[test]
fn a_number_of_more_than_40_bits_is_refused() {
    let refusal = ParticipantNumber::new(1 << 40).expect_err("41 bits");
    assert_eq!(refusal.to_string(), "participant number 1099511627776 is too great: it must be below 2^40");
}

#[test]
fn the_place_of_a_wrong_character_counts_through_both_parts() {
    let refusal = "msg_00000000000000000000000000i0000000".parse::<MessageId>().expect_err("an i");
    assert!(refusal.to_string().ends_with("at place 27 after the prefix"), "{refusal}");
}

#[test]
fn a_delivery_id_is_no_message_id() {
    let delivery = DeliveryId::new(fan_out(), ParticipantNumber::from(1));
    let refusal = delivery.to_string().parse::<MessageId>().expect_err("another kind");
    assert!(refusal.to_string().starts_with("a message id is `msg_` and 34 characters"), "{refusal}");
}

proptest! {
    #[test]
    fn the_text_gives_back_fan_out_and_participant(bytes: [u8; 16], number in 0_u64..1 << 40) {
        let participant = ParticipantNumber::new(number).expect("below 2^40");
        let id = MessageId::new(FanOutId::from_bytes(bytes), participant);
        let read: MessageId = id.text().parse().expect("our own text");
        prop_assert_eq!(<(FanOutId, ParticipantNumber)>::from(read), (FanOutId::from_bytes(bytes), participant));
    }

    #[test]
    fn messages_of_a_fan_out_sort_by_participant(one: u32, other: u32) {
        let id = |number: u32| MessageId::new(fan_out(), ParticipantNumber::from(number));
        prop_assert_eq!(id(one).text().cmp(&id(other).text()), one.cmp(&other));
    }

    #[test]
    fn no_text_has_a_dot_which_would_end_the_id_in_the_signed_content(bytes: [u8; 16], number: u32) {
        let id = MessageId::new(FanOutId::from_bytes(bytes), ParticipantNumber::from(number));
        prop_assert!(!id.text().contains('.'));
    }
}
