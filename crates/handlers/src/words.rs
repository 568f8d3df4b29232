//! Texts of strangers made fit for a log line: one line, bounded, without control characters.

/// At most `chars_max` characters of the text on one line.
pub(crate) fn tame(text: &str, chars_max: usize) -> String {
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.chars().nth(chars_max).is_some() {
            return words.chars().take(chars_max).chain(['…']).collect();
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::tame;

    #[test]
    fn what_a_stranger_wrote_becomes_one_short_line() {
        assert_eq!(tame("  a\r\n\tb\u{1b}[31mc \0", 20), "a b [31mc");
        assert_eq!(tame(&"é".repeat(50), 3), "ééé…");
        assert_eq!(tame("", 3), "");
    }
}
