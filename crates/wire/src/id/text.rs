//! The text of an id, kept where it is made: ids are written for every delivery, too often for an allocation.

use super::{BASE32_DIGITS_OF_128_BITS, encode_128_bits, encode_into};

/// The longest text of an id: that of a message, `msg_`, a fan-out and a participant's number.
const ID_TEXT_BYTES_MAX: usize = 38;

/// The text form of an id. Dereferences to `str`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdText {
    bytes: [u8; ID_TEXT_BYTES_MAX],
    len: u8,
}

impl IdText {
    pub(crate) fn of_id(prefix: &str, id: &[u8; 16]) -> Self {
        Self { bytes: [0; ID_TEXT_BYTES_MAX], len: 0 }.then(prefix.as_bytes()).then(&encode_128_bits(id))
    }

    pub(crate) fn of_number(prefix: &str, number: u64, digits: usize) -> Self {
        let mut text = [0; 13];
        encode_into(number, &mut text[..digits]);
        Self { bytes: [0; ID_TEXT_BYTES_MAX], len: 0 }.then(prefix.as_bytes()).then(&text[..digits])
    }

    /// This text and another piece. The callers in this crate write at most [`ID_TEXT_BYTES_MAX`] of ASCII.
    pub(crate) fn then(mut self, piece: &[u8]) -> Self {
        let start = usize::from(self.len);
        self.bytes[start..start + piece.len()].copy_from_slice(piece);
        self.len += piece.len() as u8;
        self
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("the text of an id is ASCII")
    }

    /// The text as bytes, which are ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::ops::Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for IdText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl std::fmt::Display for IdText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::fmt::Debug for IdText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}

const _: () = assert!(4 + BASE32_DIGITS_OF_128_BITS + 8 == ID_TEXT_BYTES_MAX);
