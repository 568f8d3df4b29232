//! Writes JSON strings, times and offsets as bytes. Strings are escaped exactly as `JSON.stringify` does.

use jiff::civil::DateTime;
use jiff::tz::Offset;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Which bytes cannot stand in a JSON string as they are (RFC 8259, section 7).
const ESCAPED: [bool; 256] = {
    let mut escaped = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escaped[byte] = true;
        byte += 1;
    }
    escaped[b'"' as usize] = true;
    escaped[b'\\' as usize] = true;
    escaped
};

/// Writes a string with its quotes. Text without anything to escape, nearly all text, is one copy.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.push(b'"');
    while let Some(at) = rest.iter().position(|byte| ESCAPED[usize::from(*byte)]) {
        out.extend_from_slice(&rest[..at]);
        write_escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cold]
fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Writes `"2024-03-15T10:00:00.000Z"` with its quotes; years 0 to 9999.
pub(super) fn write_clock(out: &mut Vec<u8>, clock: DateTime) {
    let mut text = *b"\"0000-00-00T00:00:00.000Z\"";
    let century = clock.year().unsigned_abs() / 100 % 100;
    let fields = [
        (1, century as u8),
        (3, (clock.year().unsigned_abs() % 100) as u8),
        (6, clock.month().unsigned_abs()),
        (9, clock.day().unsigned_abs()),
        (12, clock.hour().unsigned_abs()),
        (15, clock.minute().unsigned_abs()),
        (18, clock.second().unsigned_abs()),
    ];
    for (at, value) in fields {
        text[at..at + 2].copy_from_slice(&two_digits(value));
    }
    out.extend_from_slice(&text);
}

/// Writes `"+05:30"` with its quotes; seconds, which only offsets of long ago have, are cut off.
pub(super) fn write_offset(out: &mut Vec<u8>, offset: Offset) {
    let minutes = offset.seconds() / 60;
    let sign = if minutes < 0 { b'-' } else { b'+' };
    let [h1, h2] = two_digits((minutes.unsigned_abs() / 60) as u8);
    let [m1, m2] = two_digits((minutes.unsigned_abs() % 60) as u8);
    out.extend_from_slice(&[b'"', sign, h1, h2, b':', m1, m2, b'"']);
}

/// A number below 100 as two digits.
fn two_digits(value: u8) -> [u8; 2] {
    [b'0' + value / 10, b'0' + value % 10]
}
