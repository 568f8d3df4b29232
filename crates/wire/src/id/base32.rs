//! Crockford's base32 for numbers, most significant digit first, so that text of one length sorts as the numbers do.
//!
//! Stricter than Crockford: `i`, `l` and `o` are refused rather than read as `1` and `0`, so that an id has one
//! spelling (case aside).

const DIGITS: [u8; 32] = *b"0123456789abcdefghjkmnpqrstvwxyz";
const NOT_A_DIGIT: u8 = 0xff;
const VALUES: [u8; 256] = values();

/// 128 bits at five a digit, rounded up: the first digit carries only three.
pub(crate) const BASE32_DIGITS_OF_128_BITS: usize = 26;

/// Why digits are no number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadDigits {
    /// No digit at this place, counted from 1.
    Character { place: usize },
    /// More than 128 bits.
    TooGreat,
}

/// Fills `out` with the lowest digits of `value`, with zeros in front.
pub(crate) fn encode_into(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = DIGITS[(value & 31) as usize];
        value >>= 5;
    }
}

/// The digits of a 128-bit number given as big-endian bytes.
pub(crate) fn encode_128_bits(bytes: &[u8; 16]) -> [u8; BASE32_DIGITS_OF_128_BITS] {
    let value = u128::from_be_bytes(*bytes);
    // In two halves, because shifting 128 bits for every digit costs about twice the instructions.
    let mut out = [0; BASE32_DIGITS_OF_128_BITS];
    let (high, low) = out.split_at_mut(13);
    encode_into((value >> 65) as u64, high);
    low[0] = DIGITS[((value >> 60) & 31) as usize];
    encode_into(value as u64, &mut low[1..]);
    out
}

/// The number of at most 26 digits, in either case.
pub(crate) fn decode(digits: &[u8]) -> Result<u128, BadDigits> {
    let mut value: u128 = 0;
    for (before, digit) in digits.iter().enumerate() {
        let digit = VALUES[usize::from(*digit)];
        if digit == NOT_A_DIGIT {
            return Err(BadDigits::Character { place: before + 1 });
        }
        if value >> 123 != 0 {
            return Err(BadDigits::TooGreat);
        }
        value = (value << 5) | u128::from(digit);
    }
    Ok(value)
}

const fn values() -> [u8; 256] {
    let mut values = [NOT_A_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        let digit = DIGITS[value];
        values[digit as usize] = value as u8;
        values[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
}
