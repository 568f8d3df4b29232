//! LEB128 unsigned integers and their zigzag form: how segments keep small numbers small.

/// A `u64` takes at most this many bytes.
const LENGTH_MAX: usize = 10;

pub(crate) fn write(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads one number off the front of `input`; `None` where it ends early or is longer than a `u64`.
pub(crate) fn read(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for at in 0..LENGTH_MAX.min(input.len()) {
        let byte = input[at];
        let shift = 7 * at as u32;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            *input = &input[at + 1..];
            return Some(value);
        }
    }
    None
}
