//! Where a source is reached, `/in/{path}`, and whether a stranger could guess it.

use wire::SourceId;

use crate::SourceError;

const PATH_CHARS_MAX: usize = 128;
/// 20 hex digits are 80 bits: nobody tries so many over a network.
const SECRET_CHARS_MIN: usize = 20;
/// How many different characters, and how many marks of chance, a path made by a machine has at least.
const DISTINCT_CHARS_MIN: usize = 8;
const MARKS_OF_CHANCE_MIN: usize = 4;
const HOW_TO_MAKE_ONE: &str = "make one with: openssl rand -hex 16";

/// The segment after `/in/`: 1 to 128 letters, digits, `-`, `_`, `.` and `~`. Not shown by `Debug`, since it may be all
/// that keeps strangers out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SourcePath(String);

impl SourcePath {
    /// A path that may be known to anybody.
    pub fn new(text: &str) -> Result<Self, SourceError> {
        let refuse = |problem: &str| Err(SourceError::field("path", problem));
        if text.is_empty() || text.len() > PATH_CHARS_MAX {
            return refuse("has to have 1 to 128 characters");
        }
        let may = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if !text.bytes().all(may) {
            return refuse("may have letters, digits, - _ . and ~ only; it is what stands after /in/");
        }
        if text == "." || text == ".." {
            return refuse("is . or .., which clients leave out of URLs; give another");
        }
        if text.parse::<SourceId>().is_ok() {
            return refuse("is the id of a source in the database (src_…); give another");
        }
        Ok(Self(text.to_owned()))
    }

    /// A path that is a secret: long, and not made of words.
    pub fn secret(text: &str) -> Result<Self, SourceError> {
        let path = Self::new(text)?;
        let refuse = |problem: &str| Err(SourceError::field("path", format!("{problem}; {HOW_TO_MAKE_ONE}")));
        if text.len() < SECRET_CHARS_MIN {
            return refuse("is all that keeps strangers out with this preset, and has less than 20 characters");
        }
        if !looks_random(text) {
            return refuse("is all that keeps strangers out with this preset, and can be guessed");
        }
        Ok(path)
    }

    /// The text. Where [`Scheme::is_path_secret`](crate::Scheme::is_path_secret), it belongs into no log and no list.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SourceId> for SourcePath {
    /// A source of the database is reached by its id.
    fn from(id: SourceId) -> Self {
        Self(id.to_string())
    }
}

impl std::fmt::Debug for SourcePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SourcePath(hidden)")
    }
}

/// Words, years and repetitions have few changes between letters and digits and few neighbours in upper case; chance,
/// written as hex, base32, base64 or a UUID, has many.
fn looks_random(text: &str) -> bool {
    let mut distinct: Vec<u8> = text.bytes().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let is_mark = |pair: &[u8]| match pair {
        [one, other] if one.is_ascii_alphabetic() => {
            other.is_ascii_digit() || (one.is_ascii_uppercase() && other.is_ascii_uppercase())
        }
        [one, other] => one.is_ascii_digit() && other.is_ascii_alphabetic(),
        _ => false,
    };
    let marks = text.as_bytes().windows(2).filter(|pair| is_mark(pair)).count();
    distinct.len() >= DISTINCT_CHARS_MIN && marks >= MARKS_OF_CHANCE_MIN
}
