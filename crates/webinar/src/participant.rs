//! One person who takes part, and how to reach them; read once where they enter, such as a CSV line.

use std::fmt;
use std::str::FromStr;

use crate::mistake::{Invalid, Mistake, Mistakes};
use crate::zones::{AttendeeZone, Zones};

/// Longest name, in characters: beyond is a pasted paragraph.
pub const NAME_CHARS_MAX: usize = 200;
/// Longest e-mail address, in bytes (RFC 5321, section 4.5.3.1.3, less the angle brackets).
pub const EMAIL_BYTES_MAX: usize = 254;
/// Digits of a phone number. E.164 allows 15; what platforms export is sometimes longer, with an extension.
pub const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 4..=20;

/// One person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// As they wrote it.
    pub name: String,
    /// Where mail reaches them.
    pub email: String,
    /// Their number, if they gave one.
    pub phone: Option<Phone>,
    /// Where they are, if they said so.
    pub timezone: Option<AttendeeZone>,
}

impl Participant {
    /// Reads a person from text; `phone` and `timezone` may be empty. The error holds every mistake, at
    /// `/name`, `/email`, `/phone` and `/timezone`.
    pub fn parse(name: &str, email: &str, phone: &str, timezone: &str, zones: &Zones) -> Result<Participant, Invalid> {
        let mut mistakes = Mistakes::default();
        let name = mistakes.keep("/name", parse_name(name));
        let email = mistakes.keep("/email", parse_email(email));
        let phone = Some(phone.trim()).filter(|phone| !phone.is_empty()).map(str::parse).transpose();
        let phone = mistakes.keep("/phone", phone);
        let timezone = mistakes.keep("/timezone", AttendeeZone::parse(timezone, zones));
        let whole = name.zip(email).zip(phone.zip(timezone));
        let ((name, email), (phone, timezone)) = mistakes.finish(whole)?;
        Ok(Participant { name, email, phone, timezone })
    }
}

fn parse_name(text: &str) -> Result<String, Mistake> {
    let name = text.trim();
    if !name.chars().any(|c| !c.is_whitespace() && !c.is_control()) {
        return Err(Mistake::new("is empty; give the name the person goes by"));
    }
    if name.contains('\0') {
        return Err(Mistake::new("holds a NUL character, which databases cannot keep; remove it"));
    }
    let length = name.chars().count();
    if length > NAME_CHARS_MAX {
        return Err(Mistake::new(format!("is {length} characters long; shorten it to {NAME_CHARS_MAX}")));
    }
    Ok(name.to_owned())
}

/// Reads an e-mail address. A light check: only a message that arrives proves one.
pub fn parse_email(text: &str) -> Result<String, Mistake> {
    let email = text.trim();
    let parts = email.split_once('@').filter(|(person, host)| {
        !person.is_empty()
            && !host.is_empty()
            && !host.contains('@')
            && !email.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>'))
    });
    if parts.is_none() {
        // Not repeated, like a phone number: errors are kept in logs of others, and its line is told.
        return Err(Mistake::new("is not an e-mail address; write it such as \"ada@example.com\""));
    }
    let length = email.len();
    if length > EMAIL_BYTES_MAX {
        return Err(Mistake::new(format!("is {length} bytes long; an address has at most {EMAIL_BYTES_MAX}")));
    }
    Ok(email.to_owned())
}

/// A phone number: digits, and a plus before them where the country is part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Phone(String);

impl Phone {
    /// The number as `+919876543210`, or without the plus if it came without a country.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its digits alone.
    pub fn digits(&self) -> &str {
        self.0.strip_prefix('+').unwrap_or(&self.0)
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Phone {
    type Err = Mistake;

    /// Reads digits with the usual marks between them and a leading `+` or `00` for the country.
    fn from_str(text: &str) -> Result<Phone, Mistake> {
        let mistake = |mend: String| Mistake::new(format!("is not a phone number; {mend}"));
        let is_mark = |c: char| c.is_whitespace() || matches!(c, '.' | '-' | '(' | ')' | '/');
        let bare: String = text.chars().filter(|c| !is_mark(*c)).collect();
        let (plus, digits) = match bare.strip_prefix('+').or_else(|| bare.strip_prefix("00")) {
            Some(digits) => ("+", digits),
            None => ("", bare.as_str()),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(mistake("write digits, such as \"+91 98765 43210\"".to_owned()));
        }
        if !PHONE_DIGITS.contains(&digits.len()) {
            let (least, most) = (PHONE_DIGITS.start(), PHONE_DIGITS.end());
            return Err(mistake(format!("give {least} to {most} digits")));
        }
        Ok(Phone(format!("{plus}{digits}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, email: &str, phone: &str, timezone: &str) -> Result<Participant, Invalid> {
        Participant::parse(name, email, phone, timezone, &Zones::bundled())
    }

    #[test]
    fn a_person_is_read_with_what_is_known_of_them() {
        let ada = parse(" Ada \"Countess\" 🎺 ", "ada@example.com ", "+44 (20) 7946-0000", "Europe/London").unwrap();
        assert_eq!((ada.name.as_str(), ada.email.as_str()), ("Ada \"Countess\" 🎺", "ada@example.com"));
        assert_eq!(ada.phone.unwrap().as_str(), "+442079460000");
        let unknown = parse("Ada", "ada@example.com", " ", "").unwrap();
        assert_eq!((unknown.phone, unknown.timezone), (None, None));
    }

    #[test]
    fn every_mistake_of_a_line_is_told_at_once() {
        let invalid = parse("", "ada", "call me", "Asia/Kolkatta").unwrap_err();
        let pointers: Vec<&str> = invalid.errors().iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/name", "/email", "/phone", "/timezone"]);
    }

    #[test]
    fn a_phone_number_keeps_its_digits_and_reads_back() {
        for (text, canonical) in [
            ("0091.98765.43210", "+919876543210"),
            ("098765 43210", "09876543210"),
            ("+0000", "+0000"),
            ("1\u{a0}234", "1234"),
        ] {
            let phone: Phone = text.parse().unwrap();
            assert_eq!(phone.as_str(), canonical);
            assert_eq!(canonical.parse(), Ok(phone));
        }
        for text in ["", "123", "+", "++1234", "1+234", "123456789012345678901", "+91 98765 x1", "१२३४५"] {
            assert!(text.parse::<Phone>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_has_one_at_sign_no_space_and_no_angle_brackets() {
        for email in ["a@b", "δοκιμή@παράδειγμα.δοκιμή", "a+b@[::1]"] {
            assert!(parse_email(email).is_ok(), "{email}");
        }
        let long = format!("{}@example.com", "a".repeat(EMAIL_BYTES_MAX));
        for email in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a\0@b", "<a@b>", long.as_str()] {
            assert!(parse_email(email).is_err(), "{email:?}");
        }
    }

    #[test]
    fn a_name_is_anything_a_person_can_see() {
        assert!(parse_name(&"é".repeat(NAME_CHARS_MAX)).is_ok());
        for name in ["\u{7}", "a\0b", &"é".repeat(NAME_CHARS_MAX + 1)] {
            assert!(parse_name(name).is_err(), "{name:?}");
        }
    }
}
