//! The identity of one delivery: never stored, always made again from its fan-out and its participant.
//!
//! Because it is derived, every attempt, after any crash and on any node, carries the same id, which is what a
//! receiver recognises duplicates by.

use crate::id::{BASE32_DIGITS_OF_128_BITS, FanOutId, IdText, ParseIdError, Shape, decode, encode_into, shown_as_text};

#[cfg(test)]
mod tests;

/// 40 bits at five a digit.
const PARTICIPANT_DIGITS: usize = 8;

/// A participant's number, below 2⁴⁰: as many as eight base32 digits hold, and a hundred times all people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantNumber(u64);

impl ParticipantNumber {
    /// The greatest number.
    pub const MAX: Self = Self((1 << 40) - 1);

    /// The number, if it is below 2⁴⁰.
    pub const fn new(number: u64) -> Result<Self, ParticipantNumberTooGreat> {
        if number > Self::MAX.0 { Err(ParticipantNumberTooGreat(number)) } else { Ok(Self(number)) }
    }

    /// The number as an integer.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl From<u32> for ParticipantNumber {
    fn from(number: u32) -> Self {
        Self(u64::from(number))
    }
}

impl TryFrom<u64> for ParticipantNumber {
    type Error = ParticipantNumberTooGreat;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        Self::new(number)
    }
}

impl std::fmt::Display for ParticipantNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The number does not fit 40 bits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("participant number {0} is too great: it must be below 2^40")]
pub struct ParticipantNumberTooGreat(u64);

macro_rules! derived_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            fan_out: FanOutId,
            participant: ParticipantNumber,
        }

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            const SHAPE: Shape =
                Shape { kind: $kind, prefix: $prefix, digits: BASE32_DIGITS_OF_128_BITS + PARTICIPANT_DIGITS };

            /// The id of this participant's delivery within this fan-out.
            #[must_use]
            pub const fn new(fan_out: FanOutId, participant: ParticipantNumber) -> Self {
                Self { fan_out, participant }
            }

            /// The fan-out it belongs to.
            #[must_use]
            pub const fn fan_out(&self) -> FanOutId {
                self.fan_out
            }

            /// The participant it is for.
            #[must_use]
            pub const fn participant(&self) -> ParticipantNumber {
                self.participant
            }

            /// The text form, 38 characters, without an allocation.
            #[must_use]
            pub fn text(&self) -> IdText {
                let mut participant = [0; PARTICIPANT_DIGITS];
                encode_into(self.participant.0, &mut participant);
                IdText::of_id(Self::PREFIX, self.fan_out.as_bytes()).then(&participant)
            }
        }

        impl From<(FanOutId, ParticipantNumber)> for $name {
            fn from((fan_out, participant): (FanOutId, ParticipantNumber)) -> Self {
                Self::new(fan_out, participant)
            }
        }

        impl From<$name> for (FanOutId, ParticipantNumber) {
            fn from(id: $name) -> Self {
                (id.fan_out, id.participant)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let (fan_out, participant) = Self::SHAPE.digits_of(text)?.split_at(BASE32_DIGITS_OF_128_BITS);
                let fan_out = decode(fan_out).map_err(|bad| Self::SHAPE.refuse_digits(bad, 0))?;
                let participant = decode(participant)
                    .map_err(|bad| Self::SHAPE.refuse_digits(bad, BASE32_DIGITS_OF_128_BITS))?;
                Ok(Self {
                    fan_out: FanOutId::from_bytes(fan_out.to_be_bytes()),
                    // Eight digits are 40 bits, so this number always fits.
                    participant: ParticipantNumber(participant as u64),
                })
            }
        }

        shown_as_text!($name);
    };
}

derived_id!(
    /// The value of the `webhook-id` header: what the receiver knows a delivery by.
    MessageId, "msg_", "a message id"
);
derived_id!(
    /// What the API and the dashboard know the same delivery by.
    DeliveryId, "dlv_", "a delivery id"
);

impl From<DeliveryId> for MessageId {
    fn from(id: DeliveryId) -> Self {
        Self::new(id.fan_out, id.participant)
    }
}

impl From<MessageId> for DeliveryId {
    fn from(id: MessageId) -> Self {
        Self::new(id.fan_out, id.participant)
    }
}
