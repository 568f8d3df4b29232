//! Ids that are numbers: they stand in every row of a store, where 16 bytes would be a tenth of the row.

use super::{IdText, ParseIdError, Shape, decode};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal, $number:ty, $digits:literal, $as:ident, $from:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($number);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            const SHAPE: Shape = Shape { kind: $kind, prefix: $prefix, digits: $digits };

            /// The id with this number.
            #[must_use]
            pub const fn $from(number: $number) -> Self {
                Self(number)
            }

            /// The number, as stores keep it.
            #[must_use]
            pub const fn $as(&self) -> $number {
                self.0
            }

            /// The text form, without an allocation.
            #[must_use]
            pub fn text(&self) -> IdText {
                IdText::of_number(Self::PREFIX, u64::from(self.0), $digits)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let value = decode(Self::SHAPE.digits_of(text)?).map_err(|bad| Self::SHAPE.refuse_digits(bad, 0))?;
                <$number>::try_from(value)
                    .map(Self)
                    .map_err(|_| Self::SHAPE.refuse_digits(super::BadDigits::TooGreat, 0))
            }
        }

        shown_as_text!($name);
    };
}

number_id!(
    /// An account: a creator or platform, owner of everything below it. A random number.
    AccountId, "acc_", "an account id", u32, 7, as_u32, from_u32
);
number_id!(
    /// A webhook an inbox has accepted; unlike [`MessageId`](crate::MessageId) it is the receiver's own. A number
    /// that rises with acceptance.
    InboxMessageId, "inm_", "an inbox message id", u64, 13, as_u64, from_u64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_numbers_read_back_and_sort_as_their_text() {
        for number in [0, 1, 31, 32, u32::MAX] {
            let id = AccountId::from_u32(number);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_eq!(InboxMessageId::from_u64(u64::MAX).to_string().parse(), Ok(InboxMessageId::from_u64(u64::MAX)));
        assert!(InboxMessageId::from_u64(9).to_string() < InboxMessageId::from_u64(40).to_string());
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        assert!("acc_zzzzzzz".parse::<AccountId>().is_err());
        assert!("acc_000".parse::<AccountId>().is_err());
    }
}
