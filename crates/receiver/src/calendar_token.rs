//! What makes the address of a calendar unguessable: whoever has it may read.

use std::fmt;
use std::str::FromStr;

/// The secret part of a calendar's address: 20 random bytes, written as 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CalendarToken([u8; 20]);

/// The text is no token. It is not repeated: it may be one with a slip of the pen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a calendar's token is 40 hex digits in lower case")]
pub struct ParseCalendarTokenError;

impl CalendarToken {
    /// The token of these bytes, which must be random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The bytes, as stores keep them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The path under which its calendar is read, after the server's own address.
    #[must_use]
    pub fn path(&self) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("/calendars/{hex}.ics")
    }
}

impl FromStr for CalendarToken {
    type Err = ParseCalendarTokenError;

    /// Reads the last part of a path, with or without `.ics`.
    fn from_str(text: &str) -> Result<Self, ParseCalendarTokenError> {
        let digits = text.strip_suffix(".ics").unwrap_or(text).as_bytes();
        if digits.len() != 40 {
            return Err(ParseCalendarTokenError);
        }
        let mut bytes = [0; 20];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, ParseCalendarTokenError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseCalendarTokenError),
    }
}

impl fmt::Debug for CalendarToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CalendarToken(_)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_from_its_path() {
        let token = CalendarToken::from_bytes(*b"\x00\x01\xfe\xff0123456789abcdef");
        let path = token.path();
        assert_eq!(path, "/calendars/0001feff30313233343536373839616263646566.ics");
        assert_eq!(path.rsplit('/').next().unwrap().parse(), Ok(token));
    }

    #[test]
    fn what_is_no_token_is_refused_and_never_shown() {
        for text in ["", "0001", &"g".repeat(40), &"A".repeat(40), &"0".repeat(41), &"é".repeat(20)] {
            assert_eq!(text.parse::<CalendarToken>(), Err(ParseCalendarTokenError), "{text}");
        }
        assert_eq!(format!("{:?}", CalendarToken::from_bytes([7; 20])), "CalendarToken(_)");
    }
}
