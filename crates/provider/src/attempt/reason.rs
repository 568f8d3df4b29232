//! Why an attempt failed, in words that the owner of the endpoint reads: one line, bounded, nothing hidden in it.

use std::fmt;

use super::Outcome;

/// Longest reason, in characters: a sentence and the better part of a URL.
pub const REASON_CHARS_MAX: usize = 240;

/// The words. Printable, on one line, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason(String);

impl Reason {
    /// These words, made safe: what cannot be printed or would turn the line around is replaced, what is too long cut.
    pub fn of_text(text: &str) -> Reason {
        let is_whole = text.chars().nth(REASON_CHARS_MAX).is_none();
        let kept = if is_whole { REASON_CHARS_MAX } else { REASON_CHARS_MAX - 1 };
        let mut words: String = text.chars().take(kept).map(printable).collect();
        match words.trim().is_empty() {
            true => Reason("no reason is known".to_owned()),
            false if is_whole => Reason(words),
            false => {
                words.push('…');
                Reason(words)
            }
        }
    }

    /// A status that is no success; `location` as the receiver sent it, if it did.
    pub fn of_status(status: u16, location: Option<&str>) -> Reason {
        match (status, location) {
            (300..=399, Some(location)) => {
                let place = without_secrets(location);
                Reason::of_text(&format!("HTTP {status} (redirects are not followed) to {place}"))
            }
            (300..=399, None) => Reason::of_text(&format!("HTTP {status} (redirects are not followed)")),
            _ => Reason::of_text(&Outcome::Answered(status).to_string()),
        }
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URL without what is nobody's business in a log: user and password, query and fragment, which may hold tokens or
/// repeat whom the webhook was about.
fn without_secrets(location: &str) -> String {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let (kept, dropped) = location.split_at(end);
    let authority = kept.find("//").map_or(0, |at| at + 2);
    let path = kept[authority..].find('/').map_or(kept.len(), |at| authority + at);
    let host = kept[authority..path].rfind('@').map_or(authority, |at| authority + at + 1);
    let mark = if dropped.is_empty() { "" } else { "?…" };
    format!("{}{}{mark}", &kept[..authority], &kept[host..])
}

fn printable(c: char) -> char {
    // Marks that turn the direction of writing could make a line say something else.
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}') { char::REPLACEMENT_CHARACTER } else { c }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_redirect_shows_where_to_without_its_secrets() {
        for (location, shown) in [
            ("https://example.com/new", "https://example.com/new"),
            ("https://ada:pw@example.com/a@b?email=ada@example.com", "https://example.com/a@b?…"),
            ("//u@example.com#token", "//example.com?…"),
            ("/login", "/login"),
            ("?a=b", "?…"),
        ] {
            let expected = format!("HTTP 301 (redirects are not followed) to {shown}");
            assert_eq!(Reason::of_status(301, Some(location)).as_str(), expected);
        }
        assert_eq!(Reason::of_status(308, None).as_str(), "HTTP 308 (redirects are not followed)");
        assert_eq!(Reason::of_status(422, Some("/elsewhere")).as_str(), "HTTP 422");
    }

    #[test]
    fn a_long_reason_is_cut_and_an_empty_one_says_so() {
        let long = Reason::of_text(&"é".repeat(REASON_CHARS_MAX + 1));
        assert!(long.as_str().ends_with("é…") && long.as_str().chars().count() == REASON_CHARS_MAX);
        let longest = "é".repeat(REASON_CHARS_MAX);
        assert_eq!(Reason::of_text(&longest).as_str(), longest);
        assert_eq!(Reason::of_text(" ").as_str(), "no reason is known");
    }

    proptest! {
        #[test]
        fn whatever_a_receiver_sends_the_reason_is_one_bounded_printable_line(text: String, status in 100u16..1000) {
            for reason in [Reason::of_text(&text), Reason::of_status(status, Some(&text))] {
                let words = reason.as_str();
                prop_assert!(!words.is_empty() && words.chars().count() <= REASON_CHARS_MAX);
                let hides_something = words.chars().any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
                prop_assert!(!hides_something);
                prop_assert_eq!(&Reason::of_text(words), &reason, "reads back as it is");
            }
        }
    }
}
