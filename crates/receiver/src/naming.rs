//! Whether a message names a person: decided by e-mail address and phone number, as senders write them. A name alone is
//! no evidence, since many share one.

use serde_json::Value;

/// Shorter numbers are also durations, prices and years.
const PHONE_DIGITS_MIN: usize = 7;

/// What a person is recognised by.
#[derive(Clone)]
pub struct PersonMarks {
    /// In lower case, as it is and as a form or a URL would write it.
    addresses: [String; 2],
    /// Digits without leading zeros.
    phone: Option<String>,
}

impl PersonMarks {
    /// By an address, in whatever case, and by the digits of a phone number with its country; a short number is not
    /// looked for.
    #[must_use]
    pub fn new(email: &str, phone: Option<&str>) -> Self {
        let email = email.to_lowercase();
        let encoded = email.bytes().fold(String::new(), |text, byte| match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => text + char::from(byte).encode_utf8(&mut [0; 1]),
            other => text + &format!("%{other:02x}"),
        });
        let phone = phone.map(|digits| digits.trim_start_matches('0').to_owned());
        Self { addresses: [email, encoded], phone: phone.filter(|digits| digits.len() >= PHONE_DIGITS_MIN) }
    }

    /// Whether this text names the person: JSON by its strings and numbers, whatever their escapes, anything else as it
    /// stands.
    #[must_use]
    pub fn are_in(&self, text: &[u8]) -> bool {
        match serde_json::from_slice::<Value>(text) {
            Ok(json) => self.are_in_json(&json),
            Err(_) => self.are_in_words(&String::from_utf8_lossy(text)),
        }
    }

    /// By walking the value with a list of what is left, since it may be nested as deep as the parser allows.
    fn are_in_json(&self, json: &Value) -> bool {
        let mut left = vec![json];
        while let Some(value) = left.pop() {
            let is_named = match value {
                Value::Null | Value::Bool(_) => false,
                Value::Number(number) => self.is_phone(&number.to_string()),
                Value::String(text) => self.are_in_words(text),
                Value::Array(items) => {
                    left.extend(items);
                    false
                }
                Value::Object(members) => {
                    left.extend(members.values());
                    members.keys().any(|key| self.are_in_words(key))
                }
            };
            if is_named {
                return true;
            }
        }
        false
    }

    fn are_in_words(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        self.addresses.iter().any(|address| stands_alone_in(address, &lower)) || self.is_dialled_in(&lower)
    }

    fn is_phone(&self, digits: &str) -> bool {
        self.phone.as_deref().is_some_and(|phone| digits.trim_start_matches('0') == phone)
    }

    /// Whether the number stands in a text, with or without the usual marks between its digits.
    fn is_dialled_in(&self, text: &str) -> bool {
        if self.phone.is_none() {
            return false;
        }
        let is_mark = |c: char| matches!(c, ' ' | '\u{a0}' | '.' | '-' | '(' | ')' | '/');
        text.split(|c: char| !c.is_ascii_digit() && !is_mark(c)).any(|run| {
            let digits: String = run.chars().filter(char::is_ascii_digit).collect();
            self.is_phone(&digits) || run.split(is_mark).any(|digits| self.is_phone(digits))
        })
    }
}

/// Whether the address is there as a whole: `ana@x.org` is not in `mariana@x.org`, nor in `ana@x.org.uk`.
fn stands_alone_in(address: &str, text: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '+' | '-' | '\'');
    text.match_indices(address).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + address.len()..].chars();
        let begins = !before.is_some_and(|c| goes_on(c) || c == '.');
        let ends = match after.next() {
            // The end of a sentence, or a longer host.
            Some('.') => !after.next().is_some_and(char::is_alphanumeric),
            Some(c) => !goes_on(c),
            None => true,
        };
        begins && ends
    })
}

impl std::fmt::Debug for PersonMarks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonMarks(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> bool {
        PersonMarks::new("Ana@x.org", Some("919876543210")).are_in(text.as_bytes())
    }

    #[test]
    fn an_address_is_found_as_senders_write_it() {
        for text in [
            r#"{"name":"Ana","email":"ANA@X.org","phone":null}"#,
            r#"[[[{"who":"\u0061na\u0040x.org"}]]]"#,
            r#"{"ana@x.org":true}"#,
            r#"{"raw":"{\"email\":\"ana@x.org\"}"}"#,
            r#"{"text":"write\nana@x.org."}"#,
            "email=Ana%40x.org&name=Ana",
            "Ana <ana@x.org>, Bo <bo@x.org>",
            "\u{fffd}ana@x.org",
            "{\"cut\":\"ana@x.org",
        ] {
            assert!(names(text), "{text}");
        }
        assert!(PersonMarks::new("ana@x.org", None).are_in(b"\xff\xfe ana@x.org \xff"));
    }

    #[test]
    fn the_address_of_somebody_else_is_not_taken_for_it() {
        for text in
            ["mariana@x.org", "ana@x.org.uk", "ana@x.organic", "x.ana@x.org", "bo+ana@x.org", "ana@x.or", "Ana", ""]
        {
            assert!(!names(text), "{text}");
            assert!(!names(&serde_json::to_string(text).unwrap()), "{text}");
        }
    }

    #[test]
    fn a_phone_number_is_found_in_digits_or_as_people_write_it() {
        for text in [
            r#"{"phone":919876543210}"#,
            r#"{"phone":"+91 98765-43210"}"#,
            "phone=%2B919876543210",
            "00919876543210",
            "call +91 (98765) 43210, please",
        ] {
            assert!(names(text), "{text}");
        }
        for text in [r#"{"phone":9198765432101}"#, "98765 43210", "{\"durationMinutes\":60}"] {
            assert!(!names(text), "{text}");
        }
    }

    #[test]
    fn a_short_number_is_not_looked_for() {
        assert!(!PersonMarks::new("ana@x.org", Some("001440")).are_in(b"{\"minutes\":1440}"));
    }
}
