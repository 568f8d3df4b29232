//! Ids of what Fanfare stores: 16 bytes each (a UUID version 7, so they sort by time), one type per kind of thing.
//!
//! The text form is a prefix naming the kind and 26 characters of Crockford's base32, which sorts as the bytes do:
//! `evt_01jw3zqk8n7v2t0d5h9rxbmc4e`. It is written in lower case and read in either case.

/// People see an id, in logs too, as its text.
macro_rules! shown_as_text {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.text().as_str())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.text().as_str())
            }
        }
    };
}
pub(crate) use shown_as_text;

mod base32;
mod number;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use base32::{BASE32_DIGITS_OF_128_BITS, BadDigits, decode, encode_128_bits, encode_into};
pub use number::{AccountId, InboxMessageId};
pub use text::IdText;

/// The text was not an id of the kind asked for. The message says what was expected and what is wrong; it never
/// repeats the text, which may be anything a stranger typed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} is `{prefix}` and {digits} characters (0-9 and a-z without i, l, o, u); {problem}")]
pub struct ParseIdError {
    kind: &'static str,
    prefix: &'static str,
    digits: usize,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("this one begins otherwise")]
    Prefix,
    #[error("this one has {0} bytes after the prefix")]
    Length(usize),
    #[error("this one has another character at place {0} after the prefix")]
    Character(usize),
    #[error("this one is greater than any id")]
    TooGreat,
}

/// How the text of one kind of id looks.
pub(crate) struct Shape {
    pub(crate) kind: &'static str,
    pub(crate) prefix: &'static str,
    pub(crate) digits: usize,
}

impl Shape {
    /// The digits after the prefix, which has been checked, as has their number.
    pub(crate) fn digits_of<'a>(&self, text: &'a str) -> Result<&'a [u8], ParseIdError> {
        let (prefix, digits) =
            text.as_bytes().split_at_checked(self.prefix.len()).ok_or_else(|| self.refuse(Problem::Prefix))?;
        if !prefix.eq_ignore_ascii_case(self.prefix.as_bytes()) {
            return Err(self.refuse(Problem::Prefix));
        }
        if digits.len() != self.digits {
            return Err(self.refuse(Problem::Length(digits.len())));
        }
        Ok(digits)
    }

    /// Words for digits that could not be read; `before` is how many digits precede those.
    pub(crate) fn refuse_digits(&self, bad: BadDigits, before: usize) -> ParseIdError {
        self.refuse(match bad {
            BadDigits::Character { place } => Problem::Character(before + place),
            BadDigits::TooGreat => Problem::TooGreat,
        })
    }

    fn refuse(&self, problem: Problem) -> ParseIdError {
        ParseIdError { kind: self.kind, prefix: self.prefix, digits: self.digits, problem }
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;

            const SHAPE: Shape = Shape { kind: $kind, prefix: $prefix, digits: BASE32_DIGITS_OF_128_BITS };

            /// The id of these bytes; make new ones with [`uuid_v7_bytes`].
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes, as stores keep them; their order is the order of the ids.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The text form, without an allocation.
            #[must_use]
            pub fn text(&self) -> IdText {
                IdText::of_id(Self::PREFIX, &self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let value =
                    decode(Self::SHAPE.digits_of(text)?).map_err(|bad| Self::SHAPE.refuse_digits(bad, 0))?;
                Ok(Self(value.to_be_bytes()))
            }
        }

        shown_as_text!($name);
    };
}

id!(
    /// A URL of an account that receives webhooks.
    EndpointId, "ep_", "an endpoint id"
);
id!(
    /// An endpoint's wish for one type of event.
    SubscriptionId, "sub_", "a subscription id"
);
id!(
    /// A fact that was announced.
    EventId, "evt_", "an event id"
);
id!(
    /// One event on its way to one endpoint.
    FanOutId, "fan_", "a fan-out id"
);
id!(
    /// A place where an inbox accepts webhooks from.
    SourceId, "src_", "a source id"
);
id!(
    /// Something an account's owner was told; also the `webhook-id` it is sent under.
    NoticeId, "ntc_", "a notice id"
);
id!(
    /// A running process of Fanfare.
    NodeId, "node_", "a node id"
);
id!(
    /// A replay of deliveries an operator asked for.
    ReplayId, "rpl_", "a replay id"
);

id!(
    /// A person being erased.
    ErasureId, "era_", "an erasure id"
);

/// The bytes of a UUID version 7 (RFC 9562, section 5.7): the time, then chance, then the marks of the format.
///
/// `chance` must come from a good source of randomness; 74 of its 80 bits are used. Only the lower 48 bits of
/// `unix_millis` fit, which is enough until the year 10889.
#[must_use]
pub fn uuid_v7_bytes(unix_millis: u64, chance: [u8; 10]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&unix_millis.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&chance);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    bytes
}
