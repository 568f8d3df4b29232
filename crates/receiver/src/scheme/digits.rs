//! Bytes written as hex or base64, read strictly.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_PAD_INDIFFERENT, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::SignatureEncoding;

/// A signature of exactly so many bytes: a comparison that stopped at the shorter one would accept the empty one.
pub(super) fn decode_exactly<const BYTES: usize>(text: &str, encoding: SignatureEncoding) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let len = match encoding {
        SignatureEncoding::Hex => return from_hex(text)?.try_into().ok(),
        SignatureEncoding::Base64 => STANDARD.decode_slice(text, &mut bytes).ok()?,
        SignatureEncoding::Base64Url if text.ends_with('=') => URL_SAFE.decode_slice(text, &mut bytes).ok()?,
        SignatureEncoding::Base64Url => URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?,
    };
    (len == BYTES).then_some(bytes)
}

/// A key; some senders leave the padding away.
pub(super) fn decode_base64_key(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    STANDARD_PAD_INDIFFERENT.decode(text).ok().map(Zeroizing::new)
}

/// The bytes of an even number of hex digits in either case.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    // The longest signature has 64 bytes and the longest key a few more; a stranger's header may have 32 KiB.
    if !text.len().is_multiple_of(2) || text.len() > HEX_DIGITS_MAX {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    text.as_bytes().chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

const HEX_DIGITS_MAX: usize = 512;

/// Lower-case hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

/// What follows `Basic ` in HTTP (RFC 7617).
pub(super) fn basic_credentials(user: &str, password: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    Zeroizing::new(STANDARD.encode(pair.as_bytes()))
}
