//! Identifiers: twelve bytes, written as 24 hexadecimal digits as the seed's `webinarId` is.
//! New ones come from the caller's chance; a session's is computed, so that it survives a move.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use jiff::civil::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::mistake::{Mistake, quoted};

/// Length of an identifier.
const ID_BYTES: usize = 12;

/// Keeps a session's hash apart from every other use of SHA-256; a change would rename all sessions.
const SESSION_DOMAIN: &[u8] = b"fanfare session 1\0";

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; ID_BYTES]);

        impl $name {
            /// The identifier with these bytes.
            pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> $name {
                $name(bytes)
            }

            /// Its bytes, as the store keeps them.
            pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = Mistake;

            fn from_str(text: &str) -> Result<$name, Mistake> {
                parse_hex(text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier! {
    /// Names a series for as long as it exists, whatever its versions say.
    SeriesId
}
identifier! {
    /// Names one session of a series; the payload's `webinarId`.
    SessionId
}
identifier! {
    /// Names a mango, a paid plan whose active members are an audience.
    MangoId
}

impl SessionId {
    /// The identity of the session that `original_start`, its wall-clock start before any move, gives it.
    pub fn of(series: SeriesId, original_start: DateTime) -> SessionId {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(SESSION_DOMAIN);
        hash.update(series.as_bytes());
        hash.update(&original_start.year().to_be_bytes());
        for part in [
            original_start.month(),
            original_start.day(),
            original_start.hour(),
            original_start.minute(),
            original_start.second(),
        ] {
            hash.update(&part.to_be_bytes());
        }
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&hash.finish().as_ref()[..ID_BYTES]);
        SessionId(id)
    }
}

fn parse_hex(text: &str) -> Result<[u8; ID_BYTES], Mistake> {
    let mistake = || Mistake::new(format!("{} is not an identifier of 24 hexadecimal digits", quoted(text)));
    if text.len() != 2 * ID_BYTES {
        return Err(mistake());
    }
    let mut id = [0; ID_BYTES];
    for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |index: usize| char::from(pair[index]).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(mistake()) };
        *byte = (high << 4 | low) as u8;
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use jiff::civil::datetime;

    use super::*;

    const SERIES: SeriesId = SeriesId::from_bytes([7; 12]);

    #[test]
    fn an_identifier_reads_back_from_its_own_text_and_from_upper_case() {
        let id: SessionId = "634fc35ddaf58580e2418c40".parse().unwrap();
        assert_eq!(id.to_string(), "634fc35ddaf58580e2418c40");
        assert_eq!("634FC35DDAF58580E2418C40".parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"634fc35ddaf58580e2418c40\"");
        assert_eq!(serde_json::from_str::<SessionId>("\"634fc35ddaf58580e2418c40\"").unwrap(), id);
    }

    #[test]
    fn what_is_not_24_hexadecimal_digits_is_refused_by_name() {
        for text in
            ["", "634fc35ddaf58580e2418c4", "634fc35ddaf58580e2418c4g", "éééééééééééé", "+34fc35ddaf58580e2418c40"]
        {
            let mistake = text.parse::<MangoId>().unwrap_err();
            assert!(mistake.to_string().contains("24 hexadecimal digits"), "{mistake}");
        }
    }

    #[test]
    fn a_session_is_the_same_for_ever_and_differs_by_series_and_start() {
        let start = datetime(2024, 3, 15, 15, 30, 0, 0);
        let id = SessionId::of(SERIES, start);
        // Pinned: a release that changes this would rename every session that was ever announced.
        assert_eq!(id.to_string(), "6413409f791100331506aa26");
        assert_ne!(id, SessionId::of(SeriesId::from_bytes([8; 12]), start));
        assert_ne!(id, SessionId::of(SERIES, datetime(2024, 3, 15, 15, 30, 1, 0)));
    }
}
